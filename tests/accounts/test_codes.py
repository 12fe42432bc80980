"""A password is set with a code that the operator made, once and in time."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from tests.accounts.codes import NEW, code_of, is_used, log_in, use
from tests.browser import PASSWORD, Browser
from webapp import clock
from webapp.accounts.authentication import Authentication
from webapp.accounts.code_views import ONCE_MORE
from webapp.accounts.codes import FOR_FORGOTTEN, FOR_NEW, LETTERS, hash_code
from webapp.accounts.models import User

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
MOMENT = timedelta(milliseconds=1)
WRONG = "0000-0000-0000-0000-0000-0000"
FREE = 5
Operator = Callable[..., str]
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "small": str.lower,
    "without dashes": lambda code: code.replace("-", ""),
    "spaces": lambda code: f"  {code.replace('-', ' ')}\n",
    "other dashes": lambda code: code.replace("-", " \u2013 "),
    "look-alikes": lambda code: code.replace("0", "o").replace("1", "l"),
}
OVER: dict[str, tuple[str, timedelta]] = {
    "time": ("user list", FOR_FORGOTTEN),
    "newer": ("user make-code alice", timedelta(0)),
    "set by the operator": (f"user set-password alice --password {NEW}s", timedelta(0)),
    "disabled": ("user disable alice", timedelta(0)),
}
MISTAKES = {
    "short": ("short", "short", "Use at least 15 characters."),
    "name": ("alicealicealice", "alicealicealice", "than your user name."),
    "common": ("passwordpassword", "passwordpassword", "Too many people use this"),
    "not again": (NEW, PASSWORD, "The two are not the same."),
}


@pytest.fixture(autouse=True)
def time(app: Flask) -> Iterator[Any]:
    """Stand still, later than the application was made."""
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_a_password_is_set_however_the_code_is_spelled(
    app: Flask, code: str, spell: Callable[[str], str]
) -> None:
    browser = Browser(app.test_client(), "alice", NEW).open("/login")
    browser.open(browser.links()["Set your password"])
    browser.send(name="alice", code=spell(code), password=NEW, again=NEW)
    assert (browser.path, browser.is_logged_in) == ("/login", False)
    assert "Your password is set. Log in with it." in browser.text
    assert browser.send(name="alice", password=NEW).is_logged_in
    assert not log_in(app, PASSWORD).is_logged_in


def test_what_looks_like_another_letter_is_read_as_one() -> None:
    assert hash_code("0O1I-lioz") == hash_code("00111-10Z")
    assert not set("OIL") & set(LETTERS)


def test_a_code_is_used_once(app: Flask, code: str) -> None:
    assert is_used(app, code)
    assert not is_used(app, code, password=f"{NEW}s")
    assert log_in(app).is_logged_in


def test_of_many_who_use_a_code_at_once_one_sets_the_password(
    app: Flask, code: str
) -> None:
    together, answers = threading.Barrier(3), list[int]()

    def come(number: int) -> None:
        together.wait()
        answers.append(use(app, code, password=f"{NEW}-{number}").status_code)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303, 401, 401]
    right = [log_in(app, f"{NEW}-{number}").is_logged_in for number in range(3)]
    assert right.count(True) == 1


@pytest.mark.parametrize(("command", "wait"), OVER.values(), ids=OVER)
def test_a_code_that_is_over_sets_nothing(
    app: Flask, code: str, operator: Operator, time: Any, command: str, wait: timedelta
) -> None:
    operator(command)
    time.shift(wait)
    operator("user enable alice")
    assert not is_used(app, code)
    assert not log_in(app).is_logged_in


def test_a_code_is_good_to_its_last_moment(app: Flask, code: str, time: Any) -> None:
    time.shift(FOR_FORGOTTEN - MOMENT)
    assert is_used(app, code)


def test_ones_own_change_of_the_password_ends_a_code(app: Flask, code: str) -> None:
    alice = Browser(app.test_client(), "alice").log_in()
    fields = {"current": PASSWORD, "password": f"{NEW}s", "again": f"{NEW}s"}
    assert "is changed" in alice.submit("/account", **fields).text
    assert not is_used(app, code)


@pytest.mark.parametrize(("wait", "good"), [(FOR_NEW - MOMENT, True), (FOR_NEW, False)])
def test_nobody_logs_in_to_a_new_account_before_its_code_was_used(
    app: Flask, operator: Operator, time: Any, wait: timedelta, good: bool
) -> None:
    code = code_of(operator("user create Carol --code"))
    time.shift(wait)
    for password in ("", NEW, code):
        assert not log_in(app, password, "carol").is_logged_in
    assert is_used(app, code, name="carol") is good
    assert log_in(app, NEW, "Carol").is_logged_in is good
    if not good:
        assert is_used(app, code_of(operator("user make-code carol")), name="carol")


def test_a_code_is_of_no_use_to_others(app: Flask, code: str, bob: Browser) -> None:
    for name in ("bob", "nobody", "", "x" * 3000, "al\u0131ce"):
        assert not is_used(app, code, name=name)
    assert log_in(app, PASSWORD, "bob").is_logged_in
    assert is_used(app, code, name="ALICE"), "the name is known in whatever case"


@pytest.mark.parametrize(("password", "again", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_password_that_cannot_be_chosen_costs_neither_code_nor_try(
    app: Flask, code: str, password: str, again: str, said: str
) -> None:
    for _ in range(FREE + 1):
        answer = use(app, code, password=password, again=again)
        assert answer.status_code == 400
        assert said in answer.text
        assert ONCE_MORE in answer.text
    assert is_used(app, code)


@pytest.mark.parametrize("field", ["name", "code", "password", "again"])
def test_a_form_with_something_missing_is_asked_for_again(
    app: Flask, code: str, field: str
) -> None:
    form = {"name": "alice", "code": code, "password": NEW, "again": NEW}
    del form[field]
    browser = Browser(app.test_client())
    browser.page = browser.client.post("/password", data=form)
    assert browser.status == 400
    assert browser.tree.xpath(f"//*[@id='{field}-error']")


def test_only_the_name_is_kept_in_the_form(app: Flask, code: str) -> None:
    for typed, password in ((WRONG, NEW), (code, "short")):
        browser = Browser(app.test_client(), page=use(app, typed, password=password))
        fields = browser.tree.xpath("//main//input")
        values = {field.name: field.get("value") for field in fields}
        assert values.pop("name") == "alice"
        assert set(values.values()) == {None}
        assert browser.tree.xpath("//input[@autofocus]/@name") == ["code"]


@pytest.mark.parametrize(
    "change", ["user disable alice", "user make-code alice", "session end alice"]
)
def test_a_change_while_the_password_was_being_hashed_is_not_overtaken(
    app: Flask,
    code: str,
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    accept = Authentication.accept

    def accept_later(self: Authentication, attempt: Any) -> Any:
        monkeypatch.undo()
        operator(change)
        return accept(self, attempt)

    monkeypatch.setattr(Authentication, "accept", accept_later)
    assert is_used(app, code) is (change == "session end alice")


def test_another_site_cannot_send_it(app: Flask, code: str) -> None:
    form = {"name": "alice", "code": code, "password": NEW, "again": NEW}
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = app.test_client().post("/password", data=form, headers=headers)
    assert answer.status_code == 403
    assert is_used(app, code)


def test_whoever_is_logged_in_meanwhile_is_logged_out(
    app: Flask, alice: Browser, bob: Browser, code: str
) -> None:
    """The log-in that follows is of the person whose code it was."""
    bob.submit("/password", name="alice", code=code, password=NEW, again=NEW)
    assert (bob.path, "Your password is set." in bob.text) == ("/login", True)
    for browser in (alice, bob):
        assert not browser.open("/").is_logged_in


def test_a_code_is_in_no_log_on_no_page_and_in_no_record(
    app: Flask, alice: Browser, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("webapp").setLevel(logging.DEBUG)
    with app.extensions["database"].read() as db:
        row = db.execute(select(User.__table__)).one()
    assert code not in str(row)
    everything = json.dumps(alice.open("/account/export").page.json)
    assert row.code_hash not in everything
    assert "code_hash" not in everything
    for name, typed, password in (
        ("bob", code, NEW), ("alice", code, "short"), ("alice", code, NEW)
    ):  # fmt: skip
        everything += use(app, typed, name, password).text
    headers = {"Sec-Fetch-Site": "cross-site"}
    form = {"name": "alice", "code": code, "password": NEW}
    answer = app.test_client().post("/password", data=form, headers=headers)
    everything += answer.text + caplog.text
    assert not [each for each in (code, NEW, row.code_hash) if each in everything]
