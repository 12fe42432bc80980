"""API tokens: made on a page behind a confirmation, shown once, gone at once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from config.settings import Settings
from tests.api.conftest import TOKEN, Program, new_token, problem, program_of
from tests.browser import PASSWORD, Browser
from webapp.accounts.models import Token
from webapp.accounts.tokens import MOST
from webapp.sessions.records import HISTORY
from webapp.state.backup import back_up
from webapp.state.restore import restore
from webapp.stores.memory import MemoryStore

PAGE = "/account/tokens"
ACCOUNT = "/api/v1/account"
START = datetime(2099, 1, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def time(alice: Browser) -> Any:
    with time_machine.travel(START, tick=False) as travel:
        alice.enter("/login")
        yield travel


def works(program: Program) -> bool:
    answer = program.ask("GET", ACCOUNT)
    if answer.status_code == 200:
        return True
    problem(answer, 401, "invalid-token")
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge == 'Bearer error="invalid_token"'
    return False


def rows(app: Flask) -> Any:
    with app.extensions["database"].read() as db:
        return db.execute(select(*Token.__table__.c).order_by(Token.id)).all()


def revoke(browser: Browser, name: str) -> Browser:
    browser.open(PAGE)
    (button,) = browser.tree.xpath("//button[@aria-label=$l]", l=f"Revoke {name}")
    return browser.send(button.getparent().get("action"))


def test_a_token_opens_the_api_and_is_shown_once(alice: Browser) -> None:
    alice.open("/account").open(alice.links()["API tokens for your programs"])
    token = new_token(alice, name="laptop")
    assert TOKEN.fullmatch(token)
    assert alice.page.headers["Cache-Control"] == "no-store"
    program = Program(alice.client, {"Authorization": f"Bearer {token}"})
    assert program.ask("GET", ACCOUNT).json["token"] == {
        "name": "laptop",
        "access": "read-write",
        "prefix": "",
        "may_read_secrets": False,
        "expires_at": None,
    }
    assert "laptop" in alice.open(PAGE).text
    for path in (PAGE, "/account", "/account/export", "/account/history"):
        assert token not in alice.open(path).page.text


def test_only_its_hash_is_kept(app: Flask, alice: Browser, settings: Settings) -> None:
    token = new_token(alice)
    (row,) = rows(app)
    assert token not in str(row)
    assert token[3:] not in str(row)
    for folder in (settings.data_dir / "sessions", settings.data_dir / "cache"):
        for file in folder.glob("*"):
            assert token.encode() not in file.read_bytes()


def test_two_tokens_are_never_the_same(alice: Browser) -> None:
    tokens = {new_token(alice, name=f"n{number}") for number in range(5)}
    assert len(tokens) == 5
    assert all(len(token) == 46 for token in tokens)


@pytest.mark.parametrize("act", ["list", "make", "revoke"])
def test_tokens_need_the_password_again(alice: Browser, time: Any, act: str) -> None:
    new_token(alice)
    alice.open(PAGE)
    time.shift(HOUR)
    fields = {"name": "later", "access": "write", "expires": "never"}
    if act == "list":
        assert alice.open(PAGE).path == "/confirm"
    elif act == "make":
        assert alice.send(**fields).status == 403
    else:
        assert alice.send(f"{PAGE}/1/revoke").status == 403
    assert "Confirm your password" in alice.text
    alice.send(confirm_password=PASSWORD)
    if act == "make":
        assert TOKEN.search(alice.page.text)
    else:
        assert alice.path == PAGE
        assert ("Over" in alice.text) == (act == "revoke")


def test_a_revoked_token_is_over_at_once(alice: Browser) -> None:
    program, other = program_of(alice), program_of(alice, name="other")
    assert works(program)
    revoke(alice, "program")
    assert "revoked" in alice.text
    assert not works(program)
    assert works(other)
    assert alice.send(f"{PAGE}/2/revoke").is_logged_in
    assert not works(other)


def test_nobody_revokes_what_is_not_theirs(alice: Browser, bob: Browser) -> None:
    program = program_of(alice)
    program_of(bob)
    form = bob.open(PAGE)._form(f"{PAGE}/2/revoke", {})
    token = form.fields["form_token"]
    for number in ("1", "3", "0", "9223372036854775807", "9" * 30):
        answer = bob.client.post(f"{PAGE}/{number}/revoke", data={"form_token": token})
        assert answer.status_code == 404
    assert works(program)


@pytest.mark.parametrize(
    ("expires", "on", "after"),
    [("7", "", 7), ("30", "", 30), ("90", "", 90), ("365", "", 365),
     ("date", "2099-01-02", 1.5), ("never", "2099-01-02", None)],
)  # fmt: skip
def test_a_token_expires(
    alice: Browser, time: Any, expires: str, on: str, after: float | None
) -> None:
    _expires(alice, time, after, expires=expires, on=on)


@pytest.mark.parametrize(
    ("on", "offset", "after"),
    [("2099-01-02", "-720", 2), ("2099-01-02", "330", 1.5 - 5.5 / 24),
     ("2099-01-01", "960", None), ("2098-12-31", "-960", 4 / 24)],
)  # fmt: skip
def test_the_last_day_ends_where_it_was_chosen(
    alice: Browser, time: Any, on: str, offset: str, after: float | None
) -> None:
    if after is None:
        alice.submit(PAGE, name="late", expires="date", on=on, offset=offset)
        assert "Choose a date to come." in alice.text
    else:
        _expires(alice, time, after, expires="date", on=on, offset=offset)


def _expires(alice: Browser, time: Any, after: float | None, **fields: str) -> None:
    program = program_of(alice, **fields)
    if after is None:
        time.shift(DAY * 3000)
        assert works(program)
        return
    time.shift(DAY * after - timedelta(seconds=1))
    assert works(program)
    time.shift(timedelta(seconds=1))
    assert not works(program)
    alice.log_in().open(PAGE)
    assert "expired" in alice.text
    assert not alice.tree.xpath("//button[text()='Revoke']")


WRONG = [
    {"name": ""}, {"name": "  "}, {"name": "x" * 61}, {"name": "a\x07b"},
    {"prefix": "x" * 201}, {"prefix": "a\0"}, {"access": "admin"}, {"expires": "8"},
    {"expires": "date"}, {"expires": "date", "on": "2000-01-01"},
    {"expires": "date", "on": "soon"}, {"expires": "date", "on": "10000-01-01"},
    {"expires": "date", "on": "9999-12-31", "offset": "-960"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_a_wrong_form_is_explained_and_kept(
    app: Flask, alice: Browser, wrong: dict[str, str]
) -> None:
    given = {"name": "a name", "access": "write", "prefix": "a/", "expires": "7"}
    alice.submit(PAGE, **(given | wrong))
    assert alice.status == 400
    assert alice.tree.xpath("//*[contains(@class, 'error')]")
    fields = alice._form("", {"prefix": ""}).fields
    assert fields["name"] == (given | wrong)["name"].strip("\0") or "name" in wrong
    assert rows(app) == []


def test_two_tokens_in_use_have_two_names(alice: Browser) -> None:
    new_token(alice, name="laptop")
    alice.submit(PAGE, name="laptop", access="read", expires="7")
    assert alice.status == 409
    assert "of this name already" in alice.text
    revoke(alice, "laptop")
    new_token(alice, name="laptop")


def test_a_person_has_so_many_at_most(alice: Browser) -> None:
    for number in range(MOST):
        new_token(alice, name=f"n{number}")
    page = alice.open(PAGE)
    assert "Revoke one first" in page.text
    form = {"name": "more", "access": "read", "expires": "never"}
    token = page._form("/logout", {}).fields["form_token"]
    answer = alice.client.post(PAGE, data=form | {"form_token": token})
    assert answer.status_code == 409


def test_the_page_lists_some_tokens_and_leads_to_the_others(alice: Browser) -> None:
    names = [f"program {number:02}" for number in range(23)]
    for name in names:
        new_token(alice, name=name)
    revoke(alice, names[-1])
    listed, path = [], PAGE
    while path:
        tree = alice.open(path).tree
        listed.append(tree.xpath("//ul[@class='lines']/li//strong/text()"))
        path = next(iter(tree.xpath("//a[@rel='next']/@href")), "")
    assert [len(page) for page in listed] == [10, 10, 3]
    assert [name for page in listed for name in page] == [*names[-2::-1], names[-1]]


def test_when_and_from_where_it_was_used_is_shown(alice: Browser, time: Any) -> None:
    program = program_of(alice)
    assert "Not used yet" in alice.open(PAGE).text
    program.headers["User-Agent"] = "backup/1.2"
    program.ask("GET", ACCOUNT, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert "Last used now · backup · 192.0.2.7" in alice.open(PAGE).text


def test_its_use_is_written_once_a_minute(
    app: Flask, alice: Browser, time: Any
) -> None:
    program = program_of(alice)
    for seconds, noted in ((0, 0), (30, 0), (29, 0), (1, 60), (59, 60), (1, 120)):
        time.shift(seconds)
        assert works(program)
        (row,) = rows(app)
        assert row.last_used_at == START + timedelta(seconds=noted)


def test_what_happened_to_tokens_is_in_the_history(alice: Browser) -> None:
    new_token(alice, name="Laptop of Anna")
    revoke(alice, "Laptop of Anna")
    text = alice.open("/account/history").text
    assert "Token made: Laptop of Anna" in text
    assert "Token revoked: Laptop of Anna" in text
    (event,) = [
        each
        for each in alice.open("/account/export").page.json["history"]
        if each["what"] == "token made"
    ]
    assert event["about"] == "Laptop of Anna"


def test_the_download_lists_them_without_the_hash(app: Flask, alice: Browser) -> None:
    program = program_of(alice, name="laptop", prefix="a/")
    works(program)
    revoke(alice, "laptop")
    answer = alice.open("/account/export").page
    (token,) = answer.json["tokens"]
    assert (token["name"], token["key_prefix"]) == ("laptop", "a/")
    assert token["end_reason"] == "revoked"
    assert token["last_used_at"]
    assert rows(app)[0].token_hash not in answer.text


def test_a_disabled_persons_tokens_stop_at_once(
    alice: Browser, bob: Browser, operator: Callable[..., str]
) -> None:
    program, bobs = program_of(alice), program_of(bob)
    operator("user disable alice")
    assert not works(program)
    assert works(bobs)
    operator("user enable alice")
    assert works(program)


def test_a_deleted_account_has_no_tokens(app: Flask, alice: Browser) -> None:
    program = program_of(alice)
    alice.open("/account/delete").send("/account/delete")
    assert not works(program)
    assert rows(app) == []


@pytest.mark.parametrize("ticked", [True, False])
def test_a_changed_password_ends_them_when_that_is_ticked(
    alice: Browser, bob: Browser, ticked: bool
) -> None:
    program, bobs = program_of(alice), program_of(bob)
    alice.open("/account")
    assert "Log out everywhere else and revoke all API tokens" in alice.text
    new = "quiet harbour eight boats"
    fields = {"current": PASSWORD, "password": new, "again": new}
    alice.send(**fields, **({} if ticked else {"end_others": ""}))
    assert works(program) is not ticked
    assert works(bobs)
    if ticked:
        assert "password changed" in alice.open(PAGE).text


def test_a_new_password_of_the_operator_ends_them(
    alice: Browser, operator: Callable[..., str]
) -> None:
    program = program_of(alice)
    operator("user set-password alice --password quiet-harbour-eight-boats")
    assert not works(program)


def test_tokens_that_are_over_are_forgotten_later(
    app: Flask, alice: Browser, time: Any
) -> None:
    for name in ("revoked", "kept"):
        new_token(alice, name=name)
    new_token(alice, name="expired", expires="7")
    revoke(alice, "revoked")
    purge = app.extensions["tokens"].purge
    time.shift(HISTORY)
    assert purge(100) == 0
    time.shift(1)
    assert purge(100) == 1
    time.shift(DAY * 7)
    assert purge(100) == 1
    assert [row.name for row in rows(app)] == ["kept"]


def _bring_back(app: Flask, file: Path) -> None:
    settings: Settings = app.config["SETTINGS"]
    app.extensions["database"].engine.dispose()
    restore(file, settings.database, [MemoryStore()], force=True)


@pytest.mark.parametrize("forgotten", [False, True])
def test_an_old_backup_brings_no_revoked_token_back(
    app: Flask, alice: Browser, tmp_path: Path, time: Any, forgotten: bool
) -> None:
    program, other = program_of(alice), program_of(alice, name="other")
    file = tmp_path / "backup.zip"
    list(back_up(app.extensions["database"], file, []))
    revoke(alice, "program")
    later = program_of(alice, name="later")
    if forgotten:
        time.shift(HISTORY + DAY)
        assert app.extensions["tokens"].purge(100) == 1
    _bring_back(app, file)
    assert not works(program)
    assert works(other)
    assert works(later)


def test_on_a_new_machine_a_backup_brings_its_tokens(
    app: Flask, alice: Browser, tmp_path: Path
) -> None:
    program = program_of(alice)
    file = tmp_path / "backup.zip"
    list(back_up(app.extensions["database"], file, []))
    alice.open("/account/delete").send("/account/delete")
    _bring_back(app, file)
    assert works(program)
