"""PyMySQL's connection, made without a stop of the loop, which gives a server up."""

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

    def wait_at_most(self, seconds: float) -> None:
        """Give a server up that says nothing for so long; PyMySQL waits for ever."""
        self._read_timeout = self._write_timeout = seconds


def connect(arguments: Any, named: Any, patience: float) -> PromptConnection:
    limits = {"read_timeout": patience, "write_timeout": patience}
    return PromptConnection(*arguments, **(named | limits))
