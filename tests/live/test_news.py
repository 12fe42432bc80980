"""What is told to an open page, as its stream of events says it."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy.exc import OperationalError

from tests.browser import Browser
from webapp import clock
from webapp.live.service import Live

BrowserOf = Callable[[str], Browser]
START = datetime(2099, 1, 1, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
PHONE = "Mozilla/5.0 (Android 16; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0"


@pytest.fixture(autouse=True)
def time(app: Flask) -> Iterator[Any]:
    """Stand still, later than the application was made."""
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


def events(browser: Browser, last: str = "", **headers: str) -> list[dict[str, Any]]:
    """Return what a page is told that comes, and was told before up to `last`."""
    path = f"/live?after={last}" if last else "/live"
    answer = browser.client.get(path, headers=headers)
    assert answer.status_code == 200
    assert answer.mimetype == "text/event-stream"
    found = []
    for block in answer.text.strip("\n").split("\n\n"):
        event = dict(line.split(": ", maxsplit=1) for line in block.splitlines())
        if "data" in event:
            event["data"] = json.loads(event["data"])
            found.append(event)
    return found


def state(browser: Browser, last: str = "") -> dict[str, Any]:
    (event,) = events(browser, last)
    assert event["event"] == "state"
    return event


def log_in_by_phone(app: Flask, name: str) -> Browser:
    client = app.test_client()
    client.environ_base |= {"HTTP_USER_AGENT": PHONE, "REMOTE_ADDR": "203.0.113.9"}
    return Browser(client, name).enter("/login")


def test_a_page_has_the_version_that_the_stream_tells_at_first(alice: Browser) -> None:
    alice.keep("note", "1")
    told = state(alice)["data"]
    for path, kind in (
        ("/entries", "entries"),
        ("/entries?q=note", "entries"),
        ("/labels", "entries"),
        ("/entries/bin", "entries"),
        (alice.address("note"), "entries"),
        (f"{alice.address('note')}/history", "entries"),
        ("/sessions", "sessions"),
    ):
        (part,) = alice.open(path).tree.xpath("//*[@data-live]")
        assert part.get("data-live") == kind, path
        assert part.get("data-version") == told[kind], path
        assert part.get("id"), path
    form = alice.open(f"{alice.address('note')}/edit").tree.xpath("//form[@data-entry]")
    assert form[0].get("data-version") == told["entries"]
    assert form[0].get("data-entry") == alice.address("note")


def test_each_write_makes_another_state_and_nothing_else_does(
    alice: Browser, bob: Browser
) -> None:
    first = state(alice)
    bob.keep("note", "bob's")
    assert events(alice, first["id"]) == []
    alice.keep("note", "1")
    second = state(alice, first["id"])
    assert second["data"]["entries"] != first["data"]["entries"]
    assert second["data"]["sessions"] == first["data"]["sessions"]
    assert events(alice, second["id"]) == []


def test_a_browser_says_by_itself_how_far_it_had_heard(alice: Browser) -> None:
    known = state(alice)["id"]
    assert events(alice, **{"Last-Event-ID": known}) == []


@pytest.mark.parametrize(
    "last",
    ["1", "1-2-3", "a-b-c-d", "1-2-3-4-5", "-1-2-3-4", "1-2-3-³", "1-2-3-" + "9" * 20],
)
def test_what_nobody_told_is_as_if_nothing_was(alice: Browser, last: str) -> None:
    assert state(alice, last) == state(alice)


def test_a_log_in_elsewhere_is_told_to_those_before_it_alone(
    app: Flask, alice: Browser, bob: Browser
) -> None:
    known = state(alice)["id"]
    phone = log_in_by_phone(app, "alice")
    log_in, changed = events(alice, known)
    assert log_in["event"] == "log-in"
    assert log_in["data"] == {
        "id": log_in["data"]["id"],
        "at": START.isoformat(),
        "device": "Firefox Mobile on Android",
        "address": "203.0.113.9",
    }
    assert changed["event"] == "state"
    assert changed["data"]["newer"] == [log_in["data"]["id"]]
    assert events(alice, changed["id"]) == []
    phone.log_out()
    assert state(alice, changed["id"])["data"]["newer"] == []
    phone.log_in()
    assert [event["event"] for event in events(phone)] == ["state"]
    assert [event["event"] for event in events(bob)] == ["state"]


def test_a_page_that_is_opened_tells_the_log_ins_of_the_last_hour(
    app: Flask, alice: Browser, time: Any
) -> None:
    known = state(alice)["id"]
    log_in_by_phone(app, "alice")
    time.shift(HOUR - SECOND)
    assert [event["event"] for event in events(alice)] == ["log-in", "state"]
    time.shift(SECOND)
    assert [event["event"] for event in events(alice)] == ["state"]
    # Whoever was away all the time has not heard of it yet.
    assert [event["event"] for event in events(alice, known)] == ["log-in", "state"]


def test_a_log_in_that_is_over_already_is_not_told(app: Flask, alice: Browser) -> None:
    known = state(alice)["data"]["sessions"]
    phone = log_in_by_phone(app, "alice")
    log_in, _ = events(alice)
    phone.log_out()
    changed = state(alice)["data"]["sessions"]
    assert changed != known, "it is listed among those that are over"
    assert log_in["event"] == "log-in"


def test_a_session_that_was_ended_is_told_so_with_the_reason(
    app: Flask, alice: Browser
) -> None:
    phone = log_in_by_phone(app, "alice")
    session = state(phone)["data"]["session"]
    alice.open("/sessions").send(action=f"/sessions/{session}/end")
    reason = "ended from another session"
    assert events(phone) == [
        {"event": "ended", "data": {"session": session, "reason": reason}}
    ]
    assert not phone.open("/entries").is_logged_in


def test_a_session_that_timed_out_says_so(alice: Browser, time: Any) -> None:
    session = state(alice)["data"]["session"]
    time.shift(3 * HOUR)
    assert events(alice) == [
        {"event": "ended", "data": {"session": session, "reason": "timed out"}}
    ]


def test_a_visitor_has_no_session_and_no_cookie(app: Flask) -> None:
    client = app.test_client()
    assert events(Browser(client)) == [
        {"event": "ended", "data": {"session": 0, "reason": ""}}
    ]
    assert "Set-Cookie" not in client.get("/live").headers


def test_a_page_that_is_left_open_does_not_keep_its_session_alive(
    alice: Browser, time: Any
) -> None:
    told = []
    for _ in range(10):
        time.shift(15 * MINUTE)
        told.append(events(alice)[-1]["event"])
    assert told == ["state"] * 7 + ["ended"] * 3
    assert not alice.open("/entries").is_logged_in


def test_whoever_uses_a_session_is_seen_beside_a_page_that_is_left_open(
    alice: Browser, time: Any
) -> None:
    for _ in range(20):
        for _ in range(30):
            time.shift(30 * SECOND)
            assert events(alice)[-1]["event"] == "state"
        assert alice.open("/entries").is_logged_in


def test_a_part_that_is_fetched_anew_is_no_use_of_the_session(
    alice: Browser, time: Any
) -> None:
    for _ in range(7):
        time.shift(15 * MINUTE)
        answer = alice.client.get("/entries", headers={"X-Refresh": "1"})
        assert answer.status_code == 200
    time.shift(15 * MINUTE)
    assert alice.client.get("/entries", headers={"X-Refresh": "1"}).status_code == 303


def test_a_part_that_is_fetched_anew_takes_no_notice_from_another_tab(
    alice: Browser,
) -> None:
    """Who saves in one tab is told so there, whichever asks first."""
    form = alice.open("/entries/new")._form("", {"key": "", "value": ""})
    fields = dict(form.form_values()) | {"key": "note", "value": "1"}
    saved = alice.client.post("/entries/new", data=fields)
    assert saved.status_code == 303
    by_script = {"Sec-Fetch-Dest": "empty", "X-Refresh": "1"}
    for path in ("/entries", "/entries?q=note", "/sessions"):
        assert "Saved." not in alice.client.get(path, headers=by_script).text
    assert "Saved." in alice.open(saved.location).text
    assert "Saved." not in alice.open(saved.location).text


def test_a_database_that_is_away_ends_the_stream_for_a_while(
    alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr(Live, "look", fail)
    answer = alice.client.get("/live")
    pauses = [int(each) for each in re.findall(r"retry: (\d+)\n\n", answer.text)]
    assert len(pauses) == 2
    assert all(14_000 <= pause <= 20_000 for pause in pauses)


def test_proxies_are_told_to_pass_it_on_at_once(alice: Browser) -> None:
    headers = alice.client.get("/live").headers
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Cache-Control"] == "no-store"
