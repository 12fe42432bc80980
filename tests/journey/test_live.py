"""An open page follows what happens elsewhere, in a real browser."""

import re

import pytest
from playwright.sync_api import Route, expect

from tests.journey.conftest import PersonAt
from tests.journey.person import Person
from tests.servers import Gunicorn

LIST = "Your entries"
SESSIONS = "Where you are logged in"


@pytest.fixture
def laptop(server: Gunicorn, person_at: PersonAt) -> Person:
    server.start()
    laptop = person_at(server.url, "anna")
    laptop.open("/signup").fill(User_name="anna", Password=laptop.password)
    return laptop.press("Make the account").arrives(LIST)


@pytest.fixture
def phone(server: Gunicorn, person_at: PersonAt, laptop: Person) -> Person:
    return person_at(server.url, "anna", "phone").log_in()


def test_a_list_shows_what_another_browser_keeps_and_deletes(
    laptop: Person, phone: Person
) -> None:
    laptop.open("/entries").arrives(LIST)
    phone.keep("a note", "from the phone")
    rows = laptop.page.locator(".entries tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("from the phone")
    expect(laptop.page.locator(".figures")).to_contain_text("1 of")
    phone.press("Delete…").press("Delete it").arrives(LIST)
    expect(laptop.page.get_by_role("main")).to_contain_text("You have no entries yet")


def test_what_is_searched_for_stays_searched_for(laptop: Person, phone: Person) -> None:
    laptop.keep("boat", "red").open("/entries?q=boat").arrives(LIST)
    phone.keep("train", "blue")
    phone.keep("boathouse", "green")
    rows = laptop.page.locator(".entries tbody tr")
    expect(rows).to_have_count(2)
    expect(laptop.page.get_by_role("main")).not_to_contain_text("train")


def test_the_page_of_an_entry_shows_its_new_value_and_that_it_is_gone(
    laptop: Person, phone: Person
) -> None:
    phone.keep("a note", "first")
    laptop.open(phone.path).arrives("a note", "first")
    phone.press("Edit").fill(Value="second").press("Save").arrives("a note", "second")
    expect(laptop.page.locator("pre.value")).to_have_text("second")
    phone.press("Delete…").press("Delete it").arrives(LIST)
    laptop.arrives("There is nothing here", status=404)


def test_the_year_follows_and_an_open_table_stays_open(
    laptop: Person, phone: Person
) -> None:
    laptop.open("/entries").arrives(LIST).page.keyboard.press("g")
    laptop.page.keyboard.press("o")
    laptop.arrives("Your year", "No changes yet")
    laptop.page.get_by_text("As a table").click()
    phone.keep("a note", "from the phone")
    expect(laptop.page.get_by_role("heading", name="1 change on 1 day")).to_be_visible()
    row = laptop.page.get_by_role("table").get_by_role("row").nth(1)
    expect(row).to_contain_text("20 Bytes")


def test_an_editor_is_told_and_keeps_what_was_typed(
    laptop: Person, phone: Person
) -> None:
    phone.keep("a note", "first")
    phone.keep("another", "of no matter")
    laptop.open("/entries").press("a note").press("Edit").arrives("Edit a note")
    laptop.fill(Value="typed here")
    phone.open("/entries").press("another").press("Edit")
    phone.fill(Value="still of no matter").press("Save").arrives("another", "Saved.")
    phone.open("/entries").press("a note").press("Edit")
    phone.fill(Value="second").press("Save").arrives("a note", "Saved.")
    notice = laptop.page.locator(".notice.elsewhere")
    expect(notice).to_contain_text("What you typed is still here")
    expect(laptop.page.get_by_label("Value", exact=True)).to_have_value("typed here")
    laptop.press("Save").arrives("Two versions of a note", "second", status=409)
    phone.press("Delete…").press("Delete it").arrives(LIST)
    expect(notice).to_contain_text("This entry was deleted elsewhere.")
    expect(laptop.page.get_by_label("Value", exact=True)).to_have_value("typed here")


def test_an_editor_with_nothing_typed_offers_the_new_value(
    laptop: Person, phone: Person
) -> None:
    phone.keep("a note", "first")
    laptop.open("/entries").press("a note").press("Edit").arrives("Edit a note")
    phone.press("Edit").fill(Value="second").press("Save").arrives("a note", "Saved.")
    expect(laptop.page.locator(".notice.elsewhere")).to_contain_text(
        "changed elsewhere"
    )
    laptop.press("See what it is now").arrives("Edit a note")
    expect(laptop.page.get_by_label("Value", exact=True)).to_have_value("second")


def test_a_log_in_elsewhere_is_told_and_can_be_ended_at_once(
    laptop: Person, server: Gunicorn, person_at: PersonAt
) -> None:
    tab = laptop.tab().open("/account").arrives("Your account")
    laptop.open("/entries/bin").arrives("Deleted entries")
    phone = person_at(server.url, "anna", "phone").log_in()
    for each in (laptop, tab):
        notice = each.page.locator(".notice", has_text="Not you?")
        expect(notice).to_contain_text("Chrome on Android")
    laptop.press("End it", within="news").arrives(SESSIONS, "That session is over")
    expect(tab.page.get_by_text("Not you?")).to_have_count(0)
    phone.arrives("Log in", "ended from another session")


def test_whoever_it_was_is_not_asked_again(
    laptop: Person, server: Gunicorn, person_at: PersonAt
) -> None:
    tab = laptop.tab().open("/account").arrives("Your account")
    laptop.open("/entries/bin").arrives("Deleted entries")
    person_at(server.url, "anna", "phone").log_in()
    notices = [each.page.get_by_text("Not you?") for each in (laptop, tab)]
    for notice in notices:
        expect(notice).to_be_visible()
    laptop.press("It was me", within="news")
    for notice in notices:
        expect(notice).to_have_count(0)
    laptop.open("/labels").arrives("Labels")
    laptop.page.wait_for_event(
        "response", lambda answer: "/live" in answer.url, timeout=5000
    )
    laptop.page.wait_for_timeout(300)
    expect(laptop.page.get_by_text("Not you?")).to_have_count(0)


def test_all_that_were_one_are_told_at_once(
    laptop: Person, server: Gunicorn, person_at: PersonAt
) -> None:
    tab = laptop.tab().open("/account").arrives("Your account")
    laptop.open("/entries/bin").arrives("Deleted entries")
    notices = [each.page.get_by_text("Not you?") for each in (laptop, tab)]
    news = laptop.page.get_by_role("complementary")
    together = news.get_by_role("button", name="All of these were me")
    for count in (1, 2, 3):
        person_at(server.url, "anna", "phone").log_in()
        for each in notices:
            expect(each).to_have_count(count)
        expect(together).to_have_count(int(count > 1))
    # The newest was them; of those before it they have not said so.
    news.get_by_role("button", name="It was me").first.click()
    for each in notices:
        expect(each).to_have_count(2)
    laptop.press("All of these were me", within="news")
    for each in notices:
        expect(each).to_have_count(0)
    expect(together).to_have_count(0)


def test_a_session_that_is_ended_shows_the_log_in_in_all_its_tabs(
    laptop: Person, phone: Person
) -> None:
    phone.keep("a note", "first")
    tab = phone.tab().open(phone.path).press("Edit").arrives("Edit a note")
    tab.fill(Value="nobody else's business")
    phone.open("/sessions").arrives(SESSIONS)
    laptop.open("/sessions").arrives(SESSIONS)
    button = laptop.page.get_by_role("button", name=re.compile("^Log out .* Android"))
    button.click()
    laptop.arrives(SESSIONS, "the browser is logged out")
    for each in (phone, tab):
        each.arrives("Log in", "Your session here is over: ended from another session")
    drafts = tab.page.evaluate("Object.keys(sessionStorage)")
    assert not [key for key in drafts if key.startswith("draft:")]
    tab.fill(User_name="anna", Password=tab.password).press("Log in")
    tab.arrives("Edit a note")


def test_whoever_logs_out_is_told_so_however_late_the_answer_is(laptop: Person) -> None:
    def answer_late(route: Route) -> None:
        answer = route.fetch(max_redirects=0)
        # Meanwhile the stream tells this page, and another tab, that it is over.
        laptop.page.wait_for_timeout(500)
        route.fulfill(response=answer)

    tab = laptop.tab().open("/account").arrives("Your account")
    laptop.open("/entries").arrives(LIST)
    laptop.page.wait_for_event("response", lambda answer: "/live" in answer.url)
    laptop.page.route("**/logout", answer_late)
    laptop.press("Log out", within="bar").arrives("Log in", "You are logged out.")
    assert laptop.path == "/login"
    tab.arrives("Log in", "Your session here is over")


def test_the_list_of_sessions_shows_those_that_begin_and_end(
    laptop: Person, server: Gunicorn, person_at: PersonAt
) -> None:
    laptop.open("/sessions").arrives(SESSIONS)
    phone = person_at(server.url, "anna", "phone").log_in()
    lines = laptop.page.locator("#sessions .lines").first.locator("li")
    expect(lines).to_have_count(2)
    phone.press("Log out", within="bar").arrives("Log in")
    expect(lines).to_have_count(1)
    expect(laptop.page.locator("#sessions")).to_contain_text("logged out")


def test_nothing_is_lost_when_the_server_was_killed_meanwhile(
    laptop: Person, phone: Person, server: Gunicorn
) -> None:
    laptop.open("/entries").arrives(LIST)
    phone.keep("before", "1")
    rows = laptop.page.locator(".entries tbody tr")
    expect(rows).to_have_count(1)
    server.kill()
    server.start()
    phone.keep("after", "2")
    expect(rows).to_have_count(2)
