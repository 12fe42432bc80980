"""What is over is removed a little at a time, and never at somebody's cost."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from config.settings import Settings, load_settings
from tests.browser import Browser
from webapp import create_app
from webapp.accounts.history import History
from webapp.accounts.tokens import Tokens
from webapp.api.idempotency import Idempotency
from webapp.entries.days import Days
from webapp.entries.earlier import EarlierValues
from webapp.entries.imports import Imports
from webapp.errors import StoreUnavailable
from webapp.limits import Limits
from webapp.ops import upkeep
from webapp.sessions.models import SessionRecord
from webapp.sessions.service import Origin, Sessions
from webapp.stores.file import FileStore

pytestmark = pytest.mark.embedded

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIFETIME = timedelta(days=30)
OWNERS = [
    *(FileStore, Sessions, History, Limits, Tokens, EarlierValues, Imports),
    *(Days, Idempotency),
]
HERE = Origin("127.0.0.1", "test")


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.fixture
def app(settings: Settings, clock: Any, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The application with a step of upkeep after every answer."""
    monkeypatch.setattr(upkeep, "PAUSE", 0.0)
    return create_app(
        settings.model_copy(
            update={
                "max_sessions": 1000,
                "session_idle": timedelta(hours=12),
                "session_lifetime": LIFETIME,
            }
        )
    )


def _sessions(app: Flask) -> Any:
    return app.session_interface.sessions  # type: ignore[attr-defined]


def _start_sessions(app: Flask, how_many: int) -> None:
    account = app.extensions["accounts"].find("alice")
    with app.extensions["database"].write():
        for _ in range(how_many):
            _sessions(app).start(account.id, HERE)


def _copies(app: Flask) -> int:
    folder = Path(app.config["SETTINGS"].data_dir) / "sessions"
    return len([file for file in folder.iterdir() if not file.name.startswith(".")])


def _records(app: Flask) -> int:
    with app.extensions["database"].read() as db:
        return int(db.scalar(select(func.count()).select_from(SessionRecord)) or 0)


def _serve(app: Flask, times: int = 1) -> None:
    for _ in range(times):
        with app.test_client().get("/healthz") as answer:
            assert answer.status_code == 200


@pytest.mark.long
def test_expired_copies_are_removed_a_little_at_a_time(
    app: Flask, clock: Any, alice: Browser, bob: Browser
) -> None:
    _start_sessions(app, 250)
    before = _copies(app)
    clock.shift(timedelta(hours=13))
    assert bob.log_in().is_logged_in
    counts = [before]
    while len(counts) < 30:
        _serve(app)
        counts.append(_copies(app))
    assert max(more - less for more, less in pairwise(counts)) <= 100
    assert counts[-1] == 1, "only the session in use is left"
    assert bob.open("/entries").is_logged_in


@pytest.mark.long
def test_records_are_history_for_90_days_and_then_removed(
    app: Flask, clock: Any, alice: Browser
) -> None:
    _start_sessions(app, 250)
    clock.shift(LIFETIME + timedelta(days=89))
    _serve(app, 15)
    assert _records(app) == 251
    clock.shift(timedelta(days=2))
    counts = [251]
    while len(counts) < 30:
        _serve(app)
        counts.append(_records(app))
    assert counts[-1] == 0
    assert max(more - less for more, less in pairwise(counts)) <= 100


def test_a_session_in_use_is_never_removed(
    app: Flask, clock: Any, alice: Browser
) -> None:
    for _ in range(5):
        clock.shift(timedelta(hours=11))
        assert alice.open("/entries").is_logged_in
        _serve(app, 6)
    assert _records(app) == 1
    assert alice.open("/entries").is_logged_in


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("the disk is full"),
        OperationalError("delete", {}, Exception("database is locked")),
        PoolTimeout("no connection is free"),
    ],
    ids=["store", "database", "pool"],
)
def test_a_purge_that_fails_fails_no_page(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    tried: list[int] = []

    def fail(_self: object, limit: int) -> int:
        tried.append(limit)
        raise error

    for owner in OWNERS:
        monkeypatch.setattr(owner, "purge", fail)
    monkeypatch.setattr(upkeep, "PAUSE", 0.0)
    _serve(create_app(settings), 9)
    assert len(tried) == 9, "and each is tried again"
    assert "Nothing was purged this time" in caplog.text


def test_there_is_one_step_in_two_seconds_at_most(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, steps = 1000.0, []

    def note(self: object, _limit: int) -> int:
        steps.append(type(self).__name__)
        return 0

    for owner in OWNERS:
        monkeypatch.setattr(owner, "purge", note)
    monkeypatch.setattr(upkeep, "time", SimpleNamespace(monotonic=lambda: now))
    app = create_app(settings)
    for seconds in (0, 1.9, 0.1, 0, 1.9, 0.1, 1, 0.9, 0.1, *[2] * 8):
        now += seconds
        _serve(app, 2)
    assert steps == [
        *("FileStore", "FileStore"),
        *("Sessions", "History", "Limits", "Tokens", "EarlierValues", "Imports"),
        *("Days", "Idempotency"),
        "FileStore",
    ]


def test_the_command_lets_the_server_write_between_two_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[float] = []
    monkeypatch.setattr("webapp.ops.upkeep.time.sleep", done.append)
    left = iter([100, 100, 30, 0])

    def purge(limit: int) -> int:
        done.append(limit)
        return next(left)

    assert upkeep.Upkeep([], [purge]).purge_all() == 230
    step = [upkeep.STEP, upkeep.REST]
    assert done == [*step * 3, upkeep.STEP]


def test_files_that_are_no_values_are_left_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever keeps sessions in a folder of other things loses none of them."""
    monkeypatch.setattr(upkeep, "PAUSE", 0.0)
    folder = settings.data_dir.absolute()
    app = create_app(load_settings(data_dir=folder, session_url=folder.as_uri()))
    (folder / "notes.txt").write_text("\x01\0\0\0 keep me")
    alice = Browser(app.test_client(), "alice").sign_up()
    alice.keep("diary", "dear diary")
    _serve(app, 6)
    left = {file.name for file in folder.iterdir()}
    assert {"holdfast.db", "notes.txt"} <= left
