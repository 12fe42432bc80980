"""Prove it: serve for real, kill the process, serve again, and see what is there.

It happens at the places of the settings in force, with an account that is made for it.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.platform import environment_with
from webapp.accounts.inputs import NewAccount
from webapp.accounts.service import Accounts
from webapp.cache import NAMES, box_of
from webapp.errors import HoldfastError, StoreUnavailable
from webapp.sessions.records import hash_id
from webapp.stores import Store

ROOT = Path(__file__).parents[2]
# Seconds.
STARTS_WITHIN, ANSWERS_WITHIN = 60.0, 10.0
KEY, VALUE = "proof", "still here"
TOKEN = re.compile(r'name="form_token" value="(\w+)"')


class NotServed(HoldfastError):
    """The application does not start or does not answer like this."""


@dataclass(frozen=True)
class Seen:
    """What was there after the kill; `seconds` from the second start to an answer."""

    is_logged_in: bool
    has_entry: bool
    has_copy: bool
    has_cached_values: bool
    seconds: float


class Proof:
    """A server of our own, and a browser that uses it."""

    def __init__(self, accounts: Accounts, sessions: Store, cache: Store) -> None:
        # Here, because only this command needs it.
        import requests  # noqa: PLC0415

        self._accounts, self._sessions, self._cache = accounts, sessions, cache
        self._port = _free_port()
        self._browser = requests.Session()
        # No proxy stands between us and ourselves.
        self._browser.trust_env = False

    def run(self, who: NewAccount) -> Iterator[str | Seen]:
        """Say each step before it is done, and give what was seen; raises NotServed."""
        account = self._accounts.create(who)
        try:
            yield "Starting the application"
            with self._serving():
                yield f"Logging in as {who.name} and keeping a value"
                self._use(who)
                yield "Killing it (kill -9)"
            copy: Any = None
            values: list[Any] = []
            # A store that is away keeps nothing now.
            with suppress(StoreUnavailable):
                copy = self._sessions.get(hash_id(self._browser.cookies["session"]))
                boxes = [box_of(account.id, name) for name in NAMES]
                values = self._cache.get_many(*boxes)
            yield "Starting it again"
            began = time.monotonic()
            with self._serving():
                seconds = time.monotonic() - began
                page = self._open(f"/entries/{KEY}")
                yield Seen(
                    is_logged_in=page.status_code == 200 and "/login" not in page.url,
                    has_entry=VALUE in page.text,
                    has_copy=copy is not None,
                    has_cached_values=any(values),
                    seconds=seconds,
                )
        finally:
            self._accounts.remove(account.id)

    def _use(self, who: NewAccount) -> None:
        self._send("/login", name=who.name, password=who.password)
        entry = {"key": KEY, "kind": "text", "value": VALUE}
        token = TOKEN.search(self._open("/entries/new").text)
        if token is None:
            raise NotServed("Nobody could log in.")
        self._send("/entries/new", form_token=token[1], **entry)
        # The first shows that it was saved; the second is kept as a cached value.
        for _ in range(2):
            self._open("/entries")

    def _open(self, path: str) -> Any:
        return self._browser.get(self._address(path), timeout=ANSWERS_WITHIN)

    def _send(self, path: str, **form: str) -> None:
        answer = self._browser.post(
            self._address(path),
            data=form,
            timeout=ANSWERS_WITHIN,
            allow_redirects=False,
        )
        if answer.status_code != 303:
            raise NotServed(f"{path} was answered {answer.status_code}.")

    def _address(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    @contextmanager
    def _serving(self) -> Iterator[None]:
        """Serve as it is deployed, on a port of its own, until kill -9."""
        command = [sys.executable, "-m", "gunicorn", "-c", f"{ROOT}/gunicorn.conf.py"]
        server = subprocess.Popen(  # noqa: S603
            [*command, "--pythonpath", str(ROOT)],
            env=environment_with(
                PORT=str(self._port),
                BIND_ADDRESS="127.0.0.1",
                WEB_CONCURRENCY="1",
                TRUSTED_PROXIES="0",
            ),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait_for(server)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()

    def _wait_for(self, server: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                if self._open("/healthz").status_code == 200:
                    return
            if server.poll() is not None:
                raise NotServed("The application does not start.")
            time.sleep(0.02)
        raise NotServed(
            f"The application does not answer within {STARTS_WITHIN:.0f} s."
        )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
