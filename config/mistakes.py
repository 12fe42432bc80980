"""Why the application does not start, for whoever set it up; with no secret in it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class RefusedToStart(Exception):
    """The application must not run like this; the text is for the operator."""


class Unavailable(Exception):
    """A setting's value cannot be had from where it is; the text says why."""


class Unreachable(Unavailable):
    """Nor can any other from there."""


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """Put the setting that has to be looked at in front of the reason."""
    try:
        yield
    except RefusedToStart as reason:
        raise RefusedToStart(f"{setting}: {reason}") from reason


def one_line(error: object) -> str:
    """Write as one sentence what a driver said, some of which take several lines."""
    said = " ".join(str(error).split())
    return said if said.endswith((".", "?", "!")) else f"{said}."


def explain(mistake: Mapping[str, Any], origin: str | None = None) -> str:
    """Say in one line which setting it is, what was given and what is allowed.

    What came from elsewhere than its variable is not shown, but its origin is.
    """
    name = str(mistake["loc"][0]).upper()
    given = str(mistake["input"])
    if name.endswith("_URL"):
        given = without_password(given)
    elif name.endswith(("_TOKEN", "_KEYS")):
        given = "***"
    allowed = mistake["msg"].removeprefix("Value error, ")
    return f"{origin or f'{name}={given}'}: {allowed[:1].lower()}{allowed[1:]}"


def without_password(url: str) -> str:
    """Leave out what may be one, however wrong the URL is."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    before, at, host = rest.rpartition("@")
    host, mark, _ = (host if at else before or rest).partition("?")
    return f"{scheme}{separator}{'***@' if at else ''}{host}{'?***' if mark else ''}"
