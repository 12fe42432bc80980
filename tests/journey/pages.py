"""Every page a person can come to, and how they do.

A page with an address of its own is opened; to any other the person goes as people do.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from urllib.parse import quote

from playwright.sync_api import FilePayload

from tests.journey.person import Person
from tests.journey.world import LONG_KEY

FORETOLD = "What the import would do"
Go = Callable[[Person], object]
_numbers = count(1)


@dataclass(frozen=True)
class Visit:
    """Who comes to the page, how, and what they find: its heading and status."""

    who: str
    go: Go
    heading: str | re.Pattern[str]
    status: int = 200

    def by(self, person: Person) -> Person:
        self.go(person)
        return person.arrives(self.heading, status=self.status)


def at(path: str) -> Go:
    return lambda person: person.open(path)


def entry(key: str, *links: str) -> Go:
    """Open the page of the entry, and follow these links from there."""

    def go(person: Person) -> None:
        person.open(f"/entries/{quote(key)}").arrives(key)
        for link in links:
            person.press(link)

    return go


def _refused_sign_up(person: Person) -> None:
    person.open("/signup").fill(User_name="a", Password="short")
    person.press("Make the account")


def _refused_log_in(person: Person) -> None:
    person.open("/login").fill(User_name="somebody", Password="not-what-it-is")
    person.press("Log in")


def _refused_code(person: Person) -> None:
    person.open("/password").page.get_by_label("One-time code").fill("7")
    person.fill(
        User_name="somebody", New_password="short", New_password_again="another"
    )
    person.press("Set the password")


def become_somebody(person: Person) -> None:
    """Make an account whose sessions are of no matter to other pages."""
    person.name = f"somebody-{next(_numbers)}"
    person.open("/signup").fill(User_name=person.name, Password=person.password)
    person.press("Make the account").arrives(LIST)


def _typed_before_the_log_in(person: Person) -> None:
    """Send a form with the session over, log in, and see what was typed."""
    become_somebody(person)
    person.open("/entries/new").fill(Key="a thought", Value="Not to be lost.")
    _log_in_with_what_was_typed(person, "Save")


def _token_typed_before_the_log_in(person: Person) -> None:
    become_somebody(person)
    person.open("/account/tokens").fill(Name="a program", Date="2096-07-01")
    _log_in_with_what_was_typed(person, "Make the token")


def _log_in_with_what_was_typed(person: Person, button: str) -> None:
    person.context.clear_cookies()
    person.press(button).arrives("Log in", status=401)
    person.fill(User_name=person.name, Password=person.password).press("Log in")


def _refused_entry(person: Person) -> None:
    person.open("/entries/new").fill(Key="odd", Value="{", Labels="x" * 300)
    person.choose("JSON").press("Save")


def _refused_edit(person: Person) -> None:
    entry("printer", "Edit")(person)
    person.arrives("Edit printer").fill(Value="{").press("Save")


def _version(person: Person) -> None:
    entry("shopping list", "History")(person)
    person.arrives("History of shopping list")
    values = person.page.get_by_role("table").get_by_role("link")
    values.nth(1).click()  # The first leads to what it is now.


def _edited_in_two_tabs(person: Person) -> Person:
    """Begin to edit an entry of one's own; return the other tab where it is open."""
    person.keep(f"plan {next(_numbers)}", "To be changed.")
    tab = person.tab().open(person.path)
    person.press("Edit").arrives(f"Edit {tab.title}")
    return tab


def _conflict(person: Person) -> None:
    tab = _edited_in_two_tabs(person)
    key = tab.title
    tab.press("Edit").arrives(f"Edit {key}")
    tab.fill(Value="Written in the other tab.").press("Save")
    tab.arrives(key, "Saved.").page.close()
    person.fill(Value="Written in this tab.").press("Save")


