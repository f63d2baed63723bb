"""What a file or directory is: decided by its content, not by its name."""

import contextlib
import pathlib
import shutil
import tarfile
import zipfile
from collections.abc import Iterator

from slimbase import files
from slimbase.errors import UserError
from slimbase.fetch import archives
from slimbase.text import listed
from slimzoo.zoo.ports import frozen, keras_files, saved_models, timm_files
from slimzoo.zoo.ports.weights import Kind

# In the order in which they are tried. Another kind of source is another row.
KINDS = (
    Kind(
        "a SavedModel or Hub module",
        saved_models.is_saved_model,
        saved_models.read_saved_model,
    ),
    Kind("a checkpoint", saved_models.is_checkpoint, saved_models.read_checkpoint),
    Kind("a file of Keras", keras_files.is_keras, keras_files.read),
    Kind("a file of safetensors", timm_files.is_safetensors, timm_files.read),
    Kind("a frozen graph", frozen.is_graph, frozen.read),
)

_PICKLE = b"\x80"  # Opcode that pickles of protocol 2 and later begin with.
# Without running what a pickle holds: PyTorch takes tensors only, or refuses.
_CONVERSION = (
    "safetensors.torch.save_file(torch.load(path, weights_only=True), "
    "'model.safetensors')"
)
_MOST_LEVELS = 3  # A Hub cache has its modules in directories of their own.


def kind_of(path: pathlib.Path) -> Kind | None:
    """The kind of a file or directory; None for one of no kind."""
    return next((kind for kind in KINDS if kind.holds(path)), None)


@contextlib.contextmanager
def opened(
    source: pathlib.Path, work: pathlib.Path
) -> Iterator[tuple[pathlib.Path, Kind]]:
    """Finds the weights in a file, an archive or a directory.

    Args:
      source: the file, archive or directory.
      work: directory that archives are unpacked to, which is made; it is removed at the
        end.

    Yields:
      The file or directory of weights, and its kind.

    Raises:
      UserError: when there is no such file, it is of no known kind or a pickle, an
        archive is damaged or hostile, or there is not exactly one source of weights.
    """
    if not source.exists():
        where = files.listing(str(source.parent))
        raise UserError(f"there is no --from={source}: {where}")
    try:
        yield _find(source, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _find(source: pathlib.Path, work: pathlib.Path) -> tuple[pathlib.Path, Kind]:
    if kind := kind_of(source):
        return source, kind
    if source.is_dir():
        return _only_one(source, source)
    _refuse_pickle(source)
    if tarfile.is_tarfile(source) or zipfile.is_zipfile(source):
        work.mkdir(parents=True)
        zipped = zipfile.is_zipfile(source)
        extract = archives.extract_zipfile if zipped else archives.extract_tarball
        extract(source, work)
        kind = kind_of(work)
        return (work, kind) if kind else _only_one(work, source)
    raise UserError(
        f"{source} holds no weights that can be read. Expected "
        f"{', '.join(kind.name for kind in KINDS)}, or an archive of one"
    )


def _only_one(
    directory: pathlib.Path, source: pathlib.Path
) -> tuple[pathlib.Path, Kind]:
    """The only source of weights below `directory`."""
    found = list(_below(directory, _MOST_LEVELS))
    if len(found) == 1:
        return found[0]
    if not found:
        for path in sorted(directory.iterdir()):
            if path.is_file():
                _refuse_pickle(path)
        raise UserError(
            f"there are no weights in {source}: {files.listing(str(directory))}. "
            f"Expected {', '.join(kind.name for kind in KINDS)}"
        )
    names = sorted(f"{p.relative_to(directory)}{_handle(p)}" for p, _ in found)
    raise UserError(
        f"{source} holds several sources of weights, {listed(names)}: give one of them"
    )


def _handle(path: pathlib.Path) -> str:
    """Where a module came from, which in a cache of tensorflow_hub stands beside it."""
    try:
        text = path.with_name(f"{path.name}.descriptor.txt").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    handle = text.partition("\n")[0].removeprefix("Module:").strip()
    return f" ({handle})" if handle else ""


def _below(directory: pathlib.Path, levels: int) -> Iterator[tuple[pathlib.Path, Kind]]:
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or path.is_symlink():
            continue
        if kind := kind_of(path):
            yield path, kind
        elif path.is_dir() and levels > 1:
            yield from _below(path, levels - 1)


def _refuse_pickle(path: pathlib.Path) -> None:
    if _is_pickle(path):
        raise UserError(
            f"{path} is a pickle, as PyTorch writes .pth, .pt and .bin: reading one "
            "runs whatever code it holds, so it is not read. Get the weights as "
            f".safetensors, or convert them with PyTorch: {_CONVERSION}"
        )


def _is_pickle(path: pathlib.Path) -> bool:
    """Whether a file is a pickle, or a zip archive with one, as PyTorch writes it."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    with path.open("rb") as file:
        return file.read(1) == _PICKLE
