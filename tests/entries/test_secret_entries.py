"""A secret value is encrypted where it is kept, and shown to who gave the password."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import text

from config.settings import Settings
from tests.browser import PASSWORD, Browser
from webapp import clock
from webapp.entries.service import Entries

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
STALE = timedelta(minutes=15)
KEY = Fernet.generate_key().decode()
PIN = "the pin is 7391-é"
SECOND = "another pin, 5820"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"encryption_keys": (KEY,)})


@pytest.fixture(autouse=True)
def time(app: Flask) -> Iterator[Any]:
    """Stand still, later than the application was made."""
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


def keep(browser: Browser, key: str, value: str, **fields: str) -> Browser:
    return browser.submit("/entries/new", key=key, value=value, secret="yes", **fields)


def confirm(browser: Browser) -> Browser:
    assert browser.path == "/confirm" or browser.status == 403
    return browser.send(confirm_password=PASSWORD)


def shown(browser: Browser, page: str = "/entries/bank?all=1") -> str | None:
    """Return the value that the page shows, if it shows one."""
    found = browser.open(page).tree.xpath("//pre/text()")
    return str(found[0]) if found else None


def is_ticked(browser: Browser) -> bool:
    return bool(browser.tree.xpath("//input[@name='secret'][@checked]"))


def stored(settings: Settings) -> bytes:
    """Return every byte of every file: database, log, session copies, cached values."""
    files = [file for file in settings.data_dir.rglob("*") if file.is_file()]
    return b"".join(file.read_bytes() for file in files)


def query(app: Flask, statement: str) -> list[Any]:
    """Read or edit the database behind the application's back."""
    with app.extensions["database"].write() as db:
        result = db.execute(text(statement))
        return list(result.all()) if result.returns_rows else []


def test_a_secret_value_is_shown_until_the_password_was_given_15_minutes_ago(
    alice: Browser, time: Any
) -> None:
    keep(alice, "bank", PIN)
    assert alice.path == "/entries/bank"
    assert "Saved." in alice.text
    time.shift(STALE - timedelta(seconds=1))
    assert shown(alice) == PIN
    time.shift(1)
    assert shown(alice) is None
    assert "This value is secret." in alice.text
    assert PIN not in alice.page.text
    alice.open(alice.links()["Show value"])
    confirm(alice)
    assert alice.path == "/entries/bank"
    assert shown(alice) == PIN


def test_making_one_needs_no_confirmation_and_shows_nothing(
    alice: Browser, time: Any
) -> None:
    time.shift(STALE)
    keep(alice, "bank", PIN)
    assert (alice.status, alice.path) == (200, "/entries/bank")
    assert PIN not in alice.page.text
    assert "This value is secret." in alice.text


def test_show_value_needs_no_second_confirmation_while_fresh(alice: Browser) -> None:
    keep(alice, "bank", PIN).open("/entries/bank/show")
    assert alice.path == "/entries/bank"
    assert alice.client.get("/entries/none/show").status_code == 303
    assert alice.open("/entries/none/show").status == 404