def _conflict_with_a_deletion(person: Person) -> None:
    tab = _edited_in_two_tabs(person)
    tab.press("Delete…").press("Delete it").arrives("Your entries").page.close()
    person.fill(Value="Written in this tab.").press("Save")


def _deleted(person: Person) -> None:
    person.keep(f"plan {next(_numbers)}", "To be deleted.")
    person.press("Delete…").press("Delete it")


def _overview_table(person: Person) -> None:
    person.open("/overview").page.get_by_text("As a table").click()


def _file(text: str) -> FilePayload:
    return {"name": "file.csv", "mimeType": "text/csv", "buffer": text.encode()}


def import_of(text: str) -> Go:
    def go(person: Person) -> None:
        person.open("/entries/import")
        if person.title == FORETOLD:
            person.press("Take another file").arrives("Import entries")
        person.page.get_by_label("File").set_input_files(_file(text))
        person.press("Check the file")

    return go


def _import_done(person: Person) -> None:
    import_of("key,value\nbrought in,by a file\n")(person)
    person.arrives(FORETOLD).press("Import")
    person.arrives("Import", "Done: ")


def _refused_password(person: Person) -> None:
    person.open("/account").fill(
        Password_now="not-what-it-is", New_password="short", New_password_again="other"
    )
    person.press("Change the password")


def _token_made(person: Person) -> None:
    person.open("/account/tokens").fill(Name=f"program {next(_numbers)}")
    person.press("Make the token")


def _refused_token(person: Person) -> None:
    person.open("/account/tokens").fill(Name="program", Date="2020-01-01")
    person.page.get_by_label("Expires").select_option("date")
    person.press("Make the token")


def _form_of_an_earlier_log_in(person: Person) -> None:
    person.open("/entries/new").fill(Key="boats", Value="seven")
    token = person.page.locator("main input[name=form_token]")
    token.evaluate("input => { input.value = 'another' }")
    person.press("Save")


