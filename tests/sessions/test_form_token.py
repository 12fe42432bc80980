"""The token of a form belongs to a session, whatever ID that has, and to no other."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import update

from tests.browser import PASSWORD, Browser
from webapp import clock
from webapp.sessions.models import SessionRecord

ENTRY = {"key": "diary", "value": "quiet", "kind": "text"}
PROOF = {"confirm_password": PASSWORD}


def token(browser: Browser) -> str:
    return str(browser.open("/account")._form("/logout", {}).fields["form_token"])


def session_id(browser: Browser) -> str:
    return str(browser.client.get_cookie("session").value)


def tab(browser: Browser, path: str) -> Browser:
    """Open a page in another tab of the same browser."""
    return Browser(browser.client, browser.name).open(path)


def empty_stores(app: Flask) -> None:
    for store in app.extensions["stores"]:
        store.clear()


def test_a_form_that_was_open_before_a_confirmation_is_taken_after_it(
    alice: Browser,
) -> None:
    before, other = session_id(alice), tab(alice, "/entries/new")
    alice.submit("/confirm", **PROOF)
    assert session_id(alice) != before
    assert other.send(**ENTRY).status == 200
    assert alice.value("diary") == "quiet"


def test_a_form_that_was_open_before_the_password_changed_is_taken(
    alice: Browser,
) -> None:
    before, other = session_id(alice), tab(alice, "/entries/new")
    new = {"password": PASSWORD + "!", "again": PASSWORD + "!"}
    alice.submit("/account", current=PASSWORD, **new)
    assert session_id(alice) != before
    assert other.send(**ENTRY).status == 200


def test_an_older_tab_logs_out(alice: Browser) -> None:
    other = tab(alice, "/entries")
    alice.submit("/confirm", **PROOF)
    assert "You are logged out." in other.send("/logout").text
    assert not alice.open("/").is_logged_in


def test_the_second_of_two_confirmations_goes_on_with_its_act(
    alice: Browser, browser_of: Callable[[str], Browser]
) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16), tick=False):
        browser_of("alice")
        first = tab(alice, "/account/delete").send("/account/delete")
        second = tab(alice, "/sessions").send("/sessions/end-others")
        first.open("/confirm").send(**PROOF)
        assert second.send(**PROOF).status == 200
        assert "1 other session ended." in second.text
    clock.start()


def test_the_token_outlives_what_the_store_loses(app: Flask, alice: Browser) -> None:
    before = token(alice)
    empty_stores(app)
    assert token(alice) == before
    alice.submit("/confirm", **PROOF)
    empty_stores(app)
    assert token(alice) == before


def test_another_log_in_has_another_token(
    alice: Browser, browser_of: Callable[[str], Browser]
) -> None:
    tokens = {token(alice), token(browser_of("alice")), token(browser_of("bob"))}
    before = token(alice)
    alice.log_out().log_in()
    assert token(alice) not in tokens
    assert alice.client.post("/logout", data={"form_token": before}).status_code == 403


def test_it_is_made_of_nothing_that_is_shown(alice: Browser) -> None:
    mine = token(alice)
    cookies = [alice.client.get_cookie(name).value for name in ("session", "device")]
    assert not any(mine in cookie for cookie in cookies)
    exported = alice.open("/account/export").page.text
    assert mine not in exported
    assert "device" not in exported


def test_a_session_of_before_there_were_devices_has_one_as_well(
    app: Flask, alice: Browser, bob: Browser
) -> None:
    with app.extensions["database"].write() as db:
        db.execute(update(SessionRecord).values(device_hash=""))
    empty_stores(app)
    assert token(alice) != token(bob)
    assert alice.keep(**ENTRY).status == 200


def test_a_page_of_a_database_that_is_away_needs_no_token(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise app.extensions["database"].engine.dialect.dbapi.OperationalError("away")

    alice.open("/sessions")
    with alice.client.session_transaction() as session:
        session.pop("_form_key", None)
    monkeypatch.setattr(app.extensions["database"].engine.dialect, "do_execute", fail)
    assert alice.open("/sessions").status == 503
