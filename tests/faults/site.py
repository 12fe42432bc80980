"""One data folder behind one process or two, on files or on Redis."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.faults.people import Tab, at_once, new_name, wait_until
from tests.servers import Gunicorn, Redis

# How many may log in at once is not what these tests are about.
SETTINGS = {"LOGIN_ATTEMPTS": "100", "TRUSTED_PROXIES": "1"}


class Staged(Gunicorn):
    """The application with tests/faults/stage.py around it."""

    def command(self) -> list[str]:
        return [*super().command(), "tests.faults.stage:app"]


class Site:
    """The processes, and what is stored behind them."""

    def __init__(self, folder: Path, redis: Redis | None, processes: int) -> None:
        self.folder = folder
        self.redis = redis
        settings = SETTINGS | {"DATA_DIR": str(folder / "data")}
        if redis:
            settings["REDIS_URL"] = redis.url
        self.servers = []
        for number in range(processes):
            own = folder / f"process{number}"
            own.mkdir()
            self.servers.append(Staged(own, **settings))

    @property
    def first(self) -> Gunicorn:
        return self.servers[0]

    @property
    def last(self) -> Gunicorn:
        return self.servers[-1]

    def start(self) -> "Site":
        at_once(*(server.start for server in self.servers))
        return self

    def close(self) -> None:
        for server in self.servers:
            server.close()
        if self.redis:
            self.redis.kill()

    def new_person(self) -> tuple[str, Tab]:
        name = new_name()
        return name, Tab(self.first).sign_up(name)

    def log_in(self, name: str) -> Tab:
        """Log in with one more browser."""
        tab = Tab(self.first)
        assert tab.log_in(name).status_code == 303
        return tab

    def query(self, statement: str, *values: object) -> list[Any]:
        """Read, or edit, the database behind the application's back."""
        file = self.folder / "data" / "holdfast.db"
        with closing(sqlite3.connect(file, timeout=5)) as db, db:
            return db.execute(statement, values).fetchall()

    def is_alive_on_record(self, cookie: str) -> bool:
        statement = "SELECT ended_at IS NULL FROM sessions WHERE id_hash = ?"
        return bool(self.query(statement, id_hash(cookie))[0][0])

    def record_id(self, cookie: str) -> int:
        statement = "SELECT id FROM sessions WHERE id_hash = ?"
        return int(self.query(statement, id_hash(cookie))[0][0])

    def is_dead(self, cookie: str) -> bool:
        """Tell whether the cookie opens nothing at any process, and nothing is left."""
        opened = [Tab(server, cookie).is_logged_in() for server in self.servers]
        return not any(opened) and self.place_of(cookie) is None

    def stored(self) -> set[str]:
        """Name every file in the session folder, or every key in Redis."""
        if self.redis:
            with self.redis.client() as client:
                return {key.decode() for key in client.scan_iter("holdfast:*")}
        folder = self.folder / "data" / "sessions"
        return {str(file) for file in folder.iterdir() if file.name != ".lock"}

    def place_of(self, cookie: str) -> str | None:
        """Return the file or the key of the session's copy."""
        if self.redis:
            key = f"holdfast:session:{id_hash(cookie)}"
            with self.redis.client() as client:
                return key if client.exists(key) else None
        for name in self.stored():
            path = Path(name)
            if path.is_file() and id_hash(cookie).encode() in path.read_bytes():
                return name
        return None

    @contextmanager
    def held(self, server: Gunicorn, gate: str, requests: int) -> Iterator[None]:
        """Wait until so many requests are held there, and let them go at the end."""
        tab, path = Tab(server), f"/held/{gate}"
        wait_until(lambda: int(tab.get(path).text) == requests, 10, f"held at {gate}")
        try:
            yield
        finally:
            tab.post(path)


def id_hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
