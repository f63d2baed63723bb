"""Archives that people got from somewhere: unpacked completely and safely, or not."""

import os
import pathlib
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable

from slimzoo.errors import UserError

_BLOCK_BYTES = 1 << 20


def extract_tarball(
    path: str | os.PathLike[str], directory: str | os.PathLike[str]
) -> None:
    """Unpacks a tar archive, compressed or not, into `directory`; all or nothing.

    Raises:
      UserError: if it is damaged, or has members that are no plain files or folders
        or would be written elsewhere.
    """

    def extract(target: pathlib.Path) -> None:
        with tarfile.open(path) as archive:
            archive.extractall(target, filter=_checked)
            # The checksum of what is compressed stands at its very end.
            while archive.fileobj.read(_BLOCK_BYTES):  # pyright: ignore
                pass

    _extract(path, directory, extract)


def _checked(member: tarfile.TarInfo, target: str) -> tarfile.TarInfo | None:
    name = pathlib.PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise tarfile.TarError(f"{member.name!r} would be outside the folder")
    if not (member.isfile() or member.isdir()):
        raise tarfile.TarError(f"{member.name!r} is neither a file nor a folder")
    return tarfile.data_filter(member, target)


def extract_zipfile(
    path: str | os.PathLike[str], directory: str | os.PathLike[str]
) -> None:
    """Unpacks a zip archive into `directory`; all or nothing.

    Raises:
      UserError: if it is damaged, or has members that would be written elsewhere.
    """

    def extract(target: pathlib.Path) -> None:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if not (target / name).resolve().is_relative_to(target.resolve()):
                    raise zipfile.BadZipFile(f"{name!r} would be outside the folder")
            archive.extractall(target)

    _extract(path, directory, extract)


def _extract(
    path: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    extract: Callable[[pathlib.Path], None],
) -> None:
    """Calls `extract` with an empty folder and moves into `directory` what it wrote."""
    with tempfile.TemporaryDirectory(dir=directory, prefix=".unpacking-") as temporary:
        try:
            extract(pathlib.Path(temporary))
            for unpacked in pathlib.Path(temporary).iterdir():
                _move(unpacked, pathlib.Path(directory, unpacked.name))
        except (
            tarfile.TarError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
        ) as error:
            raise UserError(
                f"could not unpack {path}: {error}. If it is damaged, get it again."
            ) from error


def _move(source: pathlib.Path, target: pathlib.Path) -> None:
    """Moves a file, or a folder's files into one that may be there already."""
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(
            source, target, symlinks=True, dirs_exist_ok=True, copy_function=os.replace
        )
    else:
        source.replace(target)
