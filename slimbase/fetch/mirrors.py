"""Finding published files on a mirror: a directory, or a URL of another host."""

import os
import pathlib
import urllib.parse
from collections.abc import Iterator

from slimbase import files
from slimbase.errors import UserError
from slimbase.fetch import checksums, download

VARIABLE = "SLIMZOO_MIRROR"
_OPTION = f"--mirror or {VARIABLE}"


def chosen(mirror: str | os.PathLike[str] | None = None) -> str:
    """The user's mirror: as given, or what the environment says; "" for none."""
    return os.fspath(mirror or os.environ.get(VARIABLE) or "")


def fetch(
    url: str,
    path: str | os.PathLike[str],
    mirror: str | os.PathLike[str] | None = None,
    md5: str | None = None,
    least: int = 1,
) -> pathlib.Path:
    """Finds a published file on a mirror, or downloads it.

    A mirror has it below the host and path of `url`, or below any end of them.

    Args:
      url: where the file was published, which is where it comes from if no mirror
        is chosen.
      path: where a download goes to.
      mirror: a directory or URL, instead of what the environment says.
      md5: of the published file, in hexadecimal digits, if known.
      least: how many parts of the path a mirror must have at least, where a file's name
        alone does not say which one it is.

    Returns:
      The file in the mirror's directory, or `path`.

    Raises:
      UserError: as `download.download`; `NotFoundError` if the mirror does not have
        it; `UnavailableError` if what it has is another file.
    """
    mirror = chosen(mirror)
    if mirror and "://" not in mirror:
        found = _find(mirror, url, least)
        if wrong := checksums.difference(found, md5=md5):
            raise download.UnavailableError(
                f"{found} is not what was published at {url}: {wrong}. Put the "
                f"published file there, or name another mirror by {_OPTION}."
            )
        return found
    if mirror:
        _download(mirror, url, path, md5, least)
    else:
        advice = f"On a machine without a network, put {url} into a directory and name "
        download.download(url, path, f"{advice}it by {_OPTION}.", md5=md5)
    return pathlib.Path(path)


def _download(
    mirror: str,
    url: str,
    path: str | os.PathLike[str],
    md5: str | None,
    least: int,
) -> None:
    reason = ""
    for place in _places(url, least):
        try:
            download.download(f"{mirror.rstrip('/')}/{place}", path, md5=md5)
        except (download.NotFoundError, download.ForbiddenError) as error:
            reason = str(error)
        except download.UnavailableError as error:
            raise download.UnavailableError(
                f"{error} This is the mirror that {_OPTION} names: check that it is "
                "right and running, or leave it out."
            ) from error
        else:
            return
    raise _lacking(mirror, url, reason, least)


def _lacking(mirror: str, url: str, reason: str, least: int) -> UserError:
    return download.NotFoundError(
        f"the mirror {mirror} does not have what was published at {url}: "
        f"{reason.rstrip('.')}. Below the mirror, these places were tried: "
        f"{', '.join(_places(url, least))}. Put it at one of them, or name another "
        f"mirror by {_OPTION}."
    )


def _places(url: str, least: int) -> Iterator[str]:
    """The host and path of `url`, and all they end in, of `least` parts at least."""
    parts = urllib.parse.urlsplit(url)
    names = [parts.netloc, *parts.path.strip("/").split("/")]
    for start in range(max(len(names) - least, 0) + 1):
        yield "/".join(names[start:])


def _find(mirror: str, url: str, least: int) -> pathlib.Path:
    for place in _places(url, least):
        path = pathlib.Path(mirror, place)
        if path.is_file():
            return path
    raise _lacking(mirror, url, files.listing(mirror), least)
