"""The last year of a person's entries: what changed on each day, and the space used."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from webapp.database import AnyRow

WEEKS = 53
ONE = timedelta(days=1)


@dataclass(frozen=True)
class YearDay:
    """One day; `size` is of its end, None where it is not known."""

    day: date
    changes: int
    size: int | None


@dataclass(frozen=True)
class Sums:
    """What some days come to; `size` is that of the last one."""

    first: date
    changes: int
    active_days: int
    size: int | None


@dataclass(frozen=True)
class Year:
    """WEEKS weeks that end with the one of today: all days from a Monday to today."""

    days: list[YearDay]

    @property
    def sums(self) -> Sums:
        return _sum(self.days)

    @property
    def busiest(self) -> YearDay:
        """The day with most changes, the latest of several."""
        return max(self.days, key=lambda day: (day.changes, day.day))

    @property
    def months(self) -> list[Sums]:
        """Sum up each calendar month, the latest first."""
        by_month = groupby(self.days, key=lambda day: (day.day.year, day.day.month))
        return [_sum(list(days)) for _, days in by_month][::-1]


def first_day(today: date) -> date:
    """Return the Monday that the year begins with."""
    return today - timedelta(weeks=WEEKS - 1, days=today.weekday())


def make_year(rows: Sequence[AnyRow], today: date, size: int) -> Year:
    """Make it of the days with a change and of the size that there is now.

    A day without one ends as the day before; where there is none at all, all end as
    today. Before the first one with a size, the size is not known.
    """
    return Year(list(_days({row.day: row for row in rows}, today, size)))


def _days(rows: dict[date, AnyRow], today: date, size_now: int) -> Iterator[YearDay]:
    size = None if rows or not size_now else size_now
    first = first_day(today)
    for number in range((today - first).days + 1):
        day = first + number * ONE
        row = rows.get(day)
        if row and row.size is not None:
            size = row.size
        yield YearDay(day, row.writes if row else 0, size)


def _sum(days: Sequence[YearDay]) -> Sums:
    return Sums(
        first=days[0].day,
        changes=sum(day.changes for day in days),
        active_days=sum(day.changes > 0 for day in days),
        size=days[-1].size,
    )
