"""What is drawn of a year is what was there."""

from datetime import date, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from webapp.entries import pictures
from webapp.entries.year import Year, first_day, make_year

# A Wednesday.
TODAY = date(2026, 12, 2)
FIRST = date(2025, 12, 1)
DAY = timedelta(days=1)


def row(ago: int, changes: int = 1, size: int | None = None) -> Any:
    return SimpleNamespace(day=TODAY - ago * DAY, writes=changes, size=size)


def year_of(*rows: Any, size: int = 0) -> Year:
    return make_year(rows, TODAY, size)


@pytest.mark.parametrize("weekday", range(7))
def test_a_year_is_53_weeks_from_a_monday_to_today(weekday: int) -> None:
    today = TODAY + weekday * DAY
    days = make_year([], today, 0).days
    assert days[0].day == first_day(today)
    assert days[0].day.weekday() == 0
    assert days[-1].day == today
    assert 52 * 7 < len(days) <= 53 * 7


def test_days_without_a_change_carry_the_size_on() -> None:
    year = year_of(row(9), row(6, size=10), row(3, 2), row(1, size=4), size=4)
    assert [day.size for day in year.days[-10:]] == [None] * 3 + [10] * 5 + [4] * 2
    assert [day.changes for day in year.days[-4:]] == [2, 0, 1, 0]
    assert (year.sums.changes, year.sums.active_days, year.sums.size) == (5, 4, 4)


def test_the_size_of_who_changed_nothing_all_year_is_that_of_today() -> None:
    assert {day.size for day in year_of(size=7).days} == {7}
    assert {day.size for day in year_of().days} == {None}


def test_months_are_summed_up_the_latest_first() -> None:
    year = year_of(row(2, 3, size=9), row(1, 1, size=5), row(0, 1, size=6), size=6)
    december, november = year.months[:2]
    assert (december.first, december.changes, december.size) == (
        date(2026, 12, 1),
        2,
        6,
    )
    assert (november.first, november.active_days, november.size) == (
        *(date(2026, 11, 1), 1, 9),
    )
    assert year.months[-1].first == FIRST
    assert year.busiest.changes == 3


def test_each_day_has_a_square_in_the_column_of_its_week() -> None:
    squares = list(pictures.draw_squares(year_of(row(0))))
    assert (squares[0].x, squares[0].y) == (0, pictures.TOP)
    assert (squares[7].x, squares[7].y) == (pictures.STEP, pictures.TOP)
    last = squares[-1]
    assert last.x + pictures.STEP == pictures.WIDTH
    assert last.y == pictures.TOP + TODAY.weekday() * pictures.STEP
    assert {(square.x, square.y) for square in squares[:-1]}.isdisjoint(
        {(last.x, last.y)}
    )


@pytest.mark.parametrize(
    ("changes", "levels"),
    [
        ([], []),
        ([5], [1]),
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        ([2, 9], [1, 4]),
        ([1, 1, 1, 1, 9000], [1, 1, 1, 1, 4]),
        ([8, 1, 2, 3, 4, 5, 6, 7], [4, 1, 1, 2, 2, 3, 3, 4]),
    ],
)
def test_a_square_is_darker_the_more_changed(
    changes: list[int], levels: list[int]
) -> None:
    rows = [row(ago, number) for ago, number in enumerate(changes)]
    squares = list(pictures.draw_squares(year_of(*rows)))
    assert [square.level for square in squares][::-1][: len(levels)] == levels
    assert sum(square.level > 0 for square in squares) == len(levels)


@pytest.mark.parametrize("later", range(0, 366, 5))
def test_the_names_of_months_are_in_order_and_never_on_each_other(later: int) -> None:
    names = pictures.name_months(make_year([], TODAY + later * DAY, 0))
    lefts = [name.at for name in names]
    assert 12 <= len(names) <= 13
    least = pictures.NAME * pictures.STEP
    assert all(right - left >= least for left, right in pairwise(lefts))
    assert lefts[-1] < pictures.WIDTH


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (1, ["0 B", "1 B"]),
        (7, ["0 B", "5 B", "10 B"]),
        (1000, ["0 B", "500 B", "1 kB"]),
        (1001, ["0 B", "500 B", "1 kB", "1.5 kB"]),
        (49_900_000, ["0 B", "20 MB", "40 MB", "60 MB"]),
        (2 * 10**12, ["0 B", "1 TB", "2 TB"]),
    ],
)
def test_sizes_at_the_side_are_round(size: int, names: list[str]) -> None:
    space = pictures.draw_space(year_of(row(0, size=size)), 50)
    assert space
    assert [label.text for label in space.sizes] == names
    assert space.sizes[0].at == pictures.LOW
    assert space.sizes[-1].at == pictures.HIGH


def test_the_space_is_a_line_in_steps_from_where_it_is_known() -> None:
    year = year_of(row(3, size=10), row(1, size=5), size=5)
    space = pictures.draw_space(year, 1000)
    assert space
    end = len(year.days) * 2
    assert space.start == end - 8
    assert space.line == f"M{end - 8} 12H{end - 4}V72H{end}"
    assert space.area == f"{space.line}V132H{end - 8}Z"
    assert space.quota is None


def test_the_quota_is_drawn_where_the_chart_goes_as_high() -> None:
    space = pictures.draw_space(year_of(row(0, size=90)), 100)
    assert space
    assert space.quota == pictures.HIGH


def test_where_nothing_is_known_nothing_is_drawn() -> None:
    assert pictures.draw_space(year_of(row(3)), 100) is None
