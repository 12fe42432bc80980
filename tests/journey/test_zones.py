"""Times are typed where the reader is, and sent in UTC."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from tests.journey.conftest import PersonAt
from tests.journey.person import Person
from tests.servers import Gunicorn
from webapp import clock
from webapp.moments import moment


@pytest.fixture
def anna(server: Gunicorn, person_at: PersonAt) -> Person:
    server.start()
    return _sign_up(person_at(server.url, "anna", timezone_id="Europe/Berlin"))


def _sign_up(person: Person) -> Person:
    person.open("/signup").fill(User_name=person.name, Password=person.password)
    return person.press("Make the account").arrives("Your entries")


def _keep(person: Person, label: str, ends: str) -> str:
    """Keep an entry that ends then; return the moment in UTC."""
    person.open("/entries/new").fill(Key="a note", Value="for a while")
    person.page.get_by_label(label).fill(ends)
    person.press("Save").arrives("a note", "Saved.")
    return _end(person)


def _end(person: Person) -> str:
    times = person.page.locator(".facts time")
    expect(times).to_have_count(3)
    return str(times.last.get_attribute("datetime"))


def test_an_end_is_typed_in_the_zone_of_the_reader(anna: Person) -> None:
    # In summer Berlin is two hours ahead.
    end = _keep(anna, "Ends at (Europe/Berlin)", "2096-07-01T12:00:05")
    assert end == "2096-07-01T10:00:05+00:00"
    anna.press("Edit").arrives("Edit a note")
    ends = anna.page.get_by_label("Ends at (Europe/Berlin)")
    expect(ends).to_have_value("2096-07-01T12:00:05")
    ends.fill("2096-01-01T00:30:00")
    anna.press("Save").arrives("a note", "Saved.")
    assert _end(anna) == "2095-12-31T23:30:00+00:00"


@pytest.mark.parametrize("path", ["/account", "/account/history", "/sessions"])
def test_whoever_points_at_a_time_is_told_it_in_their_zone(
    anna: Person, path: str
) -> None:
    """Also where the words are those that the server wrote."""
    times = anna.open(path).page.locator("main time[title]")
    expect(times.first).to_have_attribute("lang", "en-US")
    titles = [time.get_attribute("title") for time in times.all()]
    assert titles
    assert not [title for title in titles if not title or "UTC" in title]


# How long ago, and how the script says it where the server has other words for it.
AGO = {
    timedelta(seconds=45): "", timedelta(seconds=100): "", timedelta(minutes=59): "",
    timedelta(minutes=59.8): "1 hour ago", timedelta(hours=5.6): "",
    timedelta(days=6): "", timedelta(days=16): "", timedelta(days=59): "",
    timedelta(days=60): "", timedelta(days=76): "", timedelta(days=77): "",
    timedelta(days=90): "", timedelta(days=200): "", timedelta(days=350): "",
    timedelta(days=351): "1 year ago", timedelta(days=400): "1 year ago",
    timedelta(days=600): "2 years ago", timedelta(days=730): "",
}  # fmt: skip


def test_how_long_ago_something_was_is_said_as_the_server_says_it(anna: Person) -> None:
    told = anna.page.evaluate(
        """agos => {
          const times = agos.map(ago => document.createElement("time"));
          agos.forEach((ago, at) => {
            times[at].dateTime = new Date(Date.now() - 1000 * ago).toISOString();
          });
          document.querySelector("main").append(...times);
          document.dispatchEvent(new Event("visibilitychange"));
          return times.map(time => time.textContent);
        }""",
        [ago.total_seconds() for ago in AGO],
    )
    said = [moment(clock.now() - ago).striptags() for ago in AGO]
    assert told == [words or said[at] for at, words in enumerate(AGO.values())]


def test_an_end_that_nobody_touches_stays_what_it_was(
    server: Gunicorn, anna: Person, person_at: PersonAt
) -> None:
    """Also in the hour that comes twice: 2:30 on this day is at 0:30 and 1:30 UTC."""
    plain = person_at(server.url, "anna", javascript=False).log_in()
    end = _keep(plain, "Ends at (UTC)", "2096-10-28T01:30:00")
    anna.open("/entries").press("a note").arrives("a note").press("Edit")
    expect(anna.page.get_by_label("Ends at")).to_have_value("2096-10-28T02:30")
    # Nothing is unsaved, so nothing asks before the page is left.
    anna.press("Cancel").arrives("a note").press("Edit").arrives("Edit a note")
    anna.fill(Value="written anew").press("Save").arrives("a note", "written anew")
    assert _end(anna) == end == "2096-10-28T01:30:00+00:00"
    anna.press("Edit").arrives("Edit a note")
    anna.page.get_by_label("Ends at").fill("")
    anna.press("Save").arrives("a note", "Saved.")
    expect(anna.page.locator(".facts time")).to_have_count(2)


def test_an_end_that_is_refused_or_restored_is_still_the_same(anna: Person) -> None:
    anna.open("/entries/new").fill(Key="a note", Value="{").choose("JSON")
    ends = anna.page.get_by_label("Ends at (Europe/Berlin)")
    ends.fill("2096-07-01T12:00:05")
    anna.press("Save").arrives("New entry", status=400)
    expect(ends).to_have_value("2096-07-01T12:00:05")
    anna.page.once("dialog", lambda dialog: dialog.accept())
    anna.open("/entries/new").arrives("New entry")
    anna.fill(Key="another", Value="a draft")
    ends.fill("2096-07-01T12:00:06")
    anna.page.once("dialog", lambda dialog: dialog.accept())
    anna.page.reload()
    anna.press("Restore it")
    expect(ends).to_have_value("2096-07-01T12:00:06")
    anna.press("Save").arrives("another", "Saved.")
    assert _end(anna) == "2096-07-01T10:00:06+00:00"


@pytest.mark.parametrize(
    ("javascript", "last_moment"),
    [(True, "2096-07-02T03:59:59+00:00"), (False, "2096-07-01T23:59:59+00:00")],
    ids=["scripts", "no-scripts"],
)
def test_the_last_day_of_a_token_ends_where_the_reader_is(
    server: Gunicorn, person_at: PersonAt, javascript: bool, last_moment: str
) -> None:
    server.start()
    zone = "America/New_York"
    anna = person_at(server.url, "anna", javascript=javascript, timezone_id=zone)
    _sign_up(anna).open("/account/tokens").fill(Name="a program", Date="2096-07-01")
    anna.page.get_by_label("Expires").select_option("date")
    anna.press("Make the token").arrives("Your new token").open("/account/tokens")
    times = anna.page.locator(".lines .facts time")
    expect(times.nth(1)).to_have_attribute("datetime", last_moment)
