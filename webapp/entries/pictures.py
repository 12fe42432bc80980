"""What is drawn of a year: where each thing is, in the units of an SVG.

Both pictures share the days from left to right, so that one stands below the other.
The templates say what it looks like.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count, pairwise

from webapp.entries.year import WEEKS, Year, YearDay

# A day's square with the gap to the next, and the square alone.
STEP, SQUARE = 14, 11
# Of all weeks, beside which the weekdays and the sizes are: at the end that is seen
# first where not all of it fits.
WIDTH = WEEKS * STEP
# Above the squares are the names of the months.
TOP = 18
# Weeks that the name of a month takes.
NAME = 3
# Of the chart: where the highest line is, and the lowest.
HIGH, LOW = 12, 132
MOST_LINES = 4
WEEKDAYS = {"Mon": 0, "Wed": 2, "Fri": 4}
UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Label:
    """A word or a number at the edge, and where on that edge."""

    at: float
    text: str


@dataclass(frozen=True)
class Square:
    """A day of the heat-map; `level` from 0, nothing, to 4."""

    x: int
    y: int
    level: int
    day: YearDay


@dataclass(frozen=True)
class SpaceChart:
    """The space used: a line that begins at `start`, and lines across with sizes."""

    start: int
    line: str
    sizes: list[Label]
    # Where the quota is, if the chart goes as high.
    quota: float | None

    @property
    def area(self) -> str:
        return f"{self.line}V{LOW}H{self.start}Z"


def draw_squares(year: Year) -> Iterator[Square]:
    """Place the days in columns, a week each; how dark one is goes by quartiles."""
    counts = sorted(day.changes for day in year.days if day.changes)
    last = [max(len(counts) * part // 4 - 1, 0) for part in (1, 2, 3)]
    quartiles = [counts[number] for number in last] if counts else []
    for number, day in enumerate(year.days):
        week, weekday = divmod(number, 7)
        level = 1 + bisect_left(quartiles, day.changes) if day.changes else 0
        yield Square(week * STEP, TOP + weekday * STEP, level, day)


def name_weekdays() -> list[Label]:
    return [
        Label(TOP + day * STEP + SQUARE - 2, name) for name, day in WEEKDAYS.items()
    ]


def name_months(year: Year) -> list[Label]:
    """Name each month above the first week that begins in it, where there is room."""
    mondays = [day.day for day in year.days[::7]]
    names: list[tuple[int, date]] = []
    for week, monday in enumerate(mondays):
        is_new = week == 0 or monday.month != mondays[week - 1].month
        if is_new and names and week - names[-1][0] < NAME:
            names.pop()
        if is_new:
            names.append((week, monday))
    return [Label(week * STEP, f"{monday:%b}") for week, monday in names]


def draw_space(year: Year, quota: int) -> SpaceChart | None:
    """Draw how the space grew and shrank; None where it is not known of any day."""
    known = [(at, day.size) for at, day in enumerate(year.days) if day.size is not None]
    if not known:
        return None
    highest = max(size for _, size in known)
    lines = _round_sizes(highest)
    start = _left(known[0][0])
    moves = [f"M{start} {_height(known[0][1], lines):g}"]
    for (_, before), (at, size) in pairwise(known):
        if size != before:
            moves.append(f"H{_left(at)}V{_height(size, lines):g}")
    moves.append(f"H{_left(known[-1][0] + 1)}")
    return SpaceChart(
        start=start,
        line="".join(moves),
        sizes=[Label(_height(size, lines), _name_size(size)) for size in lines],
        quota=_height(quota, lines) if quota <= lines[-1] else None,
    )


def _left(number: int) -> int:
    return number * STEP // 7


def _height(size: int, lines: Sequence[int]) -> float:
    return round(LOW - (LOW - HIGH) * size / lines[-1], 1)


def _round_sizes(highest: int) -> list[int]:
    """Return 0 and a few round sizes above each other, the last not below this one."""
    steps = (digit * 10**zeros for zeros in count() for digit in (1, 2, 5))
    step = next(step for step in steps if step * (MOST_LINES - 1) >= highest)
    lines = max(1, -(-highest // step))
    return [step * number for number in range(lines + 1)]


def _name_size(size: float) -> str:
    for unit in UNITS:
        if size < 1000 or unit == UNITS[-1]:
            break
        size /= 1000
    return f"{size:g} {unit}"
