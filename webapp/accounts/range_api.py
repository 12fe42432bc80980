"""Ask a range API for all known passwords whose SHA-1 begins with five characters.

Have I Been Pwned has them, and is told no more (k-anonymity). CacheControl says how
long an answer holds; it is kept among the cached values.
"""

import logging
import re
import socket
import ssl
from base64 import b64decode, b64encode
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from threading import Thread
from typing import Any

import requests
from cachecontrol import CacheController
from cachecontrol.cache import BaseCache
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from webapp.errors import StoreUnavailable
from webapp.stores import Store

# Seconds, from asking for the address of the host to the last byte.
TIMEOUT = 1.0
# The usual answer has 40 to 80 kB.
LARGEST_ANSWER = 524_288
# Seconds that an answer is kept at most, whatever its max-age: there are a million
# answers, and few are ever needed again.
KEPT_FOR = 86_400
HEADERS = {
    "Accept": "text/plain",
    "Accept-Encoding": "identity",
    # Lines that mean nothing, so that the length of the answer does not tell which.
    "Add-Padding": "true",
    "User-Agent": "Holdfast",
}
LINES = re.compile(
    rb"(?:[0-9A-F]{35}:[0-9]+\r?\n)*[0-9A-F]{35}:[0-9]+\s*", re.IGNORECASE
)
# What these log has the address in it, and with it a part of the hash.
for name in ("urllib3.connection", "urllib3.connectionpool", "cachecontrol"):
    logging.getLogger(name).setLevel(logging.ERROR)


class BadAnswer(ValueError):
    """The API answered, but not with a list."""


class Question(HTTPAdapter):
    """One question and its answer, over after TIMEOUT whatever the other side does.

    An adapter without a session: that would follow redirects, keep cookies and send
    what is in ~/.netrc.
    """

    def __init__(
        self, kept: BaseCache, tls: ssl.SSLContext | None, proxies: dict[str, str]
    ) -> None:
        super().__init__()
        self._control = CacheController(kept)
        self._tls = tls
        self._proxies = proxies
        self._connections: list[Any] = []

    def ask(self, address: str) -> bytes:
        """Return the lines; raises anything when there are none."""
        answer: Future[bytes] = Future()
        # The timeouts of sockets are for each piece: a server can send a byte now and
        # then for ever. And looking up the host has none at all.
        Thread(target=self._answer, args=(address, answer), daemon=True).start()
        try:
            return answer.result(TIMEOUT)
        finally:
            self._hang_up()

    def _answer(self, address: str, answer: Future[bytes]) -> None:
        try:
            answer.set_result(self._find(address))
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            answer.set_exception(error)
        finally:
            self.close()

    def _find(self, address: str) -> bytes:
        request = requests.Request("GET", address, HEADERS).prepare()
        if kept := self._control.cached_request(request):
            return _checked(kept.read())
        request.headers.update(self._control.conditional_headers(request))
        with self.send(
            request, stream=True, timeout=TIMEOUT, proxies=self._proxies
        ) as answer:
            if answer.status_code == 304:
                kept = self._control.update_cached_response(request, answer.raw)
                return _checked(kept.read())
            # CacheControl's own adapter would keep an answer before it was looked at,
            # and a permanent redirect for ever.
            lines = _checked(_read(answer))
            self._control.cache_response(request, answer.raw, lines)
            return lines

    def _hang_up(self) -> None:
        """Wake whoever still waits for the other side."""
        for connection in self._connections:
            # There is none yet, or it is closed already.
            with suppress(AttributeError, OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        place, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return place, {"ssl_context": self._tls}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Read no file of authorities for each connection: that takes 40 ms."""

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        make = pool.ConnectionCls

        def remember(**options: Any) -> Any:
            connection = make(**options)
            self._connections.append(connection)
            return connection

        pool.ConnectionCls = remember
        return pool


class KeptAnswer(BaseCache):
    """One place among the cached values; CacheControl decides what it is good for."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key

    def get(self, key: str) -> bytes | None:
        with suppress(StoreUnavailable, ValueError):
            content = self._store.get(self._key)
            if isinstance(content, str):
                return b64decode(content, validate=True)
        return None

    def set(
        self, key: str, value: bytes, expires: int | datetime | None = None
    ) -> None:
        seconds = expires if isinstance(expires, int) else KEPT_FOR
        timeout = max(1, min(seconds, KEPT_FOR))
        with suppress(StoreUnavailable, ValueError):  # Away, or it is too large.
            self._store.set(self._key, b64encode(value).decode(), timeout=timeout)

    def delete(self, key: str = "") -> None:
        with suppress(StoreUnavailable):
            self._store.delete(self._key)


def _read(answer: requests.Response) -> bytes:
    raw = answer.raw
    if answer.status_code != 200:
        raise BadAnswer(f"status {answer.status_code}")
    if not raw.chunked and raw.length_remaining is None:
        raise BadAnswer("an answer that ends when the connection does")
    content = b""
    for piece in raw.stream(65_536, decode_content=False):
        content += piece
        if len(content) > LARGEST_ANSWER:
            raise BadAnswer(f"over {LARGEST_ANSWER:,} bytes")
    return content


def _checked(lines: bytes) -> bytes:
    """Raise BadAnswer for what is no list: a page that asks for a log-in, say."""
    if not LINES.fullmatch(lines):
        raise BadAnswer("no list of hashes")
    return lines


def trusting_context() -> ssl.SSLContext:
    """Trust whom the system trusts; where it names nobody in a file, Mozilla's list."""
    context = ssl.create_default_context()
    if not context.get_ca_certs():
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


def explain(error: BaseException) -> str:
    """Name what is behind it; its text could have the address in it."""
    if isinstance(error, BadAnswer):
        return str(error)
    while cause := error.__cause__ or error.__context__:
        error = cause
    return type(error).__name__
