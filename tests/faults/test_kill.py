"""kill -9 while eight people write: what was answered is there, all are logged in."""

import itertools
import os
import secrets
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.faults.people import Tab, new_name, wait_until
from tests.servers import Gunicorn, Redis

pytestmark = pytest.mark.fault("R9")

WRITERS = 8
# In one round; ten rounds are the 50 of the longer form.
KILLS = 5
# After how many answered writes; a prime, to meet other moments each time.
WRITES = 17
# Milliseconds after that write, at random: half of the kills come right after it.
LATER = 200


class Writer:
    """Somebody who keeps one value after the other and notes what was answered."""

    def __init__(self, server: Gunicorn) -> None:
        self.name = new_name()
        self.tab = Tab(server).sign_up(self.name)
        self.tab.form_token()
        self.kept: list[str] = []
        self._numbers = itertools.count()

    def write(self) -> None:
        """Go on until the server is gone."""
        with suppress(httpx.TransportError):
            while True:
                key = f"key-{next(self._numbers)}"
                assert self.tab.keep(key, f"{self.name} {key}").status_code == 303
                self.kept.append(key)

    def finds_all(self) -> bool:
        assert self.tab.is_logged_in_as(self.name)
        return all(
            f"{self.name} {key}" in self.tab.get(f"/entries/{key}").text
            for key in self.kept[-WRITES:]
        )


@pytest.fixture(params=["files", "redis"])
def deployed(request: pytest.FixtureRequest, server: Gunicorn) -> Gunicorn:
    if request.param == "redis":
        redis: Redis = request.getfixturevalue("redis_server")
        server.settings["REDIS_URL"] = redis.url
    return server.start()


def _check_database(folder: Path, writers: list[Writer]) -> None:
    with closing(sqlite3.connect(folder / "holdfast.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = "SELECT name, key FROM entries JOIN users ON users.id = user_id"
        there = set(db.execute(rows))
    answered = {(writer.name, key) for writer in writers for key in writer.kept}
    assert answered <= there


def _write_until(writers: list[Writer], enough: int, then: Callable[[], None]) -> None:
    """Let all write; do it as soon as so many more writes were answered."""
    goal = sum(len(writer.kept) for writer in writers) + enough
    threads = [threading.Thread(target=writer.write) for writer in writers]
    for thread in threads:
        thread.start()
    wait_until(lambda: sum(len(each.kept) for each in writers) >= goal, 30, "written")
    then()
    for thread in threads:
        thread.join()


def test_no_answered_write_is_lost_whenever_it_is_killed(
    deployed: Gunicorn, rounds: int, record_property: Callable[..., None]
) -> None:
    writers = [Writer(deployed) for _ in range(WRITERS)]
    folder, took = Path(deployed.settings["DATA_DIR"]), []
    left_over = folder / "cache" / "left-over.__wz_cache"
    if "REDIS_URL" not in deployed.settings:
        left_over.touch()
        os.utime(left_over, (1, 1))
    for number in range(KILLS * rounds):
        later = secrets.randbelow(LATER) / 1000 if number % 2 else 0.0
        _write_until(writers, WRITES + number, partial(_kill, deployed, later))
        _check_database(folder, writers)
        start = time.monotonic()
        deployed.start()
        took.append(time.monotonic() - start)
        assert all(writer.finds_all() for writer in writers)
    wait_until(lambda: _is_swept(left_over, writers[0].tab), 30, "swept")
    record_property("figure", f"serving again in {max(took):.2f} s at most")


def _kill(server: Gunicorn, later: float) -> None:
    time.sleep(later)
    server.kill()


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(
    deployed: Gunicorn,
) -> None:
    writers = [Writer(deployed) for _ in range(WRITERS)]
    _write_until(writers, WRITES, lambda: _kill_worker(deployed))
    wait_until(_answers(deployed), 5, "served again")
    assert all(writer.finds_all() for writer in writers)


def _kill_worker(server: Gunicorn) -> None:
    assert server.process
    workers = set(server.processes()) - {server.process.pid}
    for worker in workers:
        os.kill(worker, signal.SIGKILL)


def _answers(server: Gunicorn) -> Callable[[], bool]:
    def ask() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{server.url}/healthz", timeout=2).status_code == 200
        return False

    return ask


def _is_swept(file: Path, tab: Tab) -> bool:
    """Tell after one more page: upkeep is done when somebody was served."""
    assert tab.is_logged_in()
    return not file.exists()
