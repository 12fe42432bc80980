"""`If-Match` and `If-None-Match` (RFC 9110), and the ETags they name.

An entry's ETag is its version: never the same for two contents.
"""

from dataclasses import dataclass
from typing import Any, Self

from werkzeug.http import parse_etags

from webapp.errors import PreconditionFailed, PreconditionRequired


class NotModified(Exception):
    """The client has it already."""

    def __init__(self, etag: str) -> None:
        super().__init__(etag)
        self.etag = etag


def etag_of(entry: Any) -> str:
    """Write the ETag of an entry as it stands in a header."""
    return f'"{entry.version}"'


@dataclass(frozen=True)
class Conditions:
    """What a request says of the version it expects; None where it says nothing."""

    if_match: str | None = None
    if_none_match: str | None = None

    def require(self) -> Self:
        """Raise PreconditionRequired for a write that says nothing."""
        if self.if_match is None and (self.if_none_match or "").strip() != "*":
            raise PreconditionRequired(
                "Send If-Match with the ETag of the entry you saw, or "
                "If-None-Match: * to make a new one."
            )
        return self

    def check_write(self, etag: str | None) -> None:
        """Raise PreconditionFailed when a write must not be done.

        `etag` is that of what is there, None for nothing.
        """
        if self.if_match is not None and not self._matches(etag):
            raise PreconditionFailed(
                "It is not there, or not any more."
                if etag is None
                else "It was changed in the meantime."
            )
        if self.if_none_match is not None and self._is_known(etag):
            raise PreconditionFailed(
                "There is one already that If-None-Match rules out."
            )

    def check_read(self, etag: str) -> None:
        """Raise NotModified or PreconditionFailed instead of giving it again."""
        if self.if_match is not None and not self._matches(etag):
            raise PreconditionFailed("It is not what If-Match names.")
        if self.if_none_match is not None and self._is_known(etag):
            raise NotModified(etag)

    def _matches(self, etag: str | None) -> bool:
        """Compare strongly: a weak ETag matches nothing."""
        named = parse_etags(self.if_match)
        return etag is not None and (named.star_tag or named.is_strong(etag[1:-1]))

    def _is_known(self, etag: str | None) -> bool:
        named = parse_etags(self.if_none_match)
        return etag is not None and named.contains_weak(etag[1:-1])
