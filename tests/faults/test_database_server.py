"""PostgreSQL or MariaDB in trouble: cut off, restarted, or held up by a lock."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from config.mistakes import RefusedToStart
from config.settings import load_settings
from tests.databases import NAME, SERVERS, DatabaseServer, database_server_of
from tests.faults.people import (
    Tab,
    Timed,
    at_once,
    new_name,
    parts_down,
    percentile,
    wait_until,
)
from tests.servers import Gunicorn
from webapp import schema
from webapp.database import Database

pytestmark = pytest.mark.fault("R23")

LOCKS = {
    "postgresql": ("BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE", "ROLLBACK"),
    "mariadb": ("LOCK TABLES entries WRITE", "UNLOCK TABLES"),
}
HELD_UP = {
    "postgresql": "pg_stat_activity WHERE wait_event_type = 'Lock'",
    "mariadb": "information_schema.processlist WHERE state LIKE 'Waiting for table%'",
}
UPGRADING = {
    "postgresql": "SELECT pg_advisory_lock(720251123)",
    "mariadb": "SELECT GET_LOCK('holdfast_upgrade', 0)",
}
# An answer that the database owes, and one that it does not.
LONGEST, USUAL = 2.0, 0.3
# To connect psycopg waits for 2 s, or longer.
GIVEN_UP = 2.3
STARTS_WITHIN = 10


@pytest.fixture(scope="module", params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def database(kind: str) -> Iterator[DatabaseServer]:
    with database_server_of(kind) as server:
        yield server


@pytest.fixture(scope="module")
def site(
    database: DatabaseServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gunicorn]:
    """The application on that database, and its stores in files."""
    folder: Path = tmp_path_factory.mktemp("site")
    server = Gunicorn(folder, DATABASE_URL=database.url, TRUSTED_PROXIES="1")
    try:
        yield server.start()
    finally:
        server.close()


def test_who_asks_after_connections_were_cut_notices_nothing(
    site: Gunicorn, database: DatabaseServer
) -> None:
    tab = Tab(site).sign_up(new_name())
    at_once(*[lambda: tab.get("/sessions")] * 8)
    assert database.end_others() > 1
    for number in range(3):
        assert tab.keep(f"key {number}").status_code == 303
        answers = at_once(*[lambda: tab.get("/sessions")] * 8)
        assert {answer.status_code for answer in answers} == {200}
        database.end_others()
    assert tab.get("/entries/key%202").status_code == 200


def test_a_read_that_is_cut_off_in_the_middle_is_answered_all_the_same(
    site: Gunicorn, database: DatabaseServer, kind: str
) -> None:
    tab = Tab(site).sign_up(new_name())
    with _reading(tab, database, kind) as answer:
        assert database.end_others() >= 2
    assert answer.result().status_code == 200


def test_cut_off_again_and_again_no_write_that_was_answered_is_lost(
    site: Gunicorn, database: DatabaseServer
) -> None:
    tabs = [Tab(site).sign_up(new_name()) for _ in range(4)]
    kept: list[tuple[Tab, str]] = []
    refused: list[str] = []
    numbers = count()

    def write(tab: Tab) -> None:
        key = f"key-{next(numbers)}"
        status = tab.keep(key).status_code
        assert status in (303, 503), status
        kept.append((tab, key)) if status == 303 else refused.append(key)

    with Timed(*(lambda tab=tab: write(tab) for tab in tabs)) as writing:
        for _ in range(20):
            before = len(kept)
            database.end_others()
            wait_until(partial(_is_longer, kept, before), 5, "a write")
    assert percentile(writing.times, 1) < LONGEST
    for tab, key in kept:
        assert tab.get(f"/entries/{key}").status_code == 200


def test_while_it_is_away_everybody_is_told_and_nobody_logged_out(
    site: Gunicorn, database: DatabaseServer
) -> None:
    tab = Tab(site).sign_up(new_name())
    tab.keep("before")
    tab.get("/entries")
    token = tab.form_token()
    database.kill()
    for _ in range(2):
        answer = tab.get("/entries/before")
        assert answer.status_code == 503
        assert answer.elapsed.total_seconds() < LONGEST
        assert "Retry-After" in answer.headers
        assert tab.keep("lost").status_code == 503
        assert httpx.get(f"{site.url}/healthz").status_code == 200
        assert parts_down(site) == {"database"}
    database.start()
    wait_until(lambda: tab.get("/entries/before").status_code == 200, 5, "serving")
    assert tab.form_token() == token, "the same session"
    assert tab.get("/entries/lost").status_code == 404
    assert tab.keep("after").status_code == 303


@pytest.mark.alone
def test_a_lock_holds_up_those_who_need_what_is_locked_and_nobody_else(
    site: Gunicorn, database: DatabaseServer, kind: str, record_property: Any
) -> None:
    tab, other = (Tab(site).sign_up(new_name()) for _ in range(2))
    tab.keep("locked")
    # The first look at them loads the names of devices, for which it alone waits.
    _fine(other.get("/sessions"))
    read = Timed(lambda: _fine(other.get("/sessions")))
    with _locked(database, kind), read as reading:
        answers = at_once(*[lambda: tab.get("/entries/locked")] * 12)
    assert {answer.status_code for answer in answers} == {503}
    slowest = max(answer.elapsed.total_seconds() for answer in answers)
    p99 = percentile(reading.times, 0.99)
    record_property("figure", f"{kind}: held up {slowest:.1f} s, others {p99:.3f} s")
    assert slowest < LONGEST
    assert p99 < USUAL
    assert tab.get("/entries/locked").status_code == 200


@pytest.mark.alone
def test_a_frozen_server_is_given_up_and_holds_up_nobody_else(
    site: Gunicorn, database: DatabaseServer, kind: str, record_property: Any
) -> None:
    tab = Tab(site).sign_up(new_name())
    tab.keep("before")
    at_once(*[lambda: tab.get("/sessions")] * 8)
    visitor = site.client()
    with Timed(lambda: _fine(visitor.get("/login"))) as visits:
        database.freeze()
        try:
            answers = at_once(*[lambda: tab.get("/entries/before")] * 12)
            again = tab.keep("meanwhile")
            assert parts_down(site) == {"database"}
        finally:
            database.thaw()
    assert {answer.status_code for answer in [*answers, again]} == {503}
    assert "Retry-After" in again.headers
    slowest = max(answer.elapsed.total_seconds() for answer in answers)
    p99 = percentile(visits.times, 0.99)
    record_property("figure", f"{kind}: frozen {slowest:.1f} s, others {p99:.3f} s")
    assert slowest < GIVEN_UP
    assert again.elapsed.total_seconds() < USUAL, "it has just been silent"
    assert p99 < USUAL
    wait_until(lambda: tab.get("/entries/before").status_code == 200, 5, "serving")
    assert tab.get("/entries/meanwhile").status_code == 404
    assert tab.keep("after").status_code == 303


@pytest.mark.alone
def test_who_asked_before_it_froze_does_not_wait_twice(
    site: Gunicorn, database: DatabaseServer, kind: str
) -> None:
    tab = Tab(site).sign_up(new_name())
    with _reading(tab, database, kind) as answer:
        database.freeze()
        try:
            refused = answer.result()
        finally:
            database.thaw()
    assert refused.status_code == 503
    assert refused.elapsed.total_seconds() < GIVEN_UP
    wait_until(lambda: tab.get("/entries/read").status_code == 200, 5, "serving")


def test_a_start_gives_up_a_server_that_says_nothing(kind: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        scheme = {"postgresql": "postgres", "mariadb": "mysql"}[kind]
        place = f"somebody@127.0.0.1:{silent.getsockname()[1]}/holdfast"
        url = f"{scheme}://{place}"
        site = Gunicorn(tmp_path, DATABASE_URL=url)
        began = time.monotonic()
        said = site.flask("user", "list", status=3)
        assert time.monotonic() - began < STARTS_WITHIN
    assert said.startswith("Holdfast does not start.")
    assert place in said


def test_who_waits_in_vain_for_another_upgrade_does_not_begin_one(
    database: DatabaseServer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = Database(load_settings(database_url=database.url).database)
    tables.upgrade()
    monkeypatch.setattr(schema, "REVISION", "9999")
    monkeypatch.setattr(schema, "UPGRADE_TIMEOUT", 1)
    with database.connect(NAME) as connection:
        connection.execute(text(UPGRADING[kind]))
        with pytest.raises(RefusedToStart):
            tables.upgrade()
    tables.engine.dispose()


@contextmanager
def _locked(database: DatabaseServer, kind: str) -> Iterator[None]:
    """Lock the table of entries, unless this connection is cut as well."""
    lock, unlock = LOCKS[kind]
    with suppress(DBAPIError), database.connect(NAME) as connection:
        for statement in lock.split("; "):
            connection.execute(text(statement))
        yield
        connection.execute(text(unlock))


@contextmanager
def _reading(
    tab: Tab, database: DatabaseServer, kind: str
) -> Iterator[Future[httpx.Response]]:
    """Give the answer to a read that waits in the database."""
    tab.keep("read")
    with ThreadPoolExecutor(1) as thread, _locked(database, kind):
        answer = thread.submit(tab.get, "/entries/read")
        wait_until(partial(_is_held_up, database, kind), 5, "it is being read")
        yield answer


def _is_held_up(database: DatabaseServer, kind: str) -> bool:
    with database.connect() as connection:
        waiting = text(f"SELECT count(*) FROM {HELD_UP[kind]}")  # noqa: S608
        return bool(connection.scalar(waiting))


def _is_longer(kept: list[Any], before: int) -> bool:
    return len(kept) > before


def _fine(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text
