"""The hours in which a session was active are kept for a week, drawn and said."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from tests.browser import Browser
from webapp import clock
from webapp.database import Database
from webapp.sessions.activity import active_also_at, draw_strip, name_hours
from webapp.sessions.models import SessionRecord
from webapp.sessions.records import Records

# A Thursday.
NOON = datetime(2099, 1, 1, 12, 10, tzinfo=UTC)
DAY_ONE = "2099-01-01"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FULL = f"{(1 << 168) - 1:x}"


def record(hours: str = "1", last_seen: datetime = NOON, **more: Any) -> Any:
    known = {"active_hours": hours, "last_seen_at": last_seen, "ended_at": None}
    return SimpleNamespace(**known | {"created_at": NOON - 3 * HOUR} | more)


@pytest.mark.parametrize(
    ("before", "later", "after"),
    [
        ("1", timedelta(minutes=49), "1"),
        ("1", timedelta(minutes=50), "3"),
        ("1", 3 * HOUR, "9"),
        ("b", 2 * HOUR, "2d"),
        ("1", 167 * HOUR, f"{1 << 167 | 1:x}"),
        ("1", 168 * HOUR, "1"),
        (FULL, HOUR, FULL),
        (FULL, 168 * HOUR, "1"),
        (FULL, 30 * 365 * DAY, "1"),
        ("9", -2 * HOUR, "3"),
        ("1", -DAY, "1"),
        ("", timedelta(0), "9"),
        ("", 2 * HOUR, "25"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_hours_move_on_and_those_of_more_than_a_week_ago_go(
    before: str, later: timedelta, after: str
) -> None:
    noted = active_also_at(NOON + later, record(before))
    assert noted == after
    assert len(noted) <= 42


def test_a_strip_ends_with_this_hour() -> None:
    strip = draw_strip(record("1"), NOON + timedelta(minutes=49))
    assert strip
    assert strip.path == "M334 0h2v12h-2z"
    strip = draw_strip(record("d"), NOON + 5 * HOUR)
    assert strip
    assert strip.path == "M318 0h4v12h-4zM324 0h2v12h-2z"
    names = " ".join(name for _, name in strip.days)
    assert names == " Fri Sat Sun Mon Tue Wed Thu"
    assert strip.days[1] == ((24 - 18) * 2, "Fri")


@pytest.mark.parametrize(
    ("hours", "later", "said"),
    [
        (
            "1",
            timedelta(0),
            "Active on 1 of the last 7 days, last from 12:00 on, today",
        ),
        (
            "7",
            timedelta(0),
            "Active on 1 of the last 7 days, last from 10:00 on, today",
        ),
        (
            "3",
            3 * HOUR,
            "Active on 1 of the last 7 days, last from 11:00 to 13:00, today",
        ),
        (
            "1",
            DAY,
            "Active on 1 of the last 7 days, last from 12:00 to 13:00, yesterday",
        ),
        (
            f"{1 | 1 << 30 | 1 << 100:x}",
            2 * DAY,
            "Active on 3 of the last 7 days, last from 12:00 to 13:00, on Thursday",
        ),
        (
            FULL,
            timedelta(0),
            "Active on 7 of the last 7 days, last from 13:00 on, on Thursday",
        ),
    ],
)
def test_a_strip_says_what_it_shows(hours: str, later: timedelta, said: str) -> None:
    strip = draw_strip(record(hours), NOON + later)
    assert strip
    assert strip.words == f"{said} (UTC)"


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        ("1", [("Thu 1 Jan", "12-13")]),
        ("d", [("Thu 1 Jan", "9-11, 12-13")]),
        (f"{0b11 << 12:x}", [("Wed 31 Dec", "23-24"), ("Thu 1 Jan", "0-1")]),
        (f"{1 << 13:x}", [("Wed 31 Dec", "23-24")]),
        (FULL, [("Thu 25 Dec", "13-24"), ("Fri 26 Dec", "0-24"),
                ("Sat 27 Dec", "0-24"), ("Sun 28 Dec", "0-24"), ("Mon 29 Dec", "0-24"),
                ("Tue 30 Dec", "0-24"), ("Wed 31 Dec", "0-24"), ("Thu 1 Jan", "0-13")]),
        ("0", []),
    ],
)  # fmt: skip
def test_a_table_tells_the_hours_of_each_day(
    hours: str, told: list[tuple[str, str]]
) -> None:
    strip = draw_strip(record(hours), NOON)
    assert strip
    listed = [(day, spans.replace("\N{EN DASH}", "-")) for day, spans in strip.hours]
    assert listed == told


def test_one_that_was_not_active_for_a_week_has_a_strip_only_while_alive() -> None:
    later = NOON + 7 * DAY
    strip = draw_strip(record(), later)
    assert strip
    assert (strip.path, strip.words) == ("", "Not active in the last 7 days")
    assert draw_strip(record(ended_at=NOON), later) is None


def test_the_hours_are_named_for_whoever_takes_them_along() -> None:
    assert name_hours(record("9")) == [
        "2099-01-01T09:00:00+00:00",
        "2099-01-01T12:00:00+00:00",
    ]


@pytest.fixture
def time(app: Flask) -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as time:
        yield time
    clock.start()


def noted(app: Flask) -> list[str]:
    database: Database = app.extensions["database"]
    with database.read() as db:
        return list(db.scalars(select(SessionRecord.active_hours)))


def strips(browser: Browser) -> list[str]:
    tree = browser.open("/sessions").tree
    return [str(words) for words in tree.xpath("//*[@class='strip']/@aria-label")]


def test_a_session_notes_when_it_is_used(app: Flask, time: Any, alice: Browser) -> None:
    assert noted(app) == ["1"]
    for gap, hours in ((0.5, "1"), (0.5, "3"), (1.9, "d"), (0.05, "d")):
        time.shift(gap * HOUR)
        alice.open("/")
        assert noted(app) == [hours]
    assert strips(alice) == [
        "Active on 1 of the last 7 days, last from 15:00 on, today (UTC)"
    ]


def test_the_page_has_the_hours_of_each_session_in_a_table(
    app: Flask, time: Any, alice: Browser
) -> None:
    time.shift(1.5 * HOUR)
    Browser(app.test_client(), "alice").log_in()
    (table,) = alice.open("/sessions").tree.xpath("//details/table")
    assert "Days and hours are those of UTC." in table.findtext("caption")
    lines = [" ".join(body.itertext()).split() for body in table.iter("tbody")]
    assert [" ".join(line).replace("\N{EN DASH}", "-") for line in lines] == [
        f"Werkzeug, 127.0.0.1, signed in {DAY_ONE} 13:40:00 UTC Thu 1 Jan 13-14",
        f"Werkzeug, 127.0.0.1 (this browser), signed in {DAY_ONE} 12:10:00 UTC "
        "Thu 1 Jan 12-14",
    ]


def test_of_two_requests_at_once_the_first_notes_it_for_both(
    app: Flask, time: Any, alice: Browser
) -> None:
    records: Records = app.session_interface.sessions.records  # type: ignore[attr-defined]
    with app.extensions["database"].read() as db:
        row = db.execute(select(SessionRecord.id_hash)).one()
    seen = records.find(row.id_hash)
    assert seen
    time.shift(3 * HOUR)
    records.touch(seen)
    records.touch(seen)
    assert noted(app) == ["9"]


def test_a_session_from_before_shows_its_begin_and_when_it_was_last_seen(
    app: Flask, time: Any, alice: Browser
) -> None:
    with app.extensions["database"].write() as db:
        earlier = {"active_hours": "", "created_at": NOON - 30 * HOUR}
        db.execute(update(SessionRecord).values(**earlier))
    assert strips(alice) == [
        "Active on 2 of the last 7 days, last from 12:00 on, today (UTC)"
    ]
    time.shift(HOUR)
    alice.open("/")
    assert noted(app) == [f"{1 << 31 | 3:x}"]
