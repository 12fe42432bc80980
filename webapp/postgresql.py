"""psycopg's connection, which gives a server up that says nothing."""

import time
from typing import Any

from psycopg import Connection, OperationalError


class BoundedConnection(Connection[Any]):
    """Waits so many seconds for each answer, where psycopg waits for ever.

    A server that is frozen, or behind a network that has gone, keeps to no limit of its
    own.
    """

    _patience: float | None = None

    def wait_at_most(self, seconds: float) -> None:
        self._patience = seconds

    def wait(self, gen: Any, *given: Any, **named: Any) -> Any:
        begin, patience = time.monotonic(), self._patience
        try:
            return super().wait(gen, *given, **{"timeout": patience} | named)
        except OperationalError:
            if patience and time.monotonic() - begin >= patience:
                # What it says later would be taken for the answer to something else.
                self.pgconn.finish()
            raise


def connect(arguments: Any, named: Any, patience: float) -> BoundedConnection:
    connection = BoundedConnection.connect(*arguments, **named)
    connection.wait_at_most(patience)
    return connection
