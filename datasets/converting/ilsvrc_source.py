"""ImageNet's pictures where people have them: archives or folders, read as they are.

Archives are not unpacked. Their headers say at which byte each picture begins; what is
kept in memory is that, its size and its name.
"""

import dataclasses
import os
import pathlib
import re
import tarfile
import threading
import weakref
from array import array
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np

from datasets.converting import picture_folders
from slimbase import files
from slimbase.errors import UserError
from slimbase.fetch import archives
from slimbase.pictures import decode
from slimbase.pictures.decode import PictureError

_PICTURE = re.compile(r"[^.].*\.(jpe?g|png)", re.IGNORECASE | re.DOTALL)
_SAMPLE = 1000  # Pictures by which a change of a folder is noticed.
_PLAIN_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)


class _Archive:
    """A tar archive that several threads read at any place."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        # Without it Windows would read text, and it alone has it.
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._descriptor)
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, size, offset)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, size)


@dataclasses.dataclass(frozen=True)
class PictureIndex:
    """Pictures by index; only where they are is in memory.

    Attributes:
      names: of the files, without folders.
      folders: the names of all folders, or of archives in the archive; "" is none.
      folder_of: int32 `[pictures]`, index of each one's folder.
      offsets: int64 `[pictures]`, of the first byte in an archive.
      sizes: int64 `[pictures]`, bytes in an archive.
    """

    names: list[str]
    folders: list[str]
    folder_of: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    _places: Sequence[_Archive | pathlib.Path]
    _place_of: np.ndarray

    def read(self, index: int) -> bytes:
        """Reads the file of one picture; may be called from several threads.

        Raises:
          PictureError: if it can't be read.
        """
        place = self._places[self._place_of[index]]
        if isinstance(place, pathlib.Path):
            return decode.load(place / self.names[index])
        size = int(self.sizes[index])
        if size > decode.MAX_BYTES:
            raise PictureError(f"has {size:,} bytes; the most is {decode.MAX_BYTES:,}")
        try:
            content = place.read(int(self.offsets[index]), size)
        except OSError as error:
            raise PictureError(f"cannot be read: {error.strerror}") from None
        if len(content) < size or not size:
            raise PictureError("is cut short" if size else "is empty")
        return content

    def stamp(self) -> str:
        """A text that changes with the archives, or with folders and pictures in them.

        Of pictures in folders only some thousand are looked at: on a disk in the
        network, a million would take many minutes.
        """
        places = [self._places[i] for i in np.unique(self._place_of)]
        paths = [p.path if isinstance(p, _Archive) else p for p in places]
        for index in range(0, len(self.names), max(1, len(self.names) // _SAMPLE)):
            place = self._places[self._place_of[index]]
            if isinstance(place, pathlib.Path):
                paths.append(place / self.names[index])
        return picture_folders.stamp(paths)


def find_pictures(path: pathlib.Path) -> PictureIndex:
    """Finds the pictures in a directory or an archive; none is opened.

    Args:
      path: a tar archive, or a directory. Either has pictures, folders of them, or tar
        archives of them, as the published training archive has one per synset.

    Raises:
      UserError: if there are none, or `path` or an archive in it can't be read.
    """
    index = _Index()
    try:
        if path.is_dir():
            index.add_directory(path)
        else:
            index.add_archive(path, "")
    except OSError as error:
        raise UserError(
            f"cannot read {error.filename or path}: {error.strerror}"
        ) from error
    if not index.names:
        what = files.listing(str(path)) if path.is_dir() else f"{path} has none"
        raise UserError(f"there are no pictures (*.JPEG) of ImageNet: {what}")
    return index.pictures()


class _Index:
    """Pictures found so far, a column per fact: a million rows of Python are large."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._folders: dict[str, int] = {}
        self._places: list[_Archive | pathlib.Path] = []
        self._folder_of, self._place_of = array("i"), array("i")
        self._offsets, self._sizes = array("q"), array("q")

    def pictures(self) -> PictureIndex:
        return PictureIndex(
            self.names,
            list(self._folders),
            np.array(self._folder_of, np.int32),
            np.array(self._offsets, np.int64),
            np.array(self._sizes, np.int64),
            self._places,
            np.array(self._place_of, np.int32),
        )

    def add_directory(self, directory: pathlib.Path) -> None:
        self._add_files(directory, "")
        for entry in _entries(directory):
            path = pathlib.Path(entry.path)
            if entry.is_dir():
                self._add_files(path, entry.name)
            elif path.suffix == ".tar":
                self.add_archive(path, path.stem)

    def add_archive(self, path: pathlib.Path, folder: str) -> None:
        with path.open("rb") as file:
            self._places.append(_Archive(path))
            size = os.fstat(file.fileno()).st_size
            try:
                self._add_members(file, 0, size, folder)
            except (tarfile.TarError, ValueError, OverflowError, RecursionError) as e:
                raise UserError(
                    f"{path} can't be read as a plain tar archive: {e}. If it is "
                    f"compressed, unpack it; if it is damaged, get it again."
                ) from e

    def _add_files(self, directory: pathlib.Path, folder: str) -> None:
        self._places.append(directory)
        for entry in _entries(directory):
            if _PICTURE.fullmatch(entry.name) and entry.is_file():
                self._add(folder, entry.name)

    def _add_members(self, file: BinaryIO, start: int, end: int, folder: str) -> None:
        """Adds what is in the archive that stands between two bytes of a file."""
        for member in _members(file, start, end):
            *parents, name = member.name.split("/")
            if name.endswith(".tar") and not folder:
                inner, size = member.offset_data, member.size
                self._add_members(file, inner, inner + size, name.removesuffix(".tar"))
            elif _PICTURE.fullmatch(name):
                parent = parents[-1] if parents and parents[-1] != "." else ""
                self._add(parent or folder, name, member.offset_data, member.size)

    def _add(self, folder: str, name: str, offset: int = 0, size: int = 0) -> None:
        self.names.append(name)
        self._folder_of.append(self._folders.setdefault(folder, len(self._folders)))
        self._place_of.append(len(self._places) - 1)
        self._offsets.append(offset)
        self._sizes.append(size)


def _entries(directory: pathlib.Path) -> list[os.DirEntry]:
    with os.scandir(directory) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(shown, key=lambda entry: entry.name)


def _members(file: BinaryIO, start: int, end: int) -> Iterator[tarfile.TarInfo]:
    """The plain files of an archive; their `offset_data` counts from the file's start.

    `tarfile` takes what it can't read for the end of the archive, and a negative size
    for a way back: both are errors here.
    """
    file.seek(start)
    with tarfile.TarFile(fileobj=file, tarinfo=archives.TarHeader) as archive:
        position = start
        while position < end and (member := archive.next()):
            archive.members.clear()  # It would keep all of them.
            if not position <= member.offset < archive.offset:
                raise tarfile.ReadError(f"the header at byte {position:,} is wrong")
            position = archive.offset
            if member.offset_data + member.size > end:
                raise tarfile.ReadError(f"it is cut short in {member.name!r}")
            if member.type in _PLAIN_FILES:
                yield member
        if position < end:
            file.seek(position)
            block = file.read(tarfile.BLOCKSIZE)
            if block.strip(b"\0"):
                raise tarfile.ReadError(f"there is no header at byte {position:,}")
