"""The history of an account, page by page: nothing can be pushed out of it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from tests.browser import Browser
from webapp import clock
from webapp.accounts.history import WRONG_PASSWORD, History
from webapp.sessions.records import MOST_LISTED
from webapp.sessions.service import Origin

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
STRANGER = Origin("203.0.113.9", "guesser/1.0")


@pytest.fixture(autouse=True)
def time(app: Flask) -> Iterator[Any]:
    """Stand still, later than the application was made."""
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


def guess(app: Flask, time: Any, how_often: int) -> None:
    """Note wrong passwords of a stranger, one a minute."""
    history: History = app.extensions["accounts"]._history
    account = app.extensions["accounts"].find("alice")
    with app.extensions["database"].write() as db:
        for _ in range(how_often):
            time.shift(60)
            history.note(db, account.id, WRONG_PASSWORD, STRANGER)


def come_and_go(browser: Browser, time: Any, how_often: int) -> None:
    for number in range(how_often):
        browser.client.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"
        browser.log_out().log_in()
        time.shift(60)


def pages(browser: Browser, path: str, lines: str) -> list[list[str]]:
    found = []
    while path:
        tree = browser.open(path).tree
        listed = [each.text_content() for each in tree.xpath(lines)]
        found.append([" ".join(each.split()) for each in listed])
        [path] = tree.xpath("//a[@rel='next']/@href") or [""]
    return found


def test_wrong_passwords_push_nothing_out_of_the_history(
    app: Flask, alice: Browser, time: Any
) -> None:
    time.shift(60)
    guess(app, time, 2 * MOST_LISTED + 1)
    time.shift(timedelta(days=1))
    alice.log_in()
    found = pages(alice, "/account/history", "//ol[@class='lines']/li")
    assert [len(page) for page in found] == [MOST_LISTED, MOST_LISTED, 4]
    lines = [line for page in found for line in page]
    assert sum("Wrong password" in line for line in lines) == 2 * MOST_LISTED + 1
    assert lines[-1].startswith("Logged in")
    told = alice.client.get("/account/export").json["history"]
    assert len(told) == len(lines)


@pytest.mark.long
def test_all_sessions_of_90_days_are_listed_and_exported(
    alice: Browser, time: Any
) -> None:
    time.shift(60)
    come_and_go(alice, time, MOST_LISTED + 20)
    found = pages(alice, "/sessions", "//h2[text()='Over']/following::ul[1]/li")
    assert [len(page) for page in found] == [MOST_LISTED, 20]
    assert len({line for page in found for line in page}) == MOST_LISTED + 20
    assert len(alice.client.get("/account/export").json["sessions"]) == (
        MOST_LISTED + 21
    )
    found = pages(alice, "/account/history", "//ol[@class='lines']/li")
    history = [line for page in found for line in page]
    assert sum(line.startswith("Logged in") for line in history) == MOST_LISTED + 21
    assert sum(line.startswith("Logged out") for line in history) == MOST_LISTED + 20


@pytest.mark.parametrize(
    "before",
    ["", "x", "2099", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00", "\0"],
)
@pytest.mark.parametrize("path", ["/sessions", "/account/history"])
def test_an_address_that_was_edited_is_the_first_page(
    alice: Browser, path: str, before: str
) -> None:
    answer = alice.client.get(path, query_string={"before": before})
    assert answer.status_code == 200
    assert "signed in" in answer.text or "Logged in" in answer.text


def test_a_page_that_ends_long_ago_is_empty(alice: Browser) -> None:
    before = (START - timedelta(days=400)).isoformat()
    page = alice.client.get("/account/history", query_string={"before": before})
    assert "Logged in" not in page.text


def test_a_right_password_of_a_disabled_account_is_no_wrong_one(
    alice: Browser, operator: Callable[..., str], time: Any
) -> None:
    operator("user disable alice")
    for _ in range(10):
        time.shift(1)
        assert alice.log_in().status == 403, "and none of them has to wait"
    operator("user enable alice")
    alice.log_in()
    assert "a wrong password or code was tried" not in alice.text
    page = alice.open("/account/history").text
    assert page.count("Log-in refused: disabled") == 10
    assert "Wrong password" not in page


def test_the_history_is_that_of_90_days(app: Flask, alice: Browser, time: Any) -> None:
    guess(app, time, 1)
    time.shift(timedelta(days=90) - timedelta(seconds=1))
    page = "/account/history"
    assert "Wrong password" in alice.log_in().open(page).text
    time.shift(2)
    assert "Wrong password" not in alice.open(page).text