@pytest.mark.embedded
def test_nothing_that_is_kept_has_the_value_or_the_key_in_it(
    app: Flask, settings: Settings, alice: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    keep(alice, "bank", PIN)
    alice.open("/entries").open("/entries?q=bank")
    alice.submit("/entries/bank/edit", value=SECOND)
    alice.submit("/entries/bank/edit", value=PIN, version="1").open("/entries")
    content = stored(settings) + caplog.text.encode()
    assert b"bank" in content
    assert b"Your entries" in content, "the list is a cached value"
    for secret in (PIN.encode(), json.dumps(PIN).encode(), SECOND.encode()):
        assert secret not in content
    assert KEY.encode() not in content
    assert KEY not in str(app.config)


def test_a_secret_value_is_in_no_list_and_found_by_no_search(
    app: Flask, alice: Browser
) -> None:
    keep(alice, "bank", PIN)
    alice.keep("plain", "the pin is not here")
    [(token,)] = query(app, "SELECT value FROM entries WHERE encrypted_by IS NOT NULL")
    for words, keys in {
        "": {"bank", "plain"},
        "BANK": {"bank"},
        "the pin": {"plain"},
        "739": set(),
        "gAAAA": set(),
        token[20:40]: set(),
    }.items():
        alice.open(f"/entries?q={words}")
        assert {"bank", "plain"} & set(alice.links()) == keys, words
        assert PIN not in alice.page.text
        assert token[:20] not in alice.page.text
        assert ("Secret values are not searched." in alice.text) is (not keys)
    row = alice.open("/entries").tree.xpath("//tr[.//a[text()='bank']]")[0]
    assert " ".join(row.text_content().split()).startswith("bank Secret")


def test_editing_needs_the_password_and_comes_back_to_the_value(
    alice: Browser, time: Any
) -> None:
    keep(alice, "bank", PIN)
    time.shift(STALE)
    alice.open("/entries/bank/edit")
    assert PIN not in alice.page.text
    assert confirm(alice).path == "/entries/bank/edit"
    assert alice.tree.xpath("string(//textarea)") == PIN
    assert is_ticked(alice)
    alice.send(value=SECOND)
    assert shown(alice) == SECOND


@pytest.mark.parametrize("ticked", [True, False], ids=["still secret", "turned off"])
def test_what_was_typed_is_saved_after_the_password_was_asked_for(
    app: Flask, alice: Browser, time: Any, ticked: bool
) -> None:
    keep(alice, "bank", PIN).open("/entries/bank/edit")
    time.shift(STALE)
    form = alice._form("", {"value": ""})
    # It travels through the page that asks, however large it is.
    typed = SECOND * 10_000
    fields = dict(form.form_values()) | {"value": typed}
    if not ticked:
        del fields["secret"]
    address = "/entries/bank/edit"
    alice.page = alice.client.post(address, data=fields, follow_redirects=True)
    assert alice.status == 403
    assert PIN not in alice.page.text
    assert shown(confirm(alice)) == typed
    [(value, by)] = query(app, "SELECT value, encrypted_by FROM entries")
    assert (value == typed) is (by is None) is not ticked


def test_an_entry_becomes_secret_and_is_in_no_cached_list_any_more(
    app: Flask, settings: Settings, alice: Browser, time: Any
) -> None:
    alice.keep("bank", PIN).open("/entries")
    assert PIN in alice.text
    cached = app.extensions["stores"][1]
    assert PIN in str(cached.get("{1}:list"))
    time.shift(STALE)
    alice.submit("/entries/bank/edit", secret="yes")
    assert alice.status == 200, "hiding it needs no password"
    assert PIN not in alice.page.text
    assert cached.get("{1}:list") is None
    assert PIN not in alice.open("/entries").page.text
    assert "bank" not in alice.open("/entries?q=7391").links()


@pytest.mark.embedded
def test_sqlite_overwrites_what_was_in_clear(
    app: Flask, settings: Settings, alice: Browser
) -> None:
    alice.keep("bank", PIN * 1000).keep("small", PIN)
    for key in ("bank", "small"):
        alice.submit(f"/entries/{key}/edit", secret="yes")
    alice.open("/entries")
    with app.extensions["database"].engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert PIN.encode() not in stored(settings)


def test_turned_off_it_is_an_entry_as_any_other(alice: Browser) -> None:
    keep(alice, "bank", PIN).open("/entries/bank/edit")
    fields = dict(alice._form("", {"value": ""}).form_values())
    del fields["secret"]
    assert alice.client.post("/entries/bank/edit", data=fields).status_code == 303
    assert PIN in alice.open("/entries").text
    assert "bank" in alice.open("/entries?q=7391").links()
    assert not is_ticked(alice.open("/entries/bank/edit"))


def test_the_second_tab_sees_both_versions_and_what_is_secret_stays_so(
    browser_of: Callable[[str], Browser], time: Any
) -> None:
    one, other = browser_of("alice"), browser_of("alice")
    one.keep("bank", PIN).open("/entries/bank/edit")
    other.submit("/entries/bank/edit", value=SECOND, secret="yes")
    time.shift(STALE)
    one.send(value="mine")
    assert one.status == 403
    assert SECOND not in one.page.text
    confirm(one)
    assert one.status == 409
    assert one.tree.xpath("string(//pre)") == SECOND
    assert one.tree.xpath("string(//textarea)") == "mine"
    assert is_ticked(one), "what the other tab made secret is not undone unseen"
    assert shown(one.send("/entries/bank/edit")) == "mine"
    assert "bank" not in one.open("/entries?q=mine").links()


def test_what_becomes_secret_in_between_is_not_shown_to_who_is_not_fresh(
    browser_of: Callable[[str], Browser], time: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = browser_of("alice"), browser_of("alice")
    one.keep("bank", PIN).open("/entries/bank/edit")
    other.submit("/entries/bank/edit", value=SECOND, secret="yes")
    time.shift(STALE)
    monkeypatch.setattr(Entries, "is_secret", lambda *_: False)
    one.send(value="mine")
    assert one.status == 409
    assert SECOND not in one.page.text
    assert "This value is secret." in one.text


def test_deleting_shows_no_secret_and_asks_for_nothing(
    browser_of: Callable[[str], Browser], time: Any
) -> None:
    one, other = browser_of("alice"), browser_of("alice")
    keep(one, "bank", PIN)
    assert shown(one, "/entries/bank/delete") == PIN
    other.submit("/entries/bank/edit", value=SECOND)
    time.shift(STALE)
    one.send("/entries/bank/delete")
    assert one.status == 409
    assert SECOND not in one.page.text
    assert shown(one, "/entries/bank/delete") is None
    assert "This value is secret." in one.text
    assert "Deleted." in one.send("/entries/bank/delete").text


def test_an_entry_deleted_elsewhere_is_kept_again_as_secret_as_it_was(
    app: Flask, browser_of: Callable[[str], Browser]
) -> None:
    one, other = browser_of("alice"), browser_of("alice")
    keep(one, "bank", PIN).open("/entries/bank/edit")
    other.open("/entries/bank/delete").send("/entries/bank/delete")
    assert one.send(value=SECOND).status == 404
    assert is_ticked(one)
    assert shown(one.send("/entries/new")) == SECOND
    assert query(app, "SELECT 1 FROM entries WHERE encrypted_by IS NOT NULL")


def test_the_download_has_the_value_and_needs_the_password(
    alice: Browser, time: Any
) -> None:
    keep(alice, "bank", PIN)
    alice.keep("plain", "clear")
    time.shift(STALE)
    assert PIN not in alice.open("/account/export").page.text
    entries = confirm(alice).page.json["entries"]
    assert [(each["key"], each["value"], each["secret"]) for each in entries] == [
        ("bank", PIN, True),
        ("plain", "clear", False),
    ]


@pytest.mark.parametrize("value", ["", "é🦀" * 40_000, '{"a": [1]}'], ids=range(3))
def test_size_and_quota_count_what_was_typed(
    app: Flask, alice: Browser, value: str
) -> None:
    keep(alice, "bank", value)
    size = len(f"bank{value}".encode())
    assert query(app, "SELECT size FROM entries") == [(size,)]
    assert query(app, "SELECT size FROM entry_usage") == [(size,)]
    assert (shown(alice) or "") == value
    assert ("The value is empty." in alice.text) is (value == "")


def test_too_large_is_measured_in_clear_and_said(alice: Browser) -> None:
    assert keep(alice, "bank", "x" * 256_001).status == 413
    assert "256,001 bytes; at most 256,000" in alice.text
    assert is_ticked(alice)
    assert alice.send(value="x" * 256_000).status == 200


def test_what_is_no_yes_and_no_no_is_refused(app: Flask, alice: Browser) -> None:
    alice.submit("/entries/new", key="bank", value=PIN, secret="perhaps")
    assert alice.status == 400
    said = alice.tree.xpath("string(//*[@id='secret-error'])")
    assert said == "This should be yes or no."
    assert query(app, "SELECT 1 FROM entries") == []


def test_somebody_elses_secret_is_nothing(alice: Browser, bob: Browser) -> None:
    keep(alice, "bank", PIN)
    for page in ("", "/edit", "/delete", "/show"):
        assert bob.open(f"/entries/bank{page}").status == 404
    assert keep(bob, "bank", SECOND).status == 200
    assert shown(alice) == PIN
