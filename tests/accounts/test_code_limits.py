"""Guessing codes is held back as guessing passwords is, by the same limits."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import update

from tests.accounts.codes import NEW, code_of, is_used, log_in, use
from tests.browser import PASSWORD, Browser
from webapp import clock
from webapp.accounts.hashing import HashingQueue
from webapp.accounts.models import User
from webapp.errors import Busy

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
WRONG = "0000-0000-0000-0000-0000-0000"
FREE = 5
Operator = Callable[..., str]


@pytest.fixture(autouse=True)
def time(app: Flask) -> Iterator[Any]:
    """Stand still, later than the application was made."""
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


def test_whatever_is_wrong_reads_the_same_and_hashes_once(
    app: Flask, code: str, bob: Browser, operator: Operator, hashed: list[str]
) -> None:
    used = code_of(operator("user make-code bob"))
    assert is_used(app, used, name="bob")
    made = {name: code_of(operator(f"user create {name} --code")) for name in
            ("disabled", "expired")}  # fmt: skip
    of = update(User).where(User.name == "disabled")
    with app.extensions["database"].write() as db:
        db.execute(of.values(disabled_at=START))
        of_expired = update(User).where(User.name == "expired")
        db.execute(of_expired.values(code_expires_at=START))
    tries = {"alice": WRONG, "nobody": code, "bob": used} | made
    hashed.clear()
    pages = set()
    for name, typed in tries.items():
        answer = use(app, typed, name)
        other = ("Content-Length", "X-Request-ID")
        headers = tuple((k, v) for k, v in answer.headers if k not in other)
        text = answer.text.replace(f'value="{name}"', "")
        pages.add((answer.status, headers, text))
    assert len(pages) == 1
    assert len(hashed) == len(tries)
    hashed.clear()
    assert is_used(app, code)
    assert len(hashed) == 1


def test_wrong_codes_have_to_wait_as_wrong_passwords_do(
    app: Flask, code: str, hashed: list[str], operator: Operator, time: Any
) -> None:
    assert [use(app, WRONG).status_code for _ in range(FREE)] == [401] * FREE
    hashed.clear()
    for answer in (use(app, code), log_in(app, PASSWORD).page):
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        assert "Too many attempts. Try again in 1 second." in answer.text
    assert hashed == [], "429 comes before any hashing"
    assert is_used(app, code_of(operator("user make-code alice"))), "it is forgiven"
    assert [use(app, WRONG).status_code for _ in range(FREE)] == [401] * FREE


def test_a_browser_that_was_here_before_is_not_held_back_by_strangers(
    app: Flask, alice: Browser, code: str
) -> None:
    alice.log_out()
    assert [use(app, WRONG).status_code for _ in range(FREE + 1)][-1] == 429
    alice.submit("/password", name="alice", code=code, password=NEW, again=NEW)
    assert "Your password is set." in alice.text
    assert use(app, WRONG).status_code == 429, "the strangers still are"


@pytest.mark.parametrize("typed", ["right", "wrong"])
def test_a_full_queue_counts_nothing_and_uses_no_code(
    app: Flask, code: str, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    def turn_away(*_arguments: object, **_options: object) -> None:
        raise Busy("Too many passwords are waiting to be checked.")

    with monkeypatch.context() as patch:
        patch.setattr(HashingQueue, "run", turn_away)
        for _ in range(FREE + 1):
            answer = use(app, code if typed == "right" else WRONG)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            assert "Too many passwords are waiting" in answer.text
    assert is_used(app, code)
    history = log_in(app).open("/account/history").text
    assert "Wrong one-time code" not in history
