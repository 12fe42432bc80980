"""What the operator can see and do about who is logged in."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import func, select

from config.settings import Settings
from tests.browser import Browser
from webapp import clock, create_app
from webapp.accounts.models import Event
from webapp.limits import LimitRecord
from webapp.sessions.models import SessionRecord

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"

Operator = Callable[..., str]


@pytest.fixture(autouse=True)
def time(app: Flask) -> Iterator[Any]:
    """Stand still, later than the application was made."""
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


def on_linux(app: Flask) -> Browser:
    client = app.test_client()
    client.environ_base |= {"HTTP_USER_AGENT": LINUX, "REMOTE_ADDR": "203.0.113.9"}
    return Browser(client, "alice").log_in()


def rows(app: Flask) -> list[int]:
    """Count the records of sessions, events and limits."""
    counts = [
        select(func.count()).select_from(table)
        for table in (SessionRecord, Event, LimitRecord)
    ]
    with app.extensions["database"].read() as db:
        return [db.scalar(count) for count in counts]


def copies(settings: Settings) -> int:
    folder: Path = settings.data_dir / "sessions"
    return len([file for file in folder.iterdir() if file.name[0] != "."])


def test_list_has_a_line_per_browser_last_seen_first(
    app: Flask, alice: Browser, bob: Browser, operator: Operator, time: Any
) -> None:
    on_linux(app).log_out()
    time.shift(3600)
    on_linux(app)
    time.shift(120)
    lines = operator("session list ALICE").splitlines()
    assert [line.split(maxsplit=1)[1].split("  ") for line in lines[:2]] == [
        _columns("Firefox on Linux", "203.0.113.9", "13:00", "13:00"),
        _columns("Werkzeug", "127.0.0.1", "12:00", "12:00"),
    ]
    assert lines[2:] == [
        "2 sessions: number, browser, address, signed in, last seen (UTC)."
    ]


def _columns(device: str, address: str, signed_in: str, seen: str) -> list[str]:
    padded = f"{device:32}  {address:40}  2099-01-01 {signed_in}  2099-01-01 {seen}"
    return padded.split("  ")


def test_list_of_one_and_of_none(alice: Browser, operator: Operator) -> None:
    said = operator("session list alice")
    assert said.endswith(
        "1 session: number, browser, address, signed in, last seen (UTC).\n"
    )
    assert "session=" not in said
    assert alice.client.get_cookie("session").value not in said
    alice.log_out()
    assert operator("session list alice").startswith("0 sessions")


def test_end_ends_all_of_one_person_at_once(
    app: Flask, alice: Browser, bob: Browser, operator: Operator
) -> None:
    linux = on_linux(app)
    assert operator("session end Alice") == "Ended 2 sessions.\n"
    assert alice.open("/entries").path == "/login"
    assert linux.open("/entries").path == "/login"
    assert bob.open("/entries").is_logged_in
    assert operator("session end alice") == "Ended 0 sessions.\n"
    assert "Session ended: by the operator" in (
        alice.log_in().open("/account/history").text
    )


def test_end_all_ends_everybodys(
    app: Flask, alice: Browser, bob: Browser, operator: Operator
) -> None:
    assert operator("session end --all") == "Ended 2 sessions.\n"
    for person in (alice, bob):
        assert person.open("/entries").path == "/login"
        assert person.log_in().is_logged_in
    bob.log_out()
    assert operator("session end --all") == "Ended 1 session.\n"


def test_end_all_ends_more_than_fit_into_one_step(
    app: Flask, alice: Browser, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.sessions.service.BATCH", 3)
    monkeypatch.setattr("webapp.sessions.records.BATCH", 3)
    browsers = [alice, *(on_linux(app) for _ in range(6))]
    assert operator("session end --all") == "Ended 7 sessions.\n"
    assert {browser.open("/entries").path for browser in browsers} == {"/login"}


def test_a_command_reaches_a_server_that_runs(
    app: Flask, settings: Settings, alice: Browser
) -> None:
    assert alice.open("/entries").is_logged_in
    other = create_app(settings).test_cli_runner()
    assert other.invoke(args=["session", "end", "alice"]).exit_code == 0
    assert alice.open("/entries").path == "/login"


@pytest.mark.embedded
def test_purge_removes_what_is_over_and_nothing_else(
    app: Flask,
    settings: Settings,
    alice: Browser,
    operator: Operator,
    time: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app.extensions["upkeep"], "_next", float("inf"))
    Browser(app.test_client(), "alice", "not the password").log_in()
    Browser(app.test_client(), "nobody", "not the password").log_in()
    for _ in range(4):
        on_linux(app)
    assert operator("session purge") == "Removed 0 expired copies and records.\n"
    assert (rows(app), copies(settings)) == ([5, 1, 4], 5)
    time.shift(timedelta(days=2))
    alice.log_in().open("/entries")
    # The copies of those that timed out went with the log-in, which made room.
    assert operator("session purge") == "Removed 4 expired copies and records.\n"
    assert (rows(app), copies(settings)) == ([6, 1, 0], 1), "history stays"
    time.shift(timedelta(days=90))
    alice.log_in().open("/entries")
    assert operator("session purge") == "Removed 6 expired copies and records.\n"
    assert (rows(app), copies(settings)) == ([2, 0, 0], 1)
    assert alice.open("/entries").is_logged_in
    monkeypatch.setattr(app.extensions["upkeep"], "purge_all", lambda: 1)
    assert operator("session purge") == "Removed 1 expired copy or record.\n"


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("list nobody", 1, "Error: There is no user nobody."),
        ("end nobody", 1, "Error: There is no user nobody."),
        ("end", 2, "Error: Give a user name, or --all."),
        ("end alice --all", 2, "Error: Give a user name, or --all."),
        ("list", 2, "Error: Missing argument 'NAME'."),
        ("purge alice", 2, "Error: Got unexpected extra argument (alice)"),
    ],
    ids=["list", "end", "nobody", "both", "whose", "purge"],
)
def test_a_mistake_is_said_in_one_line_and_ends_nothing(
    alice: Browser, operator: Operator, command: str, status: int, said: str
) -> None:
    *usage, line = operator(f"session {command}", status=status).splitlines()
    assert line == said
    assert (usage == []) is (status == 1)
    assert alice.open("/entries").is_logged_in


def test_an_error_is_no_traceback(cli: FlaskCliRunner, alice: Browser) -> None:
    for name in ("", "al\0ice", "x" * 1000, "é"):
        result = cli.invoke(args=["session", "list", name])
        assert isinstance(result.exception, SystemExit), name
        assert result.exit_code == 1
        assert result.output.startswith("Error: There is no user")
