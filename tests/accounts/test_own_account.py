"""What people see and do on the pages of their own account."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask, request
from sqlalchemy import select

from config.settings import Settings
from tests.browser import PASSWORD, Browser
from webapp import clock, create_app
from webapp.database import Model
from webapp.sessions.guard import sensitive
from webapp.stores.redis_client import connector

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
STALE = timedelta(minutes=15)
WRONG = "noisy-harbour-seven-boats"
NEW = "quiet-harbour-eight-boats"
CHANGE = {"current": PASSWORD, "password": NEW, "again": NEW}
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)
SPECIAL = {
    "quotes \"'\\": "tab\t, line\nand \\n",
    "é 日本 😀": '{"a": [1, 2]}',
    "</script>": "\u2028\u2029\x7f",
    "a/b?c#d": "",
}
REFUSED = {
    "/logout": 403,
    "/entries/diary/delete": 403,
    "/entries/new": 403,
    "/account/password": 403,
    "/confirm": 403,
    "/account/export": 404,
    "/account/download": 404,
    "/nothing": 404,
    "//evil.example": 404,
    "https://evil.example/account/delete": 404,
    "\\\\evil.example": 404,
    "javascript:alert(1)": 404,
}


@pytest.fixture(autouse=True)
def time(app: Flask) -> Iterator[Any]:
    """Stand still, later than the application was made."""
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


def on_phone(app: Flask, password: str = PASSWORD, name: str = "alice") -> Browser:
    """Log in, or try to, from elsewhere."""
    client = app.test_client()
    client.environ_base |= {"HTTP_USER_AGENT": PHONE, "REMOTE_ADDR": "203.0.113.9"}
    return Browser(client, name, password).log_in()


def session_id(browser: Browser) -> str:
    return str(browser.client.get_cookie("session").value)


def is_alive(app: Flask, session: str) -> bool:
    client = app.test_client()
    client.set_cookie("session", session)
    return bool(client.get("/entries").status_code == 200)


def post(browser: Browser, path: str, **fields: str) -> Browser:
    """Send just these fields."""
    token = browser.open("/account")._form("/logout", {}).fields["form_token"]
    form = {"form_token": token, **fields}
    browser.page = browser.client.post(path, data=form, follow_redirects=True)
    return browser


def history(browser: Browser) -> list[str]:
    lines = browser.open("/account/history").tree.xpath("//ol[@class='lines']/li")
    return [" ".join(line.text_content().split()) for line in lines]


@pytest.mark.parametrize("ticked", [True, False], ids=["ticked", "not ticked"])
def test_changing_the_password(app: Flask, alice: Browser, ticked: bool) -> None:
    phone, before = on_phone(app), session_id(alice)
    assert alice.open("/account").tree.xpath("//input[@name='end_others'][@checked]")
    fields = CHANGE | ({"end_others": "yes"} if ticked else {})
    assert (
        "Your password is changed." in post(alice, "/account/password", **fields).text
    )
    assert alice.is_logged_in
    assert session_id(alice) != before
    assert not is_alive(app, before)
    assert phone.open("/").is_logged_in is not ticked
    assert not on_phone(app, PASSWORD).is_logged_in
    assert on_phone(app, NEW).is_logged_in
    assert "Password changed now · Werkzeug · 127.0.0.1" in history(alice)
    ended = "Session ended: password changed" in str(history(alice))
    assert ended is ticked


@pytest.mark.parametrize(
    ("wrong", "status", "field", "said"),
    [
        ({"current": WRONG}, 401, "current", "That is not your password."),
        ({"current": ""}, 401, "current", "That is not your password."),
        ({"again": WRONG}, 400, "again", "The two are not the same."),
        ({"password": "short", "again": "short"}, 400, "password", "Use at least 15"),
        ({"password": "password" * 3, "again": "password" * 3}, 400, "password", "Too"),
        ({"password": "alice" * 3, "again": "alice" * 3}, 400, "password", "user name"),
        ({"password": "x" * 1025, "again": "x" * 1025}, 400, "password", "at most"),
    ],
    ids=["current", "no current", "again", "short", "common", "name", "long"],
)
def test_a_password_that_is_not_changed(
    app: Flask,
    alice: Browser,
    wrong: dict[str, str],
    status: int,
    field: str,
    said: str,
) -> None:
    phone = on_phone(app)
    post(alice, "/account/password", **CHANGE | wrong)
    assert alice.status == status
    assert said in alice.tree.get_element_by_id(f"{field}-error").text
    assert not alice.tree.xpath("//input[@type='password'][@value]")
    assert not alice.tree.xpath("//input[@name='end_others'][@checked]"), "as it was"
    assert phone.open("/").is_logged_in
    assert on_phone(app).is_logged_in
    assert "Password changed" not in str(history(alice))


@pytest.mark.parametrize("missing", CHANGE)
def test_a_change_with_something_missing(alice: Browser, missing: str) -> None:
    given = {name: value for name, value in CHANGE.items() if name != missing}
    assert post(alice, "/account/password", **given).status == 400
    assert alice.tree.get_element_by_id(f"{missing}-error").text == "This is needed."


def test_an_act_goes_on_with_what_was_typed_after_the_password(
    app: Flask, time: Any, browser_of: Callable[[str], Browser]
) -> None:
    done: list[dict[str, str]] = []

    @app.post("/act/<int:number>")
    @sensitive
    def act(number: int) -> str:
        done.append(request.form.to_dict() | {"number": str(number)})
        return "<p>Done."

    alice, typed = browser_of("alice"), {"note": 'a "b" <c>\né', "tick": "yes"}
    assert "Done." in post(alice, "/act/1", **typed).text, "not asked while fresh"
    time.shift(STALE)
    post(alice, "/act/2", **typed)
    assert (alice.status, len(done)) == (403, 1)
    before = session_id(alice)
    alice.send(confirm_password=WRONG)
    assert (alice.status, len(done)) == (401, 1)
    assert "That is not your password." in alice.text
    assert WRONG not in alice.page.text
    assert session_id(alice) == before
    assert "Done." in alice.send(confirm_password=PASSWORD).text
    assert {name: done[1][name] for name in typed} == typed
    assert done[1]["number"] == "2"
    assert session_id(alice) != before
    assert not is_alive(app, before)
    assert "Done." in post(alice, "/act/3").text, "fresh again"


def test_a_page_that_needs_the_password_opens_after_it(
    alice: Browser, time: Any
) -> None:
    time.shift(STALE - timedelta(seconds=1))
    assert alice.open("/account/export").path == "/account/export"
    time.shift(1)
    before = session_id(alice)
    assert alice.open("/account/export").path == "/confirm"
    alice.open(alice.open("/account").links()["Download everything"])
    assert alice.path == "/confirm"
    assert alice.send(confirm_password=PASSWORD).path == "/account/download"
    assert alice.page.headers["Refresh"] == "0; url=/account/export"
    alice.open(alice.links()["Download it again"])
    assert alice.page.json["account"][0]["name"] == "alice"
    assert session_id(alice) != before


@pytest.mark.parametrize("act", REFUSED)
def test_only_what_needs_the_password_can_be_gone_on_with(
    alice: Browser, act: str
) -> None:
    alice.keep("diary", "dear diary")
    fields = {"act": act, "confirm_password": PASSWORD, "version": "1", "key": "new"}
    post(alice, "/confirm", **fields)
    assert alice.status == REFUSED[act]
    assert alice.is_logged_in
    assert alice.value("diary") == "dear diary"
    assert "new" not in alice.open("/entries").links()


@pytest.mark.parametrize("after", ["", "//evil.example", "/logout", "/nothing"])
def test_confirming_never_leads_elsewhere(alice: Browser, after: str) -> None:
    post(alice, "/confirm", confirm_password=PASSWORD, next=after)
    assert (alice.status, alice.path) == (200, "/entries")


def test_the_download_has_everything_of_ones_own(
    app: Flask, settings: Settings, alice: Browser, bob: Browser, time: Any
) -> None:
    many = {f"key {number}": f"value {number}" for number in range(41)}
    for key, value in (many | SPECIAL).items():
        alice.keep(key, value)
    bob.keep("bobs", "bobs own")
    on_phone(app, WRONG)
    answer = alice.open("/account/export").page
    name = "holdfast-alice-2099-01-01.json"
    assert answer.mimetype == "application/json"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    given = json.loads(answer.data)
    assert [*given] == [
        *("account", "sessions", "tokens", "history"),
        *("entries", "earlier_values", "days"),
    ]
    assert given["account"] == [{"name": "alice", "created_at": START.isoformat()}]
    assert [each["address"] for each in given["sessions"]] == ["127.0.0.1"]
    assert {each["what"] for each in given["history"]} == {
        "wrong password",
        "logged in",
    }
    entries = {each["key"]: each["value"] for each in given["entries"]}
    assert entries == many | SPECIAL
    assert len(given["entries"]) == 45
    for inside in ("bobs", "argon2", "hash", session_id(alice), PASSWORD, WRONG):
        assert inside not in answer.text


def test_the_download_of_somebody_who_has_nothing(alice: Browser) -> None:
    assert alice.open("/account/export").page.json["entries"] == []


@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a restart"])
def test_deleting_the_account(
    app: Flask, settings: Settings, alice: Browser, bob: Browser, restarted: bool
) -> None:
    phone, kept = on_phone(app), session_id(alice)
    for person in (alice, bob):
        person.keep(f"diary of {person.name}", "dear diary").open("/entries")
    on_phone(app, WRONG)
    if restarted:
        alice.client.application = create_app(settings)
    alice.open("/account/delete").send("/account/delete")
    assert not alice.is_logged_in
    assert not is_alive(app, kept)
    assert not phone.open("/entries").is_logged_in
    assert not on_phone(app).is_logged_in
    assert owners(app) == {2}, "every row that is left is bob's"
    for value in stored(settings):
        assert b"diary of alice" not in value
        assert b'"user_id":1,' not in value
    assert bob.value("diary of bob") == "dear diary"
    again = Browser(app.test_client(), "alice", NEW).sign_up()
    assert again.is_logged_in
    assert "diary of alice" not in again.open("/entries").text
    assert history(again) == ["Logged in now · Werkzeug · 127.0.0.1"]


@pytest.mark.embedded
def test_nothing_of_a_deleted_account_is_left_on_the_disk(
    settings: Settings, browser_of: Callable[[str], Browser]
) -> None:
    carol = browser_of("carol-of-the-quay").keep("kept-by-her", "seen by nobody else")
    carol.open("/entries").open("/account/history")
    traces = (b"carol-of-the-quay", b"kept-by-her", b"seen by nobody else")
    assert all(trace in on_disk(settings) for trace in traces)
    carol.open("/account/delete").send("/account/delete")
    assert "Your account and everything in it is deleted." in carol.text
    assert [trace for trace in traces if trace in on_disk(settings)] == []


def on_disk(settings: Settings) -> bytes:
    files = settings.data_dir.rglob("*")
    return b"".join(file.read_bytes() for file in files if file.is_file())


def stored(settings: Settings) -> list[bytes]:
    """Return every value of both stores as it is kept."""
    if settings.redis_url:
        with connector(settings.redis_url)(None) as client:
            return [client.get(key) or b"" for key in client.scan_iter()]
    folders = [settings.data_dir / name for name in ("cache", "sessions")]
    return [file.read_bytes() for folder in folders for file in folder.iterdir()]


def owners(app: Flask) -> set[int]:
    tables = [table for table in Model.metadata.tables.values() if "user_id" in table.c]
    assert len(tables) == 10
    with app.extensions["database"].read() as db:
        return {row for table in tables for row in db.scalars(select(table.c.user_id))}


def test_deleting_the_account_needs_the_password(alice: Browser, time: Any) -> None:
    time.shift(STALE)
    alice.open("/account/delete").send("/account/delete")
    assert alice.status == 403
    assert alice.send(confirm_password=WRONG).status == 401
    assert alice.open("/").is_logged_in, "nothing is deleted yet"
    time.shift(1)
    alice.open("/account/delete").send("/account/delete").send(
        confirm_password=PASSWORD
    )
    assert not alice.is_logged_in
    assert not alice.log_in().is_logged_in
