"""Times rows in turn and prints them as one table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

import click

from benchmarks.visits import Visit

HEAD = ("", "µs", "of bare view", "faster than tutorial", "rounds, µs")


@dataclass
class Row:
    """One line of the table; without a visit it says why it was not run."""

    name: str
    visit: Visit | None
    reason: str = ""
    rounds: list[float] = field(default_factory=list)

    @property
    def microseconds(self) -> float:
        """The median over the rounds; a busy moment of the machine leaves it alone."""
        return median(self.rounds) * 1e6


def run_rounds(rows: Iterable[Row], rounds: int, requests: int) -> None:
    """Time every row in every round; each round begins with another row.

    What slows the machine down for a while then slows down all of them. The garbage
    collector stays as it is, as it does on a server.
    """
    timed = [row for row in rows if row.visit]
    for row in timed:
        assert row.visit  # noqa: S101
        row.visit.time(requests)
    for number in range(rounds):
        first = number % len(timed)
        for row in timed[first:] + timed[:first]:
            assert row.visit  # noqa: S101
            row.rounds.append(row.visit.time(requests))


def print_table(rows: Sequence[Row], bare: Row, tutorial: Row) -> None:
    lines = [HEAD, *(_cells(row, bare, tutorial) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for name, *figures in lines:
        cells = zip(figures, widths[1:], strict=True)
        right = (figure.rjust(width) for figure, width in cells)
        click.echo("  ".join([name.ljust(widths[0]), *right]).rstrip())


def _cells(row: Row, bare: Row, tutorial: Row) -> tuple[str, ...]:
    if not row.visit:
        return row.name, "not run", "", "", row.reason
    return (
        row.name,
        f"{row.microseconds:,.0f}",
        f"{row.microseconds / bare.microseconds:.2f}",
        f"{tutorial.microseconds / row.microseconds:.2f}",
        f"{min(row.rounds) * 1e6:,.0f} to {max(row.rounds) * 1e6:,.0f}",
    )
