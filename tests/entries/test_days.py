"""What changed on each day is counted with each write, and nothing else is."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from tests.browser import Browser
from webapp import clock
from webapp.entries.days import Days
from webapp.entries.inputs import NewEntry, NewValue
from webapp.entries.service import Entries
from webapp.errors import Taken

START = datetime(2099, 3, 1, 23, 30, tzinfo=UTC)
TODAY, TOMORROW = date(2099, 3, 1), date(2099, 3, 2)
DAY = timedelta(days=1)
ALICE, BOB = 1, 2
Counted = list[tuple[date, int, int | None]]


@pytest.fixture(autouse=True)
def time(app: Flask) -> Iterator[Any]:
    """Stand still, shortly before midnight."""
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


@pytest.fixture
def entries(app: Flask, alice: Browser, bob: Browser) -> Entries:
    return app.extensions["entries"]  # type: ignore[no-any-return]


@pytest.fixture
def days(app: Flask) -> Days:
    return app.extensions["days"]  # type: ignore[no-any-return]


def new(key: str, value: str = "12345", **fields: Any) -> NewEntry:
    return NewEntry.model_validate({"key": key, "value": value} | fields)


def counted(days: Days, user_id: int = ALICE) -> Counted:
    rows = days.since(user_id, date.min)
    return [(row.day, row.writes, row.size) for row in rows]


def test_what_is_made_changed_and_deleted_counts_for_its_day(
    entries: Entries, days: Days, time: Any
) -> None:
    one = entries.create(ALICE, new("one"))
    entries.create(ALICE, new("two"))
    assert counted(days) == [(TODAY, 2, 16)]
    time.shift(DAY)
    entries.change(ALICE, "one", one.version, NewValue(value="123"))
    two = entries.get(ALICE, "two")
    entries.delete(ALICE, "two", two.version)
    assert counted(days) == [(TODAY, 2, 16), (TOMORROW, 2, 6)]
    assert counted(days, BOB) == []


def test_a_day_ends_at_midnight_in_utc(entries: Entries, days: Days, time: Any) -> None:
    entries.create(ALICE, new("one"))
    time.shift(timedelta(minutes=29, seconds=59))
    entries.create(ALICE, new("two"))
    time.shift(timedelta(seconds=1))
    entries.create(ALICE, new("three"))
    assert [row[:2] for row in counted(days)] == [(TODAY, 2), (TOMORROW, 1)]


def test_joined_writes_are_counted_one_by_one_and_noted_once(
    app: Flask, entries: Entries, days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries.create(ALICE, new("there"))
    noted: list[int] = []
    note = "webapp.entries.days._note"
    monkeypatch.setattr(note, lambda _db, usage: noted.append(usage.changes))
    with entries.at_once(ALICE):
        for number in range(5):
            entries.create(ALICE, new(f"key {number}"))
        with pytest.raises(Taken):
            entries.create(ALICE, new("there"))
    assert noted == [5]


def test_what_is_rolled_back_is_not_counted(entries: Entries, days: Days) -> None:
    entries.create(ALICE, new("one"))

    def add_both() -> None:
        with entries.at_once(ALICE):
            entries.create(ALICE, new("two"))
            entries.create(ALICE, new("one"))

    with pytest.raises(Taken):
        add_both()
    with pytest.raises(Taken):
        entries.create(ALICE, new("one"))
    assert counted(days) == [(TODAY, 1, 8)]


def test_what_ends_by_itself_leaves_room_and_is_no_change(
    app: Flask, entries: Entries, days: Days, time: Any
) -> None:
    entries.create(ALICE, new("one", expires_at=START + timedelta(hours=1)))
    time.shift(DAY)
    assert app.extensions["earlier_values"].purge(10) == 1
    assert counted(days) == [(TODAY, 1, 8), (TOMORROW, 0, 0)]


def test_days_of_more_than_54_weeks_ago_are_purged_in_steps(
    entries: Entries, days: Days, time: Any
) -> None:
    for number in range(3):
        entries.create(ALICE, new(f"key {number}"))
        time.shift(DAY)
    time.shift(54 * 7 * DAY - DAY)
    assert [days.purge(1) for _ in range(3)] == [1, 1, 0]
    assert [row[0] for row in counted(days)] == [TODAY + 2 * DAY]


def test_an_account_takes_its_days_along(
    app: Flask, entries: Entries, days: Days, alice: Browser
) -> None:
    entries.create(ALICE, new("one"))
    entries.create(BOB, new("his"))
    app.extensions["accounts"].remove(ALICE)
    assert counted(days) == []
    assert counted(days, BOB) == [(TODAY, 1, 8)]


def test_a_person_can_take_the_days_along(entries: Entries, alice: Browser) -> None:
    entries.create(ALICE, new("one"))
    saved = alice.open("/account/export").page.json
    assert saved["days"] == [{"day": "2099-03-01", "changes": 1, "size": 8}]
