"""Values in Memcached, spread over the servers that a URL names.

A key has one server. While that is away its values are missing and are not put to
another: what is there from before would be older than what this one has.
"""

import hashlib
import re
import secrets
import socket
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from cachelib import BaseCache
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.rendezvous import RendezvousHash
from pymemcache.exceptions import (
    MemcacheClientError,
    MemcacheError,
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
)

from config.urls import split_url
from webapp.errors import StoreUnavailable
from webapp.lasting import Lasting
from webapp.stores.circuit import TIMEOUT, Circuit
from webapp.stores.interface import Json, Measure

PORT = 11211
# Seconds; a longer time is a moment to Memcached, which counts those up to the last.
LONGEST_TIME = 30 * 24 * 3600
LAST_MOMENT = 2**31 - 1
FAILURES = (OSError, MemcacheError)
# As Redis Cluster has it: what is in braces decides where a key is.
TAG = re.compile(r"\{(.+?)\}")


class MemcachedStore(BaseCache):
    """Values in Memcached, which expires them itself.

    Memcached can neither list keys nor delete some of them. So every value carries
    the number of its generation, which is kept beside them at each server and read
    together with them: who changes it has cleared the store, and a number that
    Memcached took away never comes again. Memcached's `flags` are that number.
    """

    serializer = Json()
    is_shared = True

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(default_timeout=0)
        self.last_trouble = 0.0
        self._prefix = prefix
        self._generation = f"{prefix}generation"
        self._servers = {
            name: _Server(self, name, *address) for name, address in _addresses(url)
        }
        self._ring = RendezvousHash(list(self._servers))

    @property
    def place(self) -> str:
        return f"memcached://{','.join(self._servers)}"

    def lasting(self) -> Lasting:
        try:
            for server in self._servers.values():
                with server.asking() as client:
                    client.version()
        except StoreUnavailable as error:
            return Lasting(None, None, str(error))
        return Lasting(
            restart=True,
            redeploy=True,
            warning="Memcached keeps nothing on disk: it forgets everything when it "
            "restarts, and what it likes when it is full",
        )

    def get(self, key: str) -> Any:
        return self.get_many(key)[0]

    def get_many(self, *keys: str) -> list[Any]:
        names = [self._name(key) for key in keys]
        spread: dict[_Server, list[str]] = defaultdict(list)
        for key, name in zip(keys, names, strict=True):
            spread[self._server_of(key)].append(name)
        found: dict[str, Any] = {}
        for server, asked in spread.items():
            with server.asking() as client:
                said = client.get_many([self._generation, *asked])
            generation = said.get(self._generation)
            found |= {name: self._read(said.get(name), generation) for name in asked}
        return [found[name] for name in names]

    def has(self, key: str) -> bool:
        return self.get(key) is not None

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        content = self.serializer.dumps(value)
        with self._server_of(key).asking() as client:
            return bool(
                client.set(self._name(key), content, **self._how(client, timeout))
            )

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        name, content = self._name(key), self.serializer.dumps(value)
        with self._server_of(key).asking() as client:
            how = self._how(client, timeout)
            if client.add(name, content, **how):
                return True
            found, token = client.gets(name)
            if token is None or self._read(found, (b"", how["flags"])) is not None:
                return False
            return bool(client.cas(name, content, token, **how))

    def replace(self, key: str, value: Any, expected: Any, timeout: int) -> bool:
        name, content = self._name(key), self.serializer.dumps(value)
        with self._server_of(key).asking() as client:
            how = self._how(client, timeout)
            found, token = client.gets(name)
            if token is None or self._read(found, (b"", how["flags"])) != expected:
                return False
            return bool(client.cas(name, content, token, **how))

    def delete(self, key: str) -> bool:
        with self._server_of(key).asking(deleting=True) as client:
            return bool(client.delete(self._name(key)))

    def purge(self, limit: int) -> int:
        return 0

    def measure(self) -> Measure:
        """Say that it is not known: Memcached counts everybody's values together."""
        return Measure(None, None)

    def clear(self) -> bool:
        failed = None
        for server in self._servers.values():
            try:
                with server.asking(deleting=True) as client:
                    client.set(self._generation, b"", flags=_new_generation())
            except StoreUnavailable as error:
                failed = error
        if failed:
            raise failed
        return True

    def _read(self, found: Any, generation: Any) -> Any:
        """Return the value; None where there is none of this generation."""
        if found is None or generation is None or found[1] != generation[1]:
            return None
        return self.serializer.loads(found[0])

    def _how(self, client: PooledClient, timeout: int | None) -> dict[str, int]:
        """Return what a value is kept with: its generation, and until when."""
        found = client.get(self._generation)
        if found is None:
            # Of several who begin one at the same time, one is heard.
            client.add(self._generation, b"", flags=_new_generation())
            found = client.get(self._generation)
        if found is None:
            raise MemcacheServerError("it keeps nothing")
        return {"flags": found[1], "expire": _expire(timeout or 0)}

    def _name(self, key: str) -> str:
        # Any text can be a key here, and 250 characters without spaces there.
        return self._prefix + hashlib.sha256(key.encode()).hexdigest()

    def _server_of(self, key: str) -> "_Server":
        tag = TAG.search(key)
        return self._servers[self._ring.get_node(tag[1] if tag else key)]