WELCOME = "Keep it here. Find it here tomorrow."
LIST = "Your entries"
PAGES = {
    "welcome": Visit("visitor", at("/"), WELCOME),
    "welcome-deleted": Visit("visitor", at("/?notice=account-deleted"), WELCOME),
    "sign-up": Visit("visitor", at("/signup"), "Make an account"),
    "sign-up-refused": Visit("visitor", _refused_sign_up, "Make an account", 400),
    "log-in": Visit("visitor", at("/login"), "Log in"),
    "log-in-next": Visit("visitor", at("/entries/new"), "Log in"),
    "log-in-refused": Visit("visitor", _refused_log_in, "Log in", 401),
    "log-in-password-set": Visit("visitor", at("/login?notice=password-set"), "Log in"),
    "password": Visit("visitor", at("/password"), "Set your password"),
    "password-refused": Visit("visitor", _refused_code, "Set your password", 400),
    "api-visitor": Visit("visitor", at("/api"), "API"),
    "404-visitor": Visit("visitor", at("/nowhere"), "There is nothing here", 404),
    "414": Visit("visitor", at(f"/{'a' * 9000}"), "That address is too long", 414),
    "list-empty": Visit("newcomer", at("/entries"), LIST),
    "overview-empty": Visit("newcomer", at("/overview"), "Your year"),
    "overview-first": Visit("newcomer", _overview_table, "Your year"),
    "bin-empty": Visit("newcomer", at("/entries/bin"), "Deleted entries"),
    "list": Visit("anna", at("/entries"), LIST),
    "list-older": Visit(
        "anna", lambda anna: anna.open("/entries").press("Older →"), LIST
    ),
    "list-label": Visit("anna", at("/entries?label=money"), LIST),
    "search": Visit("anna", at("/entries?q=bread"), LIST),
    "search-nothing": Visit("anna", at("/entries?q=submarine"), LIST),
    "search-refused": Visit("anna", at(f"/entries?q={'a' * 300}"), LIST, 400),
    "deleted": Visit("anna", _deleted, LIST),
    "overview": Visit("anna", at("/overview"), "Your year"),
    "overview-table": Visit("anna", _overview_table, "Your year"),
    "new": Visit("anna", at("/entries/new"), "New entry"),
    "new-refused": Visit("anna", _refused_entry, "New entry", 400),
    "show": Visit("anna", entry("meter readings"), "meter readings"),
    "show-json": Visit("anna", entry("printer"), "printer"),
    "show-large": Visit("anna", entry("a long one"), "a long one"),
    "show-long-key": Visit("anna", entry(LONG_KEY), LONG_KEY),
    "show-right-to-left": Visit("anna", entry("שלום"), "שלום"),
    "show-empty": Visit("anna", entry("shopping list"), "shopping list"),
    "show-secret": Visit("anna", entry("door code"), "door code"),
    "show-hidden": Visit("forgetful", entry("door code"), "door code"),
    "edit": Visit("anna", entry("printer", "Edit"), "Edit printer"),
    "edit-refused": Visit("anna", _refused_edit, "Edit printer", 400),
    "history": Visit(
        "anna", entry("shopping list", "History"), "History of shopping list"
    ),
    "history-none": Visit("anna", entry("printer", "History"), "History of printer"),
    "compare": Visit(
        "anna",
        entry("shopping list", "History", "Compare"),
        "What changed in shopping list",
    ),
    "version": Visit("anna", _version, "shopping list as it was"),
    "conflict": Visit("anna", _conflict, re.compile("Two versions of plan"), 409),
    "conflict-deleted": Visit(
        "anna", _conflict_with_a_deletion, re.compile("is deleted$"), 404
    ),
    "delete": Visit("anna", entry("printer", "Delete…"), "Delete printer?"),
    "bin": Visit("anna", at("/entries/bin"), "Deleted entries"),
    "labels": Visit("anna", at("/labels"), "Labels"),
    "labels-none": Visit("newcomer", at("/labels"), "Labels"),
    "import": Visit("newcomer", at("/entries/import"), "Import entries"),
    "import-refused": Visit(
        "newcomer", import_of("key,value\n,empty\nodd\n"), "Import entries", 400
    ),
    "import-foretold": Visit(
        "anna",
        import_of("key,value\nshopping list,tea\nnew one,1\n"),
        FORETOLD,
    ),
    "import-done": Visit("newcomer", _import_done, "Import"),
    "export": Visit("anna", at("/entries/export"), "Export your entries"),
    "exported": Visit("anna", at("/entries/export/csv"), "Your export"),
    "account": Visit("anna", at("/account"), "Your account"),
    "account-refused": Visit("anna", _refused_password, "Your account", 400),
    "account-history": Visit(
        "anna", at("/account/history"), "What happened to your account"
    ),
    "account-download": Visit("anna", at("/account/download"), "Your download"),
    "account-delete": Visit("anna", at("/account/delete"), "Delete your account?"),
    "tokens": Visit("anna", at("/account/tokens"), "API tokens"),
    "tokens-none": Visit("newcomer", at("/account/tokens"), "API tokens"),
    "token-made": Visit("anna", _token_made, "Your new token"),
    "token-refused": Visit("anna", _refused_token, "API tokens", 400),
    "sessions": Visit("anna", at("/sessions"), "Where you are logged in"),
    "confirm": Visit("forgetful", at("/account/tokens"), "Confirm your password"),
    "last-time": Visit("anna", at("/login/last-time"), "You are logged in"),
    "typed": Visit("visitor", _typed_before_the_log_in, "What you typed"),
    "typed-token": Visit("visitor", _token_typed_before_the_log_in, "What you typed"),
    "api": Visit("anna", at("/api"), "API"),
    "403": Visit("anna", _form_of_an_earlier_log_in, "That is not allowed", 403),
    "404": Visit("anna", at("/entries/nowhere"), "There is nothing here", 404),
    "405": Visit("anna", at("/logout"), "That does not work here", 405),
}
