"""The whole journey of a person, from the first page to the deletion of the account."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright, expect

from tests.journey.conftest import CHROMIUM, PersonAt, launched
from tests.journey.person import SIZES, Person
from tests.journey.world import let_the_password_be_long_ago
from tests.servers import Gunicorn

WELCOME = "Keep it here. Find it here tomorrow."
NEW_PASSWORD = "eleven-lanterns-on-a-slow-river"


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The browser as people have it."""
    with launched(playwright, CHROMIUM) as browser:
        yield browser


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("size", SIZES)
def test_a_person_does_all_there_is_to_do_and_nothing_complains(
    server: Gunicorn, person_at: PersonAt, size: str, javascript: bool
) -> None:
    server.start()
    anna = person_at(server.url, "anna", size, javascript=javascript)
    _sign_up_and_log_in(anna)
    _keep_and_edit(anna)
    _search(anna)
    _change_it_in_two_tabs(anna)
    _delete_and_undo(anna)
    other_size = next(each for each in SIZES if each != size)
    other = person_at(server.url, "anna", other_size, javascript=javascript)
    _end_each_others_sessions(anna, other, javascript=javascript)
    let_the_password_be_long_ago(server, "anna")
    _confirm_and_export(anna)
    _change_the_password(anna, other, javascript=javascript)
    _delete_the_account(anna)
    _is_shown_the_log_in(other, javascript=javascript)


def _sign_up_and_log_in(anna: Person) -> None:
    anna.open("/").arrives(WELCOME).press("Make an account").arrives("Make an account")
    anna.fill(User_name=anna.name, Password="too short").press("Make the account")
    anna.arrives("Make an account", "at least 15 characters", status=400)
    anna.fill(Password=anna.password).press("Make the account")
    anna.arrives("Your entries", "You have no entries yet")
    anna.press("Log out", within="bar").arrives("Log in", "You are logged out.")
    anna.fill(User_name=anna.name, Password="not-what-it-is").press("Log in")
    anna.arrives("Log in", status=401)
    expect(anna.page.get_by_role("alert")).to_be_visible()
    anna.fill(Password=anna.password).press("Log in")
    anna.arrives("Your entries", "You last logged in on", "tried once")


def _keep_and_edit(anna: Person) -> None:
    anna.press("Keep the first one").arrives("New entry")
    anna.fill(Key="boats", Value="{").choose("JSON").press("Save")
    anna.arrives("New entry", "JSON", status=400)
    anna.fill(Value='{"harbour": 7}', Labels="sea, work").press("Save")
    anna.arrives("boats", "Saved.", '"harbour": 7', "sea")
    anna.press("Edit").arrives("Edit boats")
    anna.fill(Value='{"harbour": 8}').press("Save")
    anna.arrives("boats", "Saved.", '"harbour": 8')
    anna.press("History").arrives("History of boats", "What it is now")
    anna.press("Compare").arrives("What changed in boats", "7", "8")


def _search(anna: Person) -> None:
    anna.keep("a note", "Paint the small boat before the rain.")
    anna.keep("another note", "Nothing of the kind.")
    anna.press("← Your entries").arrives("Your entries", "a note", "another note")
    anna.fill(Search_keys_and_values="small boat").press("Search")
    anna.arrives("Your entries", "a note")
    expect(anna.page.get_by_role("main")).not_to_contain_text("another note")
    anna.fill(Search_keys_and_values="submarine").press("Search")
    anna.arrives("Your entries", "No key and no value has “submarine” in it.")
    anna.press("Show all entries").arrives("Your entries", "another note", "boats")


def _change_it_in_two_tabs(anna: Person) -> None:
    tab = anna.tab()
    for each in (anna, tab):
        each.open("/entries").press("a note").arrives("a note")
        each.press("Edit").arrives("Edit a note")
    tab.fill(Value="Written in the second tab.").press("Save").arrives("a note")
    anna.page.bring_to_front()
    anna.fill(Value="Written in the first tab.").press("Save")
    anna.arrives(
        "Two versions of a note",
        "changed elsewhere while you were editing it",
        "Written in the second tab.",
        status=409,
    )
    expect(anna.page.get_by_role("textbox", name="Value")).to_have_value(
        "Written in the first tab."
    )
    anna.press("Save mine instead").arrives("a note", "Written in the first tab.")
    tab.page.close()


def _delete_and_undo(anna: Person) -> None:
    anna.press("Delete…").arrives("Delete a note?", "Written in the first tab.")
    anna.press("Delete it").arrives("Your entries", "Deleted.")
    anna.press("Undo").arrives("a note", "It is back.", "Written in the first tab.")


def _end_each_others_sessions(anna: Person, other: Person, *, javascript: bool) -> None:
    other.log_in()
    anna.press(anna.name, within="bar").arrives("Your account").press(
        "Where you are logged in"
    )
    anna.arrives("Where you are logged in", "This browser")
    main = anna.page.get_by_role("main")
    main.get_by_role("button", name=re.compile("^Log out Chrome")).click()
    anna.arrives("Where you are logged in", "the browser is logged out")
    _is_shown_the_log_in(other, javascript=javascript)
    other.log_in().open("/sessions").press("Log out everywhere else")
    other.arrives("Where you are logged in", "1 other session ended.")
    _is_shown_the_log_in(anna, javascript=javascript)
    anna.log_in()


def _is_shown_the_log_in(person: Person, *, javascript: bool) -> None:
    """At once where scripts run, else with the next page."""
    if not javascript:
        person.open("/account")
    person.arrives("Log in", "Please log in to go on.")


def _confirm_and_export(anna: Person) -> None:
    anna.open("/entries").press("Export").arrives("Export your entries")
    anna.press("Export as JSON").arrives("Confirm your password")
    anna.fill(Password="not-what-it-is").press("Confirm")
    anna.arrives("Confirm your password", "That is not your password.", status=401)
    with anna.page.expect_download() as entries:
        anna.fill(Password=anna.password).press("Confirm").arrives("Your export")
    kept = json.loads(entries.value.path().read_text("utf-8"))
    assert {each["key"] for each in kept} == {"boats", "a note", "another note"}
    anna.open("/account")
    with anna.page.expect_download() as everything:
        anna.press("Download everything").arrives("Your download")
    assert "Written in the first tab." in everything.value.path().read_text("utf-8")


def _change_the_password(anna: Person, other: Person, *, javascript: bool) -> None:
    fields = {"Password now": anna.password, "New password": NEW_PASSWORD}
    anna.open("/account").fill(**fields, New_password_again="something-else-entirely")
    anna.press("Change the password").arrives("Your account", status=400)
    anna.fill(**fields, New_password_again=NEW_PASSWORD).press("Change the password")
    anna.arrives("Your account", "Your password is changed.")
    _is_shown_the_log_in(other, javascript=javascript)
    anna.password = other.password = NEW_PASSWORD
    other.log_in()


def _delete_the_account(anna: Person) -> None:
    anna.open("/account").press("Delete your account…").arrives("Delete your account?")
    anna.press("Delete everything")
    anna.arrives(WELCOME, "Your account and everything in it is deleted.")
    anna.press("Log in").arrives("Log in")
    anna.fill(User_name=anna.name, Password=anna.password).press("Log in")
    anna.arrives("Log in", status=401)
