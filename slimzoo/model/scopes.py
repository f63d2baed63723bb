"""The scopes of variables: the beginnings of their names."""

from collections.abc import Iterable, Sequence

from slimbase.errors import UserError


def of(names: Iterable[str], depth: int = 2) -> list[str]:
    """The scopes of variables, down to `depth` levels, in the order of `names`."""
    return list(dict.fromkeys("/".join(name.split("/")[:depth]) for name in names))


def split(flag: str, value: str | None) -> list[str]:
    """The scopes that a comma-separated flag lists.

    Raises:
      UserError: when the list has an empty scope.
    """
    if value is None:
        return []
    scopes = [scope.strip() for scope in value.split(",")]
    if not all(scopes):
        raise UserError(f"--{flag}={value!r} lists an empty scope")
    return scopes


def check(flag: str, scopes: Iterable[str], names: Sequence[str]) -> None:
    """Checks that each of `scopes` is the beginning of one of `names`.

    Raises:
      UserError: for a scope that is not; the message lists the scopes that exist.
    """
    for scope in scopes:
        if not any(name.startswith(scope) for name in names):
            raise UserError(
                f"--{flag}: no variable is in the scope {scope!r}; there are "
                + ", ".join(of(names))
            )
