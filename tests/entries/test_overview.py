"""The page of the last year follows what is written, and the calendar."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from tests.browser import Browser
from webapp import clock
from webapp.entries import pictures
from webapp.entries.days import DAYS

START = datetime(2099, 3, 1, 23, 30, tzinfo=UTC)
DAY = timedelta(days=1)
TITLES = "//*[local-name()='rect']/*[local-name()='title']/text()"


@pytest.fixture(autouse=True)
def time(app: Flask) -> Iterator[Any]:
    """Stand still, shortly before midnight."""
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


def titles(browser: Browser) -> list[str]:
    found = browser.open("/overview").tree.xpath(TITLES)
    return [str(title).replace("\N{NO-BREAK SPACE}", " ") for title in found]


def squares(browser: Browser) -> int:
    heat = browser.open("/overview").tree.xpath("//div[@id='year']//*[@class='heat']")
    return len(heat[0].xpath("./*[local-name()='rect']"))


def rows(browser: Browser) -> list[list[str]]:
    table = browser.open("/overview").tree.xpath("//table[@class='months']//tr")
    return [[cell.text_content() for cell in row] for row in table]


def test_the_list_leads_there_and_it_leads_back(alice: Browser) -> None:
    links = alice.open("/entries").links()
    assert links["Your year"] == links["Changed this week"] == "/overview"
    alice.open(links["Your year"])
    assert alice.tree.findtext(".//h1") == "Your year"
    assert alice.links()["← Your entries"] == "/entries"


def test_whoever_has_nothing_is_told_what_will_be_there(alice: Browser) -> None:
    assert titles(alice) == []
    assert "No changes yet" in alice.text
    assert alice.links()["Keep an entry"] == "/entries/new"
    assert "of space" not in alice.text
    assert squares(alice) == 52 * 7 + 7, "a Sunday ends the year"


def test_it_is_never_older_than_the_last_write(alice: Browser, bob: Browser) -> None:
    alice.keep("one", "12345")
    assert titles(alice) == ["1 change on Sunday 1 March 2099"]
    alice.keep("two", "12345")
    assert titles(alice) == ["2 changes on Sunday 1 March 2099"]
    assert titles(bob) == []


def test_it_changes_at_midnight_without_a_write(alice: Browser, time: Any) -> None:
    alice.keep("one", "12345")
    version = alice.open("/overview").tree.get_element_by_id("year").get("data-version")
    assert (squares(alice), version) == (371, "1")
    time.shift(timedelta(minutes=29, seconds=59))
    assert squares(alice) == 371
    time.shift(timedelta(seconds=1))
    assert squares(alice) == 365, "a new week has begun, of which one day is there"


def test_it_is_computed_once_for_each_write_and_day(
    app: Flask, alice: Browser, browser_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    draw = pictures.draw_space

    def note(*given: Any) -> Any:
        made.append(1)
        return draw(*given)

    monkeypatch.setattr(pictures, "draw_space", note)
    other = browser_of("alice").open("/")
    alice.keep("one", "12345")
    for browser in (alice, other, alice, other):
        browser.open("/overview")
    assert len(made) == 1
    tokens = [
        page.tree.xpath("//*[@name='form_token']/@value") for page in (alice, other)
    ]
    assert tokens[0] != tokens[1], "each browser has a token of its own"
    assert alice.log_out().open("/overview").path == "/login"


def test_the_table_says_the_same_as_the_pictures(alice: Browser, time: Any) -> None:
    alice.keep("one", "12345").keep("two", "12345")
    time.shift(DAY)
    alice.log_in().keep("three", "12")
    head, march, february, *_ = rows(alice)
    assert head == ["Month", "Changes", "Days with changes", "Space at its end"]
    assert march == ["March 2099", "3", "2", "23 Bytes"]
    assert february == ["February 2099", "0", "0", "not known"]
    assert len(rows(alice)) == 14
    assert "3 changes on 2 days" in alice.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "23 Bytes of space" in alice.text


def test_every_picture_says_in_words_what_it_shows(alice: Browser) -> None:
    alice.keep("one", "12345")
    drawn = alice.open("/overview").tree.xpath("//main//*[@role='img']")
    words = [each.get("aria-label").replace("\xa0", " ") for each in drawn]
    assert words == [
        "A square for each day since 24 February 2098, darker the more changed: "
        "1 change on 1 day.",
        "five shades, from pale to strong",
        "The space used since 24 February 2098: 8 Bytes now, of 50.0 MB.",
    ]


def test_a_year_full_of_changes_is_a_small_page(
    app: Flask, alice: Browser, time: Any
) -> None:
    database = app.extensions["database"]
    with database.write() as db:
        for ago in range(371):
            day = {"user_id": 1, "day": (START - ago * DAY).date(), "size": 7 * ago}
            db.execute(DAYS.insert(), day | {"writes": ago * 37 % 11 + 1})
    page = alice.client.get("/overview", headers={"Accept-Encoding": "gzip"})
    assert page.headers["Content-Encoding"] == "gzip"
    assert len(page.data) < 12_000
    assert gzip.decompress(page.data).count(b"<title>") == 372
    assert b"style=" not in gzip.decompress(page.data)
