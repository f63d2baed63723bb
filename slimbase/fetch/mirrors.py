"""Finding published files on a mirror: a directory, or a URL of another host."""

import os
import pathlib
import urllib.parse
from collections.abc import Iterator

from slimbase import files
from slimbase.errors import UserError
from slimbase.fetch import download

VARIABLE = "SLIMZOO_MIRROR"
_OPTION = f"--mirror or {VARIABLE}"


def chosen(mirror: str | os.PathLike[str] | None = None) -> str:
    """The user's mirror: as given, or what the environment says; "" for none."""
    return os.fspath(mirror or os.environ.get(VARIABLE) or "")


def fetch(
    url: str,
    path: str | os.PathLike[str],
    mirror: str | os.PathLike[str] | None = None,
) -> pathlib.Path:
    """Finds a published file on a mirror, or downloads it.

    A mirror has it below the host and path of `url`, or below any end of them.

    Args:
      url: where the file was published, which is where it comes from if no mirror
        is chosen.
      path: where a download goes to.
      mirror: a directory or URL, instead of what the environment says.

    Returns:
      The file in the mirror's directory, or `path`.

    Raises:
      UserError: as `download.download`; `NotFoundError` if the mirror does not have
        it.
    """
    mirror = chosen(mirror)
    if mirror and "://" not in mirror:
        return _find(mirror, url)
    if mirror:
        _download(mirror, url, path)
    else:
        advice = f"On a machine without a network, put {url} into a directory and name "
        download.download(url, path, f"{advice}it by {_OPTION}.")
    return pathlib.Path(path)


def _download(mirror: str, url: str, path: str | os.PathLike[str]) -> None:
    reason = ""
    for place in _places(url):
        try:
            download.download(f"{mirror.rstrip('/')}/{place}", path)
        except (download.NotFoundError, download.ForbiddenError) as error:
            reason = str(error)
        except download.UnavailableError as error:
            raise download.UnavailableError(
                f"{error} This is the mirror that {_OPTION} names: check that it is "
                "right and running, or leave it out."
            ) from error
        else:
            return
    raise _lacking(mirror, url, reason)


def _lacking(mirror: str, url: str, reason: str) -> UserError:
    return download.NotFoundError(
        f"the mirror {mirror} does not have what was published at {url}: "
        f"{reason.rstrip('.')}. Below the mirror, these places were tried: "
        f"{', '.join(_places(url))}. Put it at one of them, or name another mirror by "
        f"{_OPTION}."
    )


def _places(url: str) -> Iterator[str]:
    """The host and path of `url`, and all that they end in."""
    parts = urllib.parse.urlsplit(url)
    names = [parts.netloc, *parts.path.strip("/").split("/")]
    for start in range(len(names)):
        yield "/".join(names[start:])


def _find(mirror: str, url: str) -> pathlib.Path:
    for place in _places(url):
        path = pathlib.Path(mirror, place)
        if path.is_file():
            return path
    raise _lacking(mirror, url, files.listing(mirror))
