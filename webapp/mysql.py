"""PyMySQL's connection, made without a stop of the whole loop."""

from typing import Any

from pymysql.connections import Connection


class PromptConnection(Connection):  # type: ignore[misc]
    """PyMySQL's reads all certificates of the system for each connection.

    That takes 18 ms in which nobody else is served. Where the URL says nothing of TLS,
    nothing is checked by them, and what was read once does for all.
    """

    _unchecked: Any = None

    def _create_ssl_ctx(self, given: Any) -> Any:
        if given:
            return super()._create_ssl_ctx(given)
        if PromptConnection._unchecked is None:
            PromptConnection._unchecked = super()._create_ssl_ctx({})
        return PromptConnection._unchecked


def connect(
    _dialect: Any, _record: Any, arguments: Any, named: Any
) -> PromptConnection:
    """Connect in SQLAlchemy's place: a listener of `do_connect`."""
    return PromptConnection(*arguments, **named)
