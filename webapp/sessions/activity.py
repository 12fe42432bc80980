"""In which hours of the last week a session was active: noted, drawn and said.

A number of 168 bits in hexadecimal. Bit i: it was active i hours before the hour (of
UTC) of `last_seen_at`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

HOUR, DAY = 3600, 24
WEEK = 7 * DAY
# Units of the drawing that an hour is wide, and how many a day's name takes.
WIDE, NAME = 2, 26
WIDTH = WIDE * WEEK


@dataclass(frozen=True)
class Strip:
    """A drawing of WIDTH: where the session was active, and where each day begins."""

    path: str
    # Where a line is, and the name of the day beside it, if there is room.
    days: list[tuple[int, str]]
    words: str
    # The days on which it was active, each with its spans of hours.
    hours: list[tuple[str, str]]


def active_also_at(now: datetime, record: Any) -> str:
    """Return the record's hours with that one, for `last_seen_at` being now."""
    return f"{_hours(record, now) | 1:x}"


def name_hours(record: Any) -> list[str]:
    """Return the beginning of each hour in which it was active, earliest first."""
    last = record.last_seen_at
    hours = range(WEEK - 1, -1, -1)
    active = _hours(record, last)
    return [_begin(last, ago).isoformat() for ago in hours if active >> ago & 1]


def draw_strip(record: Any, now: datetime) -> Strip | None:
    """Draw the week that ends with this hour; None where there is nothing to show."""
    active = _hours(record, now)
    if not active and record.ended_at:
        return None
    spans = list(_spans(active))
    bars = [
        f"M{(WEEK - 1 - first) * WIDE} 0h{(first - last + 1) * WIDE}v12"
        f"h-{(first - last + 1) * WIDE}z"
        for first, last in spans
    ]
    hours = list(_hours_by_day(spans, now))
    return Strip("".join(bars), list(_days(now)), _say(active, spans, now), hours)


def _hours(record: Any, now: datetime) -> int:
    """Return the bits as seen from another hour."""
    last_seen = _hour(record.last_seen_at)
    if record.active_hours:
        active = int(record.active_hours, 16)
    else:  # From before this was noted: two moments are known.
        age = last_seen - _hour(record.created_at)
        active = 1 | 1 << max(age, 0) if age < WEEK else 1
    since = _hour(now) - last_seen
    # A time to come is from a clock that was set back since.
    active = active >> -since if since < 0 else active << min(since, WEEK)
    return active & (1 << WEEK) - 1


def _hour(when: datetime) -> int:
    return int(when.timestamp() // HOUR)


def _begin(now: datetime, ago: int) -> datetime:
    return datetime.fromtimestamp((_hour(now) - ago) * HOUR, UTC)


def _spans(active: int) -> Iterator[tuple[int, int]]:
    """Give each span without a pause, by how many hours ago its first and last are."""
    first = None
    for ago in range(WEEK - 1, -2, -1):
        is_active = ago >= 0 and active >> ago & 1
        if is_active and first is None:
            first = ago
        elif not is_active and first is not None:
            yield first, ago + 1
            first = None


def _days(now: datetime) -> Iterator[tuple[int, str]]:
    """Give where each day begins; the first has begun before."""
    left = 0
    for ago in range(WEEK - 1, -1, -1):
        begin, x = _begin(now, ago), (WEEK - 1 - ago) * WIDE
        if begin.hour == 0 or x == 0:
            left = min(DAY - begin.hour, ago + 1) * WIDE
            yield x, f"{begin:%a}" if left >= NAME else ""


def _hours_by_day(
    spans: list[tuple[int, int]], now: datetime
) -> Iterator[tuple[str, str]]:
    """Give each day with its hours, earliest first; none goes beyond its midnight."""
    by_day: dict[date, list[str]] = {}
    for first, last in spans:
        begin, end = _begin(now, first), _begin(now, last - 1)
        while begin < end:
            until = min(end, (begin + timedelta(days=1)).replace(hour=0))
            hours = by_day.setdefault(begin.date(), [])
            hours.append(f"{begin.hour}\N{EN DASH}{until.hour or DAY}")
            begin = until
    for day, hours in by_day.items():
        yield f"{day:%a %-d %b}", ", ".join(hours)


def _say(active: int, spans: list[tuple[int, int]], now: datetime) -> str:
    if not spans:
        return "Not active in the last 7 days"
    days = sum(bool(active >> DAY * day & (1 << DAY) - 1) for day in range(7))
    first, last = spans[-1]
    begin, end = _begin(now, first), _begin(now, last - 1)
    until = f"to {end:%H:%M}" if last else "on"
    return (
        f"Active on {days} of the last 7 days, "
        f"last from {begin:%H:%M} {until}, {_name(begin, now)} (UTC)"
    )


def _name(begin: datetime, now: datetime) -> str:
    days = (now.astimezone(UTC).date() - begin.date()) / timedelta(days=1)
    return {0: "today", 1: "yesterday"}.get(int(days), f"on {begin:%A}")