class _Server:
    """One server with its connections, left alone by itself when it fails."""

    def __init__(self, store: MemcachedStore, name: str, host: str, port: int) -> None:
        self._circuit = Circuit(
            store, f"Memcached at {name}", FAILURES, _is_away, _describe
        )
        self._client = PooledClient(
            (host, port), serde=_WithFlags(), default_noreply=False
        )
        self._client.client_class = _Connection

    @contextmanager
    def asking(self, *, deleting: bool = False) -> Iterator[PooledClient]:
        try:
            with self._circuit.asking(deleting=deleting):
                yield self._client
        except StoreUnavailable:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        """Close what nobody uses; a server that was restarted knows none of it."""
        # The pool's own `clear` would take others' connections out of their hands.
        pool = self._client.client_pool
        for _ in pool.free:
            pool.destroy(pool.get())

    def __del__(self) -> None:
        self._disconnect()


class _Connection(Client):  # type: ignore[misc]
    """Tries every address of a host; the driver's own would try the first alone."""

    def _connect(self) -> None:
        self.close()
        self.sock = socket.create_connection(self.server, TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _WithFlags:
    """Gives a value back together with its flags."""

    def serialize(self, _key: Any, value: bytes) -> tuple[bytes, int]:
        return value, 0

    def deserialize(self, _key: Any, value: bytes, flags: int) -> tuple[bytes, int]:
        return value, flags


def _new_generation() -> int:
    return secrets.randbelow(2**32 - 1) + 1


def _expire(timeout: int) -> int:
    if timeout <= LONGEST_TIME:
        return timeout
    return min(int(time.time()) + timeout, LAST_MOMENT)


def _is_away(error: Exception) -> bool:
    """Tell a server that answers something, if only that it cannot, from none."""
    answered = isinstance(error, (MemcacheServerError, MemcacheClientError))
    return not answered or isinstance(error, MemcacheUnexpectedCloseError)


def _describe(error: Exception) -> str:
    if isinstance(error, MemcacheUnexpectedCloseError):
        return "it closed the connection"
    said = error.args[0] if error.args else ""
    return said.decode("ascii", "replace") if isinstance(said, bytes) else str(error)


def _addresses(url: str) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yield each server of `memcached://HOST:PORT,HOST:PORT`, or raise ValueError."""
    parts = split_url(url)
    if "@" in parts.netloc or parts.path.strip("/") or parts.query:
        raise ValueError("hosts and ports alone, for it knows no user and no path")
    for each in parts.netloc.split(","):
        found = urlsplit(f"//{each}")
        if not found.hostname:
            raise ValueError("the name of a host is missing")
        port = found.port or PORT
        name = each if found.port else f"{each.rstrip(':')}:{port}"
        yield name, (found.hostname, port)
