"""What pages become while they are open, and what they say on a bad day.

`STATES` needs the world of `pages.py`, `BAD_DAYS` the site of `bad_days.py`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import httpx
from playwright.sync_api import expect

from tests.browser import Browser
from tests.journey.pages import (
    FORETOLD,
    LIST,
    WELCOME,
    Visit,
    at,
    become_somebody,
    entry,
    import_of,
)
from tests.journey.person import SIZES, Person

TOO_LARGE = "That is too large"
CANNOT = "That cannot be done right now"
_numbers = count(1)


@contextmanager
def _elsewhere(person: Person) -> Iterator[Browser]:
    """Have the same person log in with another browser."""
    phone = "Mozilla/5.0 (Android 16; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
    with httpx.Client(base_url=person.url, headers={"User-Agent": phone}) as client:
        yield Browser(client, person.name).log_in()


def _not_you(person: Person) -> None:
    become_somebody(person)
    person.keep("a note", "of no matter").open("/entries").arrives(LIST)
    with _elsewhere(person):
        expect(person.page.get_by_text("Not you?")).to_be_visible()


def _none_of_them_you(person: Person) -> None:
    become_somebody(person)
    person.open("/entries").arrives(LIST)
    for _ in range(4):
        with _elsewhere(person):
            pass
    expect(person.page.get_by_text("Not you?")).to_have_count(3)
    expect(person.page.get_by_text("All of these were me")).to_be_visible()
    person.resize("phone")
    box = person.page.locator(".newest").bounding_box()
    assert box
    assert box["height"] <= SIZES["phone"][1] * 0.4
    person.resize("desktop")


def _session_over(person: Person) -> None:
    become_somebody(person)
    person.open("/account").arrives("Your account")
    with _elsewhere(person) as other:
        expect(person.page.get_by_text("Not you?")).to_be_visible()
        other.open("/sessions").send(action="/sessions/end-others")
    expect(person.page.get_by_text("Your session here is over")).to_be_visible()


def _told_of_a_change(person: Person) -> None:
    person.keep(f"shared {next(_numbers)}", "first")
    tab = person.tab().open(person.path)
    key = tab.title
    person.press("Edit").arrives(f"Edit {key}").fill(Value="typed here")
    tab.press("Edit").arrives(f"Edit {key}").fill(Value="typed there").press("Save")
    tab.arrives(key, "Saved.").page.close()
    expect(person.page.locator(".notice")).to_contain_text("changed elsewhere")


def _told_of_a_deletion(person: Person) -> None:
    person.keep(f"shared {next(_numbers)}", "first")
    tab = person.tab().open(person.path)
    person.press("Edit").arrives(f"Edit {tab.title}").fill(Value="typed here")
    tab.press("Delete…").press("Delete it").arrives(LIST).page.close()
    expect(person.page.locator(".notice")).to_contain_text("deleted elsewhere")


def _offered_a_draft(person: Person) -> None:
    person.open("/entries/new").fill(Key="a thought", Value="Not to be lost.")
    person.page.once("dialog", lambda dialog: dialog.accept())
    person.page.reload()
    expect(person.page.locator(".notice")).to_contain_text("that was not saved")


def _not_json(person: Person) -> None:
    person.open("/entries/new").choose("JSON").fill(Key="odd", Value='{"boats": 7,}')
    expect(person.page.get_by_text("This is not JSON")).to_be_visible()


def _shortcuts(person: Person) -> None:
    person.open("/entries").arrives(LIST)
    person.page.keyboard.press("?")
    expect(person.page.get_by_role("dialog")).to_be_visible()


def _offline(person: Person) -> None:
    person.open("/entries/new").fill(Key="a thought", Value="Not to be lost.")
    person.context.set_offline(True)
    expect(person.page.get_by_text("You are offline.")).to_be_visible()


def _not_sent(person: Person) -> None:
    _offline(person)
    person.press("Save")
    expect(person.page.get_by_text("Not sent")).to_be_visible()


def _too_large(person: Person) -> None:
    person.open("/login").fill(User_name="a", Password="x" * 40_000).press("Log in")


STATES = {
    "list-not-you": Visit("visitor", _not_you, LIST),
    "list-none-you": Visit("visitor", _none_of_them_you, LIST),
    "log-in-session-over": Visit("visitor", _session_over, "Log in"),
    "edit-told": Visit("newcomer", _told_of_a_change, re.compile("^Edit shared")),
    "edit-told-deleted": Visit(
        "newcomer", _told_of_a_deletion, re.compile("^Edit shared")
    ),
    "new-draft": Visit("newcomer", _offered_a_draft, "New entry"),
    "new-not-json": Visit("newcomer", _not_json, "New entry"),
    "shortcuts": Visit("anna", _shortcuts, LIST),
    "offline": Visit("newcomer", _offline, "New entry"),
    "offline-not-sent": Visit("newcomer", _not_sent, "New entry"),
    "413": Visit("visitor", _too_large, TOO_LARGE, 413),
}


def _locked(person: Person) -> None:
    person.open("/login").fill(User_name="locked", Password="not-what-it-is")
    person.press("Log in").arrives("Log in", status=401)
    person.fill(Password="not-what-it-is").press("Log in")


def _halted(person: Person) -> None:
    import_of("key,value\none,1\ntoo much,2\n")(person)
    person.arrives(FORETOLD).press("Import").arrives("Import", "It stopped")


def _overtaken(person: Person) -> None:
    import_of("key,value\none,1\ntwo,2\nthree,3\n")(person)
    person.arrives(FORETOLD)
    tab = person.tab()
    for number in range(3):
        tab.keep(f"meanwhile {number}", "there is no room left")
    tab.page.close()
    person.press("Import").arrives(FORETOLD, "cannot be taken any more", status=400)


def _too_large_a_value(person: Person) -> None:
    person.open("/entries/new").fill(Key="much", Value="much " * 1000).press("Save")


BAD_DAYS = {
    "welcome-closed": Visit("visitor", at("/"), WELCOME),
    "sign-up-closed": Visit("visitor", at("/signup"), "Make an account"),
    "log-in-closed": Visit("visitor", at("/login"), "Log in"),
    "429": Visit("visitor", _locked, "Log in", 429),
    "show-unreadable": Visit("anna", entry("door code"), "door code"),
    "edit-unreadable": Visit("anna", entry("door code", "Edit"), "Edit door code"),
    "new-too-large": Visit("anna", _too_large_a_value, "New entry", 413),
    "import-halted": Visit("anna", _halted, "Import"),
    "import-overtaken": Visit("anna", _overtaken, FORETOLD, 400),
    "500": Visit("unlucky", at("/account"), "Something went wrong here", 500),
    "503": Visit("anna", at("/account/tokens"), CANNOT, 503),
}
