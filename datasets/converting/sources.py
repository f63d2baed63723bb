"""Finding the files that a data set is made of: on disk, on a mirror, or online."""

import dataclasses
import hashlib
import os
import pathlib
import urllib.parse
from collections.abc import Sequence

from absl import logging

from slimbase import files
from slimbase.errors import UserError
from slimbase.fetch import archives, checksums, download, mirrors

_Path = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class Published:
    """A file that anybody can download.

    Attributes:
      url: where it was published; its last part is the file's name.
      mirrors: other URLs of the same file, tried one after the other.
      md5: in hexadecimal digits, where it is known.
      size: in bytes, where it is known.
    """

    url: str
    mirrors: tuple[str, ...] = ()
    md5: str | None = None
    size: int | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return pathlib.PurePosixPath(urllib.parse.urlsplit(self.url).path).name


def find_file(
    published: Published,
    work: _Path,
    source_dir: _Path | None = None,
    mirror: _Path | None = None,
) -> pathlib.Path:
    """Finds a file as it was published or, in `source_dir`, with its `.gz` undone.

    Args:
      published: what to find.
      work: where to download it to without a `source_dir`; what an interrupted call
        left there is used.
      source_dir: where the user has it, if anywhere. It is taken as it is.
      mirror: directory or URL to take it from instead of where it was published; by
        default what SLIMZOO_MIRROR says. What differs from the published file there
        is taken with a warning.

    Raises:
      UserError: if it isn't in `source_dir`, can't be had, or isn't what was
        published.
    """
    if not source_dir:
        return _get(published, pathlib.Path(work), mirrors.chosen(mirror))
    root = _root(published, source_dir)
    candidates = _candidates(published, root)
    for path in candidates:
        if path.is_file():
            return path
    raise _not_found(root, candidates)


def find_folder(
    name: str,
    published: Published,
    work: _Path,
    source_dir: _Path | None = None,
    mirror: _Path | None = None,
    contents: str = "*",
) -> pathlib.Path:
    """Finds an archive's folder, unpacking the archive if need be.

    Args:
      name: of the folder in the archive.
      published: the archive, tar or zip.
      work: where to download and to unpack to; what an interrupted call left there
        is used.
      source_dir: what the user has, if anything: the folder itself, or a directory
        with the folder or the archive in it. It is left as it is.
      mirror: as `find_file`, of the archive.
      contents: glob of a file that the folder has, by which it is known.

    Raises:
      UserError: as `find_file`, or if the archive is damaged or another one.
    """
    if not source_dir:
        archive = _get(published, pathlib.Path(work), mirrors.chosen(mirror))
        return _unpacked(archive, name, pathlib.Path(work), contents)
    root = _root(published, source_dir)
    if _has(root / name, contents):
        return root / name
    candidates = _candidates(published, root)
    for archive in candidates:
        if archive.is_file():
            return _unpacked(archive, name, pathlib.Path(work), contents)
    if _has(root, contents):
        return root
    raise _not_found(root, [root / name, *candidates, root / contents])


def _root(published: Published, source_dir: _Path) -> pathlib.Path:
    """The directory that is meant, also where it is the archive that is named."""
    root = pathlib.Path(source_dir)
    is_archive = root.is_file() and root.name == published.name
    return root.parent if is_archive else root


def _candidates(published: Published, root: pathlib.Path) -> list[pathlib.Path]:
    name = published.name
    return [root / n for n in dict.fromkeys([name, name.removesuffix(".gz")])]


def _has(folder: pathlib.Path, contents: str) -> bool:
    return any(folder.glob(contents))


def _get(published: Published, work: pathlib.Path, mirror: str) -> pathlib.Path:
    """Downloads a file to `work`, or finds it in a mirror's directory."""
    if mirror:
        # Not where a file is expected that is exactly the published one.
        target = work / "from_mirror" / published.name
        path = mirrors.fetch(published.url, target, mirror)
        if wrong := checksums.difference(path, published.size, published.md5):
            logging.warning(
                f"{path} is not the published file: {wrong}. Taking it nevertheless, "
                "as a mirror may have packed it anew."
            )
        return path
    target = work / published.name
    *others, last = (published.url, *published.mirrors)
    for url in others:
        try:
            download.download(url, target, "", published.size, published.md5)
        except download.UnavailableError as error:
            logging.warning("%s Trying another place.", error)
        else:
            return target
    advice = (
        f"Or get {published.name} elsewhere and name the directory it is in by "
        f"--source_dir, or a mirror by --mirror or {mirrors.VARIABLE}."
    )
    download.download(last, target, advice, published.size, published.md5)
    return target


def _unpacked(
    archive: pathlib.Path, name: str, work: pathlib.Path, contents: str
) -> pathlib.Path:
    """The folder of an archive, unpacked into `work` unless this archive has been."""
    facts = archive.stat()
    identity = f"{archive.absolute()}:{facts.st_size}:{facts.st_mtime_ns}"
    digest = hashlib.sha256(os.fsencode(identity)).hexdigest()[:8]
    target = work / f"{archive.name}-{digest}"
    try:
        archives.unpack(archive, target)
        if not _has(target / name, contents):
            raise archives.DamagedError(
                f"{archive} has no {name}/{contents} in it; is it the published "
                "archive?"
            )
    except archives.DamagedError:
        if archive.is_relative_to(work):  # So that it is downloaded anew.
            archive.unlink()
        raise
    return target / name


def _not_found(root: _Path, expected: Sequence[pathlib.Path]) -> UserError:
    return UserError(
        f"there is no {' or '.join(map(str, expected))}: {files.listing(str(root))}. "
        f"Set --source_dir to where the files are, or leave it out to download them."
    )
