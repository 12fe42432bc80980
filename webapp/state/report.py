"""What `flask state` prints: each kind of state, where, how much, what it outlives."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import humanize
from sqlalchemy.exc import SQLAlchemyError

from config.mistakes import one_line
from webapp.errors import StoreUnavailable
from webapp.lasting import Lasting
from webapp.state.census import UNKNOWN, Amount, count_records, count_values
from webapp.state.marks import Event, Mark
from webapp.state.places import STATES, Places

EVENTS: tuple[Event, ...] = ("restart", "crash", "redeploy")
HEADS = ("state", "where", "how many", "size", *EVENTS)
FACTS = {True: "yes", False: "no", None: "?"}


@dataclass(frozen=True)
class Line:
    """One kind of state; `outlives` has a word for each of EVENTS."""

    state: str
    where: str
    amount: Amount
    outlives: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        count, size = self.amount.count, self.amount.size
        return (
            self.state,
            self.where,
            "?" if count is None else f"{count:,}",
            "?" if size is None else humanize.naturalsize(size),
            *self.outlives,
        )


class Report:
    """The table, and what has to be said below it.

    Records that no start would use are not opened: SQLite would make a new file where
    one was lost. `trouble` says why others could not be read.
    """

    def __init__(self, places: Places, *, opens_records: bool = True) -> None:
        self._places = places
        self._found = {place.state: place for place in places.look()}
        self._marks = places.marks.read(*([] if opens_records else STATES[:1]))
        self.trouble = ""
        self._amounts: dict[str, Amount] = {}
        if opens_records:
            try:
                self._amounts = count_records(places.database)
            except SQLAlchemyError as error:
                reason = one_line(getattr(error, "orig", error))
                self.trouble = f"{places.database.place}: {reason}"

    def table(self) -> Iterator[str]:
        """Write the table line by line, each column as wide as it has to be."""
        rows = [HEADS, *(line.cells for line in self.lines())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [
                cell.rjust(width)
                if HEADS[at] in ("how many", "size")
                else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            yield "  ".join(cells).rstrip()

    def lines(self) -> Iterator[Line]:
        records, copies, values = STATES
        for kind, amount in (self._amounts or {records: UNKNOWN}).items():
            yield self._line(kind, records, amount)
        for kind, state, store in zip(
            ("session copies", "cached values"),
            (copies, values),
            self._places.stores,
            strict=True,
        ):
            try:
                amount = count_values(store)
            except StoreUnavailable:
                amount = UNKNOWN
            yield self._line(kind, state, amount)

    def notes(self) -> Iterator[str]:
        """Say how it is known, what may take it away, and what was lost already."""
        yield "proven: left there before a start, and found after it"
        for state, mark in self._marks.items():
            proven = mark.proven if mark else {}
            told = [
                f"{event} {_when(proven[event])}" for event in EVENTS if event in proven
            ]
            if told:
                yield f"  {state}: {', '.join(told)}"
        yield "yes, no: as the place is; ?: it does not tell"
        for state, place in self._found.items():
            if place.lasting.warning:
                yield f"  {state}: {place.lasting.warning}"
        for state, mark in self._marks.items():
            if mark and mark.lost_at:
                yield f"LOST: nothing of {state} was left at {_when(mark.lost_at)}"

    def _line(self, kind: str, state: str, amount: Amount) -> Line:
        place = self._found[state]
        outlives = tuple(_outlives(place.lasting, self._marks[state]))
        if state == STATES[0] and not self._amounts:
            # What cannot be read may have outlived nothing.
            outlives = (FACTS[None],) * len(EVENTS)
        return Line(kind, place.place, amount, outlives)


def _outlives(lasting: Lasting, mark: Mark | None) -> Iterator[str]:
    for event in EVENTS:
        fact = lasting.redeploy if event == "redeploy" else lasting.restart
        proven = mark.proven.get(event, 0.0) if mark else 0.0
        is_proven = proven > (mark.lost_at or 0.0) if mark else False
        yield "proven" if is_proven else FACTS[fact]


def _when(timestamp: float) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M} UTC"
