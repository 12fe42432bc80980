"""One-time codes as the operator makes them, and what is said of them."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask

from tests.accounts.codes import NEW, is_used, log_in
from tests.browser import PASSWORD, Browser
from webapp import clock
from webapp.accounts.codes import FOR_FORGOTTEN, FOR_NEW

Operator = Callable[..., str]


def check_code(lines: list[str], name: str, lifetime: timedelta) -> str:
    """Return the code that the lines tell of, alone on its line."""
    start, code, end = lines
    assert start.startswith(f"One-time code for {name}, until 20")
    until = start.split("until ")[1].replace(" UTC:", "+0000")
    wait = datetime.strptime(until, "%Y-%m-%d %H:%M%z") - clock.now()
    assert lifetime - timedelta(minutes=2) < wait <= lifetime
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){5}", code)
    assert end == (
        f"Tell it to nobody but {name}, who sets a password with it at /password. "
        "Earlier codes are void."
    )
    return code


def test_create_can_leave_the_password_to_the_person(
    app: Flask, operator: Operator
) -> None:
    created, *lines = operator("user create Carol --code").splitlines()
    assert created == "Created Carol."
    code = check_code(lines, "Carol", FOR_NEW)
    assert not log_in(app, "", "Carol").is_logged_in
    assert operator("user list").split()[:2] == ["Carol", "new"]
    assert is_used(app, code, name="carol")
    assert log_in(app, NEW, "Carol").is_logged_in
    assert operator("user list").split()[:2] == ["Carol", "active"]


def test_make_code_changes_nothing_until_it_is_used(
    app: Flask, alice: Browser, operator: Operator
) -> None:
    lines = operator("user make-code ALICE").splitlines()
    code = check_code(lines, "alice", FOR_FORGOTTEN)
    assert alice.open("/").is_logged_in
    assert log_in(app, PASSWORD).is_logged_in
    assert code not in operator("user make-code alice"), "each is another"


@pytest.mark.parametrize("options", ["--code --password x", "--password x --code"])
def test_a_code_and_a_password_are_one_too_many(
    operator: Operator, options: str
) -> None:
    said = operator(f"user create carol {options}", status=2)
    assert "Error: Give --code, or a password." in said
    assert operator("user list") == "0 accounts.\n"


def test_no_code_is_made_for_a_disabled_account(
    alice: Browser, operator: Operator
) -> None:
    operator("user disable alice")
    said = operator("user make-code alice", status=1)
    assert said == "Error: alice is disabled. Enable the account first.\n"
