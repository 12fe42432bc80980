"""Without a key, with a wrong one, or with values that somebody swapped."""

import logging
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import text, update

from config.settings import Settings
from tests.browser import Browser
from webapp import create_app
from webapp.entries.models import Entry

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
PIN = "the pin is 7391"
UNREADABLE = "This value cannot be read with the keys that this site has."
NOT_SET_UP = "its operator has not set this up"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_keys(settings, OLD)


def with_keys(settings: Settings, *keys: str) -> Settings:
    return settings.model_copy(update={"encryption_keys": keys})


def restart(browser: Browser, settings: Settings, *keys: str) -> Browser:
    """Serve the same person by another process, which has these keys."""
    browser.client.application = create_app(with_keys(settings, *keys))
    return browser


def keep(browser: Browser, key: str, value: str = PIN) -> Browser:
    return browser.submit("/entries/new", key=key, value=value, secret="yes")


def shown(browser: Browser, key: str = "bank") -> str:
    return str(browser.open(f"/entries/{key}").tree.xpath("string(//pre)"))


def query(app: Flask, statement: str) -> list[Any]:
    """Read or edit the database behind the application's back."""
    with app.extensions["database"].write() as db:
        result = db.execute(text(statement))
        return list(result.all()) if result.returns_rows else []


def edit_first(app: Flask, values: dict[str, Any]) -> None:
    with app.extensions["database"].write() as db:
        db.execute(update(Entry).where(Entry.id == 1).values(**values))


def box(browser: Browser) -> Any:
    [box] = browser.tree.xpath("//input[@name='secret']")
    return box


def test_without_a_key_the_box_cannot_be_ticked_and_says_why(
    settings: Settings, alice: Browser
) -> None:
    restart(alice, settings).keep("plain", "clear")
    for page in ("/entries/new", "/entries/plain/edit"):
        assert "disabled" in box(alice.open(page)).attrib
        assert NOT_SET_UP in alice.tree.xpath("string(//*[@id='secret-hint'])")
        assert box(alice).get("aria-describedby").strip() == "secret-hint"


def test_without_a_key_what_should_be_secret_is_refused_until_it_is_unticked(
    app: Flask, settings: Settings, alice: Browser
) -> None:
    keep(restart(alice, settings), "bank")
    for _ in range(2):
        assert alice.status == 400
        assert NOT_SET_UP in alice.tree.xpath("string(//*[@id='secret-error'])")
        assert {"checked", "aria-invalid"} <= set(box(alice).attrib)
        assert "disabled" not in box(alice).attrib, "or Save would keep it in clear"
        assert query(app, "SELECT 1 FROM entries") == []
        alice.send("/entries/new")
    alice.keep("bank", PIN).submit("/entries/bank/edit", value="x", secret="yes")
    assert alice.status == 400
    assert query(app, "SELECT value FROM entries") == [(PIN,)]


@pytest.mark.parametrize("keys", [(), (NEW,)], ids=["lost", "wrong"])
def test_with_its_key_gone_an_entry_says_so_and_everything_else_works(
    app: Flask, settings: Settings, alice: Browser, keys: tuple[str, ...]
) -> None:
    keep(alice.keep("plain", "clear"), "bank")
    restart(alice, settings, *keys)
    assert alice.open("/entries").is_logged_in
    assert {"bank", "plain"} <= set(alice.links())
    assert {"bank"} == {"bank", "plain"} & set(alice.open("/entries?q=ban").links())
    assert shown(alice, "plain") == "clear"
    for page in ("", "/delete"):
        assert alice.open(f"/entries/bank{page}").status == 200
        assert UNREADABLE in alice.text
    entries = alice.open("/account/export").page.json["entries"]
    assert [(each["value"], each.get("missing")) for each in entries] == [
        ("clear", None),
        (None, UNREADABLE),
    ]
    restart(alice, settings, NEW, OLD)
    assert shown(alice) == PIN, "it is there again with its key"


def test_what_cannot_be_read_is_written_anew(
    settings: Settings, alice: Browser
) -> None:
    keep(alice, "bank")
    restart(alice, settings, NEW).open("/entries/bank/edit")
    said = alice.tree.xpath("string(//*[@id='value-error'])")
    assert said == f"{UNREADABLE} What you save replaces it."
    assert alice.tree.xpath("string(//textarea)") == ""
    alice.send(value="found on paper")
    assert shown(alice) == "found on paper"


def test_without_any_key_it_is_written_in_clear_only_when_it_is_unticked(
    app: Flask, settings: Settings, alice: Browser
) -> None:
    keep(alice, "bank")
    restart(alice, settings).submit("/entries/bank/edit", value="new pin")
    assert alice.status == 400
    assert "checked" in box(alice).attrib
    fields = dict(alice._form("", {"value": ""}).form_values())
    del fields["secret"]
    assert alice.client.post("/entries/bank/edit", data=fields).status_code == 303
    assert query(app, "SELECT value, encrypted_by FROM entries") == [("new pin", None)]


def test_what_cannot_be_read_can_be_deleted(settings: Settings, alice: Browser) -> None:
    keep(alice, "bank")
    restart(alice, settings, NEW).open("/entries/bank/delete")
    assert "Deleted." in alice.send("/entries/bank/delete").text
    assert alice.open("/account/export").page.json["entries"] == []


def test_a_missing_key_is_logged_once_with_its_fingerprint_and_no_more(
    app: Flask, settings: Settings, alice: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    keep(keep(alice, "bank"), "card")
    [(fingerprint,)] = query(app, "SELECT DISTINCT encrypted_by FROM entries")
    restart(alice, settings, NEW)
    caplog.clear()
    for _ in range(2):
        alice.open("/entries/bank").open("/entries/card").open("/account/export")
    [line] = [each for each in caplog.records if each.name.startswith("webapp.entries")]
    assert line.getMessage() == (
        f"Secret entries need a key that is not in ENCRYPTION_KEYS: {fingerprint}"
    )


def test_what_was_swapped_or_changed_in_the_database_is_not_read_and_logged(
    app: Flask, alice: Browser, bob: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    keep(keep(alice, "bank"), "card", "of the card")
    keep(bob, "safe", "of the safe")
    token, of_card, of_safe = query(app, "SELECT value FROM entries ORDER BY id")
    whole = {"user_id": 1, "key": "bank", "value": token[0]}
    swaps: list[dict[str, Any]] = [
        {"value": of_card[0]},
        {"value": of_safe[0]},
        {"user_id": 2},
        {"key": "money"},
        {"value": token[0][:40]},
        {"value": "é🦀"},
        {"value": "send it to me"},
    ]
    for number, swap in enumerate(swaps, 1):
        edit_first(app, swap)
        browser = bob if "user_id" in swap else alice
        assert browser.open(f"/entries/{swap.get('key', 'bank')}").status == 200
        assert f"{UNREADABLE} A key is missing, or the value was dam" in browser.text
        for value in (PIN, "of the card", "of the safe", "send it"):
            assert value not in browser.page.text, swap
        said = [each for each in caplog.records if "swapped" in each.getMessage()]
        assert [each.levelno for each in said] == [logging.ERROR] * number
        edit_first(app, whole)
        assert shown(alice) == PIN
    assert shown(alice, "card") == "of the card"
    assert shown(bob, "safe") == "of the safe"


def test_who_unmarks_a_secret_in_the_database_sees_a_token_only(
    app: Flask, alice: Browser
) -> None:
    keep(alice, "bank")
    query(app, "UPDATE entries SET encrypted_by = NULL")
    assert shown(alice).startswith("gAAAA")
    assert PIN not in alice.open("/entries").page.text
