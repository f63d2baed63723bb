"""The walkthrough as it is kept, with the outputs of one run, and executed anew.

`python slim_walkthrough_test.py` executes it and keeps the outputs.
"""

import pathlib
import re

import nbclient
import nbformat
import pytest
from jupyter_client import kernelspec, manager

ROOT = pathlib.Path(__file__).resolve().parent
NOTEBOOK = ROOT / "slim_walkthrough.ipynb"
MOST_BYTES = 600_000
WORK = '"build/walkthrough"'  # What the notebook writes to.
TIMEOUT_SECS = 1200  # Of a cell, on a machine that does other things, too.

# Cell, what it prints, and what the number may be: well above chance, 10 or 20%.
RESULTS = [
    ("metrics", r"mean squared error +([\d.]+)", 0.03, 0.08),
    ("evaluate-small", r"accuracy on 1000 test pictures: ([\d.]+)%", 25, 100),
    ("evaluate", r"accuracy on the test pictures: ([\d.]+)%", 75, 100),
    ("before-after", r"before +([\d.]+)%", 0, 45),
    ("all", r"head +([\d.]+)%", 55, 100),
    ("all", r"all +([\d.]+)%", 85, 100),
]
# Paths, addresses, times of day, dates and seconds since 1970.
OF_ONE_MACHINE = re.compile(
    r"/tmp|/home|/work|/root|/usr|/Users|\\Users|\b0x[0-9a-f]{6}|\d:\d\d:\d\d"
    r"|\b20\d\d-\d\d|\b1\d{9}\b"
)


@pytest.fixture(scope="module")
def kept():
    return nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)


def _execute(notebook):
    """Replaces all outputs by those of a kernel of this interpreter."""
    for cell in _codes(notebook):
        cell.outputs = []
    # Without directories to look in, a kernel that another environment has installed
    # under the same name is not found.
    kernels = kernelspec.KernelSpecManager(kernel_dirs=[])
    nbclient.NotebookClient(
        notebook,
        km=manager.AsyncKernelManager(kernel_spec_manager=kernels),
        timeout=TIMEOUT_SECS,
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(ROOT)}},
    ).execute(cleanup_kc=True)


def _keep():
    """Executes the notebook in its place, and leaves out what changes by machine."""
    notebook = nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)
    _execute(notebook)
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {}
    nbformat.write(notebook, NOTEBOOK)


def _codes(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _printed(notebook, cell_id):
    [cell] = [cell for cell in notebook.cells if cell.id == cell_id]
    return "".join(output.get("text", "") for output in cell.outputs)


def _pictures(notebook):
    """How many pictures each cell shows."""
    shown = {}
    for cell in _codes(notebook):
        types = [kind for output in cell.outputs for kind in output.get("data", ())]
        shown[cell.id] = sum(kind.startswith("image/") for kind in types)
    return shown


def _check(notebook):
    """What holds of every run."""
    noise = [
        (cell.id, output)
        for cell in _codes(notebook)
        for output in cell.outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]
    assert not noise
    for cell_id, pattern, least, most in RESULTS:
        printed = _printed(notebook, cell_id)
        found = re.search(pattern, printed)
        assert found, f"{cell_id} printed {printed!r}"
        assert least <= float(found[1]) <= most, found[0]
    learned = dict(re.findall(r"^(\w+) +([\d.]+)%$", _printed(notebook, "all"), re.M))
    assert float(learned["scratch"]) < float(learned["all"]) - 10


def test_what_is_kept(kept):
    nbformat.validate(kept)
    assert (kept.nbformat, kept.nbformat_minor) == (4, 5)
    assert [cell.execution_count for cell in _codes(kept)] == [
        *range(1, len(_codes(kept)) + 1)
    ]
    _check(kept)


def test_what_is_kept_tells_of_no_machine(kept):
    assert NOTEBOOK.stat().st_size < MOST_BYTES
    for cell in kept.cells:
        assert not cell.metadata, f"{cell.id} has metadata: {cell.metadata}"
    for cell in _codes(kept):
        for output in cell.outputs:
            data = output.get("data", {})
            text = output.get("text", "") + data.get("text/plain", "")
            found = OF_ONE_MACHINE.search(text)
            assert not found, f"{cell.id} printed {found[0]!r}"


@pytest.mark.slow
def test_execution(kept, tmp_path, monkeypatch):
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.from_dict(kept)
    [setup] = [cell for cell in _codes(notebook) if WORK in cell.source]
    work = tmp_path / "work"
    setup.source = setup.source.replace(WORK, repr(str(work)))
    _execute(notebook)
    _check(notebook)
    assert _pictures(notebook) == _pictures(kept)
    assert not work.exists()


if __name__ == "__main__":
    _keep()
