"""Archives that people got from somewhere: unpacked completely and safely, or not."""

import contextlib
import errno
import os
import pathlib
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Generator, Iterator
from typing import IO, NamedTuple

from tqdm import tqdm

from slimbase.errors import UserError

_BLOCK_BYTES = 1 << 20
# What unpacking leaves of the disk, for whatever else runs there.
_SPARE_BYTES = 1 << 28
# Tar archives have headers for long names and the like; those of bombs are long.
_LONGEST_HEADER_BYTES = 1 << 16
_LONG_HEADERS = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)

_Path = str | os.PathLike[str]


class DamagedError(UserError):
    """An archive that is damaged, or made to do harm."""


class _Refused(Exception):
    """What an archive asks for is not done."""


class _Member(NamedTuple):
    """A file of an archive, or a folder, which has no `content`."""

    name: str
    size: int
    content: IO[bytes] | None


_MembersOf = Callable[[_Path], Generator[_Member, None, None]]


def unpack(path: _Path, folder: _Path) -> None:
    """Makes `folder` of a tar or zip archive, unless it is there already.

    It is there whole or not at all, even if the process is killed. One process at a
    time may unpack to `folder`.

    Raises:
      DamagedError: if the archive is damaged, has members that are no plain files or
        folders, that would be written elsewhere, or that are in it twice.
      UserError: if it can't be read, or its content not be written.
    """
    folder = pathlib.Path(folder)
    if folder.exists():
        return
    work = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(work, ignore_errors=True)  # Of a process that was killed.
    try:
        with _explained(path):
            work.mkdir(parents=True)
            zipped = pathlib.Path(path).suffix.lower() == ".zip"
            _write(work, path, _zip_members if zipped else _tar_members)
            work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def extract_tarball(path: _Path, directory: _Path) -> None:
    """Unpacks a tar archive, compressed or not, into `directory`; all or nothing.

    Raises:
      DamagedError: as `unpack`.
      UserError: as `unpack`.
    """
    _extract(path, directory, _tar_members)


def extract_zipfile(path: _Path, directory: _Path) -> None:
    """Unpacks a zip archive into `directory`; all or nothing.

    Raises:
      DamagedError: as `unpack`.
      UserError: as `unpack`.
    """
    _extract(path, directory, _zip_members)


def _extract(path: _Path, directory: _Path, members_of: _MembersOf) -> None:
    with _explained(path):
        with tempfile.TemporaryDirectory(
            dir=directory, prefix=".unpacking-"
        ) as temporary:
            _write(pathlib.Path(temporary), path, members_of)
            for unpacked in pathlib.Path(temporary).iterdir():
                _move(unpacked, pathlib.Path(directory, unpacked.name))


def _write(target: pathlib.Path, path: _Path, members_of: _MembersOf) -> None:
    """Writes the members of the archive at `path` into the empty folder `target`."""
    progress = tqdm(
        desc=f"Unpacking {pathlib.Path(path).name}", unit=" files", disable=None
    )
    with progress, contextlib.closing(members_of(path)) as members:
        for name, size, content in members:
            parts = _parts(name)
            free = max(shutil.disk_usage(target).free - _SPARE_BYTES, 0)
            if size > free:
                raise OSError(
                    errno.ENOSPC, f"needs {size:,} bytes more where {free:,} are free"
                )
            try:
                _write_member(target.joinpath(*parts), content)
            except (FileExistsError, NotADirectoryError) as error:
                raise _Refused(f"{name!r} is in it twice") from error
            progress.update()


def _write_member(path: pathlib.Path, content: IO[bytes] | None) -> None:
    (path.parent if content else path).mkdir(parents=True, exist_ok=True)
    if content:
        with path.open("xb") as file:
            shutil.copyfileobj(content, file, _BLOCK_BYTES)


def _parts(name: str) -> tuple[str, ...]:
    path = pathlib.PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise _Refused(f"{name!r} would be outside the folder")
    if "\0" in name or "\\" in name:  # The latter separates folders on Windows.
        raise _Refused(f"{name!r} is no proper name")
    return path.parts


class TarHeader(tarfile.TarInfo):
    """A header of a tar archive that must be right; `tarinfo` of `tarfile.open`.

    For tarfile, a damaged header that is not the first ends the archive, and one for
    long names may fill the memory.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "TarHeader":
        """The header in 512 bytes; raises `tarfile.ReadError` for an impossible one."""
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # pyright: ignore[reportAttributeAccessIssue]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error
        sound = 0 <= header.size <= _LONGEST_HEADER_BYTES
        if header.type in _LONG_HEADERS and not sound:
            raise tarfile.ReadError(f"a header of {header.size} bytes")
        return header


def _tar_members(path: _Path) -> Generator[_Member, None, None]:
    with tarfile.open(path, tarinfo=TarHeader) as archive:
        for member in archive:
            if member.size < 0:  # It leads back to bytes that were read before.
                raise _Refused(f"{member.name!r} has a negative size")
            if member.issparse() or not (member.isfile() or member.isdir()):
                raise _Refused(f"{member.name!r} is neither a file nor a folder")
            with contextlib.ExitStack() as stack:
                content = archive.extractfile(member)
                if content:
                    stack.enter_context(content)
                yield _Member(member.name, member.size, content)
        # The checksum of what is compressed stands at its very end.
        while archive.fileobj.read(_BLOCK_BYTES):  # pyright: ignore
            pass


def _zip_members(path: _Path) -> Generator[_Member, None, None]:
    with zipfile.ZipFile(path) as archive:
        # The folder itself, with the size of all: a bomb need not go off first.
        yield _Member(".", sum(m.file_size for m in archive.infolist()), None)
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _Refused(f"{member.filename!r} is neither a file nor a folder")
            _parts(member.orig_filename)  # `filename` ends before a NUL.
            if member.is_dir():
                yield _Member(member.filename, 0, None)
            else:
                with archive.open(member) as content:
                    yield _Member(member.filename, member.file_size, content)


@contextlib.contextmanager
def _explained(path: _Path) -> Iterator[None]:
    """Tells errors of the disk from those of what the archive holds."""
    try:
        yield
    except OSError as error:
        # Those of gzip and bz2 have no number.
        if error.errno is None:
            raise _damaged(path, error) from error
        where = f": {error.filename}" if error.filename else ""
        raise UserError(f"could not unpack {path}: {error.strerror}{where}") from error
    except Exception as error:  # Damaged archives raise all sorts.
        raise _damaged(path, error) from error


def _damaged(path: _Path, error: Exception) -> DamagedError:
    what = str(error) or type(error).__name__
    return DamagedError(
        f"could not unpack {path}: {what}. If it is damaged, get it again."
    )


def _move(source: pathlib.Path, target: pathlib.Path) -> None:
    """Moves a file, or a folder's files into one that may be there already."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, copy_function=os.replace)
    else:
        source.replace(target)
