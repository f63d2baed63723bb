"""docs/layouts.md: what is logged for its folders is what stands there."""

import re

import numpy as np
import pytest
from PIL import Image

from slimbase import testing

PAGE = testing.ROOT / "docs" / "layouts.md"
_BLOCK = re.compile(r"```text\n(.*?)```", re.DOTALL)
_PICTURES = (".jpg", ".JPEG")


def walks():
    """The files of each example, and what is logged for it."""
    blocks = _BLOCK.findall(PAGE.read_text("utf-8"))
    assert len(blocks) % 2 == 0
    return list(zip(blocks[::2], blocks[1::2], strict=True))


def draw(root, listing):
    """Makes the files that an example lists."""
    random = np.random.default_rng(0)
    for line in listing.splitlines():
        name, _, text = line.partition(": ")
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in _PICTURES and not path.name.startswith("._"):
            blocks = random.integers(0, 256, (5, 6, 3), np.uint8)
            Image.fromarray(blocks.repeat(8, 0).repeat(8, 1)).save(path)
        elif text:
            path.write_text(text.replace(" | ", "\n").replace("\\\\", "\\") + "\n")
        else:
            path.write_bytes(b"none of ours")


def log_of(root, listing):
    """What a dry run logs, without the table of classes."""
    draw(root / "photos", listing)
    table = [f"--csv_file={path}" for path in (root / "photos").glob("labels.csv")]
    with_table = table if "C:" in listing else []
    result = testing.call(
        "download_and_convert_data.py",
        "--dataset_name=folder",
        f"--source_dir={root / 'photos'}",
        f"--dataset_dir={root / 'records'}",
        "--dry_run",
        *with_table,
        check=False,
    )
    assert not (root / "records").exists()
    lines = result.stderr.replace(f"{root}/", "").splitlines()
    wanted = (
        *("Layout: ", "Left out", "error: ", "No class", "Not used", "labels.csv: "),
    )
    return "".join(f"{line}\n" for line in lines if line.startswith(wanted))


@pytest.mark.parametrize(("listing", "logged"), walks())
def test_walk(tmp_path, listing, logged):
    assert re.sub(r"\s+", " ", log_of(tmp_path, listing)) == re.sub(r"\s+", " ", logged)


def test_dry_run_shows_the_classes(tmp_path):
    draw(tmp_path / "photos", "\n".join(f"{c}/{i}.jpg" for c in "ab" for i in range(5)))
    result = testing.call(
        "download_and_convert_data.py",
        "--dataset_name=folder",
        f"--source_dir={tmp_path / 'photos'}",
        f"--dataset_dir={tmp_path / 'records'}",
        "--dry_run",
    )
    assert re.search(r"class +train +validation\n +a +4 +1\n +b +4 +1", result.stderr)
    assert "Nothing was written" in result.stderr
    assert not (tmp_path / "records").exists()
