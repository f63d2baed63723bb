"""Finding published files on a mirror: a directory, or a URL of another host."""

import os
import pathlib
import urllib.parse
from collections.abc import Iterator, Sequence

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
    name: str = "",
    advise: bool = True,
) -> pathlib.Path:
    """Finds a published file on a mirror, or downloads it.

    A mirror has it below the host and path of `url`, or below any end of them.

    Args:
      url: where the file was published, which is where it comes from if no mirror
        is chosen.
      path: where a download goes to.
      mirror: a directory or URL, instead of what the environment says.
      md5: of the file in hexadecimal digits, if it was published.
      name: a part of the path of `url` that its place on a mirror must have, where
        files of other content have the same file name.
      advise: whether errors end with advice on mirrors.

    Returns:
      The file in the mirror's directory, or `path`.

    Raises:
      UserError: as `download.download`; `NotFoundError` if the mirror does not have
        it, `UnavailableError` if what it has is not what was published.
    """
    mirror = chosen(mirror)
    places = [place for place in _places(url) if name in place]
    if mirror and "://" not in mirror:
        return _find(mirror, url, places, md5)
    if mirror:
        _download(mirror, url, places, path, md5)
    else:
        advice = f"On a machine without a network, put {url} into a directory and name "
        advice += f"it by {_OPTION}."
        download.download(url, path, advice if advise else "", md5=md5)
    return pathlib.Path(path)


def _download(
    mirror: str,
    url: str,
    places: Sequence[str],
    path: str | os.PathLike[str],
    md5: str | None,
) -> None:
    reason = ""
    for place in places:
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
    raise _lacking(mirror, url, places, reason)


def _lacking(mirror: str, url: str, places: Sequence[str], reason: str) -> UserError:
    return download.NotFoundError(
        f"the mirror {mirror} does not have what was published at {url}: "
        f"{reason.rstrip('.')}. Below the mirror, these places were tried: "
        f"{', '.join(places)}. Put it at one of them, or name another mirror by "
        f"{_OPTION}."
    )


def _places(url: str) -> Iterator[str]:
    """The host and path of `url`, and all that they end in."""
    parts = urllib.parse.urlsplit(url)
    names = [parts.netloc, *parts.path.strip("/").split("/")]
    for start in range(len(names)):
        yield "/".join(names[start:])


def _find(
    mirror: str, url: str, places: Sequence[str], md5: str | None
) -> pathlib.Path:
    for place in places:
        path = pathlib.Path(mirror, place)
        if path.is_file():
            if wrong := checksums.difference(path, md5=md5):
                raise download.UnavailableError(
                    f"{path} is not what was published at {url}: {wrong}. Get it "
                    "again, or move it away."
                )
            return path
    raise _lacking(mirror, url, places, files.listing(mirror))
