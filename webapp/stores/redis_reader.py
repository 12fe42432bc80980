"""Reads values from one Redis with less ado than redis-py's client.

The client takes a connection from its pool for each command, looks whether the server
has closed it, and gives it back: half of what asking for two values takes.
"""

import os
from typing import Any

import redis

# Connections that are kept beside the client's pool, and how many it must be able to
# have for that: one listens for news, and others write.
MOST_KEPT, ROOMY = 8, 32


class Reader:
    """Asks a client's server over connections that stay out of its pool."""

    def __init__(self, client: redis.Redis) -> None:
        self._pool = pool = client.connection_pool
        self._mget = client.mget
        # Those of Sentinel change their server, and have to ask the pool.
        self._keeps = (
            type(pool) is redis.ConnectionPool and pool.max_connections >= ROOMY
        )
        self._kept: list[Any] = []

    def mget(self, names: list[str]) -> Any:
        """Return what `Redis.mget` does, and raise what it raises."""
        connection = self._take()
        if connection is None:
            return self._mget(names)
        try:
            connection.send_command("MGET", *names)
            found = connection.read_response()
        except redis.ConnectionError:
            self._pool.release(connection)
            # The server has closed it since, or started anew. The client's are looked
            # at before they are used.
            return self._mget(names)
        except BaseException:
            self._pool.release(connection)
            raise
        if len(self._kept) < MOST_KEPT and not connection.should_reconnect():
            self._kept.append(connection)
        else:
            self._pool.release(connection)
        return found

    def forget(self) -> None:
        """Give the connections up, because another server has taken over."""
        while self._kept:
            connection = self._kept.pop()
            connection.disconnect()
            self._pool.release(connection)

    def _take(self) -> Any:
        try:
            connection = self._kept.pop()
        except IndexError:
            return self._pool.get_connection() if self._keeps else None
        if connection.pid == os.getpid():
            return connection
        # It is the parent's.
        self._kept = []
        return None
