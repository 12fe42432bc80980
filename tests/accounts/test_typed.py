"""What somebody typed while their session ended goes through the log-in."""

from collections.abc import Callable

import pytest

from tests.browser import PASSWORD, Browser
from webapp.sessions.service import Sessions

TEXT = "Two lines\nand <b>é</b> &amp;"
ENTRY = {"key": "diary", "value": TEXT, "kind": "text", "labels": "harbour, boats"}


@pytest.fixture
def typing(alice: Browser, browser_of: Callable[[str], Browser]) -> Browser:
    """Alice on the page of a new entry, logged out from elsewhere meanwhile."""
    alice.open("/entries/new")
    browser_of("alice").open("/sessions").send("/sessions/end-others")
    return alice


def log_in(browser: Browser, password: str = PASSWORD) -> Browser:
    return browser.send(name=browser.name, password=password)


def test_what_was_typed_is_shown_after_the_log_in_and_can_be_sent(
    typing: Browser,
) -> None:
    assert typing.send(**ENTRY).status == 401
    assert "What you typed is kept here meanwhile." in typing.text
    assert log_in(typing).status == 200
    assert "Nothing of this is saved yet." in typing.text
    assert typing.tree.xpath("//textarea[@name='value']")[0].text == TEXT
    assert "You last logged in on" in typing.text
    assert typing.send("/entries/new").status == 200
    assert typing.value("diary") == TEXT
    assert {"harbour", "boats"} <= typing.links().keys()


def fields(browser: Browser) -> dict[str, str]:
    """Return what the page shows, by its labels."""
    shown = {}
    for field in browser.tree.xpath("//form/div[@class='field']"):
        label, *_ = field.xpath("./label | ./strong")
        typed = field.xpath(
            "./textarea/text() | ./input[@readonly]/@value | ./p//text()"
        )
        shown[label.text] = str(typed[0])
    return shown


def test_all_of_an_entry_is_shown_by_its_labels(typing: Browser) -> None:
    more = {"kind": "json", "value": "[1]", "expires_at": "2099-05-01T12:00"}
    log_in(typing.send(**ENTRY | more))
    assert fields(typing) == {
        "Key": "diary",
        "What it is": "JSON",
        "Value": "[1]",
        "Labels": "harbour, boats",
        "Ends at": "2099-05-01 12:00 UTC",
    }


def test_all_of_a_token_is_shown_its_name_too(
    alice: Browser, browser_of: Callable[[str], Browser]
) -> None:
    alice.open("/account/tokens")
    browser_of("alice").open("/sessions").send("/sessions/end-others")
    token = {"name": "a program", "access": "write", "prefix": "a/", "expires": "30"}
    alice.send(**token)
    assert alice.tree.xpath("string(//input[@id='name']/@value)") == ""
    log_in(alice, "a wrong password")
    log_in(alice)
    assert fields(alice) == {
        "Name": "a program",
        "What it may do": "Read and write",
        "Only keys that begin with": "a/",
        "Expires": "In 30 days",
    }
    alice.send("/account/tokens")
    assert "Your new token" in alice.text
    assert "a program" in alice.text


def test_passwords_go_nowhere(
    alice: Browser, browser_of: Callable[[str], Browser]
) -> None:
    alice.open("/account")
    browser_of("alice").open("/sessions").send("/sessions/end-others")
    secrets = {"current": PASSWORD, "password": "quiet-boats", "again": "quiet-boats"}
    alice.send(**secrets, end_others="yes")
    assert alice.status == 401
    log_in(alice)
    assert fields(alice) == {"Log out everywhere else and revoke all API tokens": "Yes"}
    assert not [secret for secret in secrets.values() if secret in alice.page.text]


def test_it_outlives_a_wrong_password(typing: Browser) -> None:
    typing.send(**ENTRY)
    assert log_in(typing, "a wrong password").status == 401
    assert log_in(typing).send("/entries/new").status == 200
    assert typing.value("diary") == TEXT


def test_nothing_is_done_by_the_log_in_itself(typing: Browser) -> None:
    log_in(typing.send(**ENTRY))
    assert "diary" not in typing.open("/entries").links()


def test_a_confirmation_goes_on_with_its_act(typing: Browser) -> None:
    typing.page = typing.client.post(
        "/confirm", data={"act": "/entries/new", "confirm_password": PASSWORD} | ENTRY
    )
    assert PASSWORD not in typing.page.text
    assert log_in(typing).send("/entries/new").status == 200
    assert typing.value("diary") == TEXT


def test_of_two_confirmations_at_once_the_late_one_loses_nothing(
    alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.open("/confirm")
    # The other has given the session a new ID while this password was hashed.
    monkeypatch.setattr(Sessions, "rotate", lambda *_given, **_named: None)
    form = {"act": "/entries/new", "confirm_password": PASSWORD} | ENTRY
    token = alice.tree.xpath("//input[@name='form_token']/@value")[0]
    alice.page = alice.client.post("/confirm", data={"form_token": token} | form)
    assert alice.status == 401
    monkeypatch.undo()
    assert log_in(alice).send("/entries/new").status == 200
    assert alice.value("diary") == TEXT


@pytest.mark.parametrize("act", ["//evil.example", "/nothing", "https://evil.example/"])
def test_it_leads_to_no_other_place(alice: Browser, act: str) -> None:
    alice.log_out()
    form = {"name": "alice", "password": PASSWORD, "act": act, "value": "x"}
    answer = alice.client.post("/login", data=form)
    assert answer.status_code == 404
    assert "evil" not in answer.text


@pytest.mark.parametrize("act", ["//entries/new", "///entries/new", "entries/new"])
def test_its_address_is_ours_however_it_was_given(alice: Browser, act: str) -> None:
    """A browser would send the form to the host `entries`."""
    alice.log_out()
    form = {"name": "alice", "password": PASSWORD, "act": act}
    alice.page = alice.client.post("/login", data=form | ENTRY)
    assert alice.send("/entries/new").status == 200
    assert alice.value("diary") == TEXT


@pytest.mark.parametrize("key", ["?", "a#b", "100 %", "a/b", ".."])
def test_it_comes_back_to_an_odd_key(
    alice: Browser, browser_of: Callable[[str], Browser], key: str
) -> None:
    alice.keep(key, "as it was")
    address = f"{alice.address(key)}/edit"
    alice.open(address)
    browser_of("alice").open("/sessions").send("/sessions/end-others")
    alice.send(value=TEXT)
    assert alice.status == 401
    log_in(alice).send(address)
    assert alice.value(key) == TEXT


def test_what_is_too_large_for_a_log_in_is_none_of_it(typing: Browser) -> None:
    typing.page = typing.client.post("/entries/new", data={"value": "x" * 20_000})
    assert (typing.status, typing.page.location[:6]) == (303, "/login")


def test_a_button_alone_is_no_text(typing: Browser) -> None:
    typing.page = typing.client.post("/sessions/end-others", data={"form_token": "x"})
    assert (typing.status, typing.page.location[:6]) == (303, "/login")
