"""Times a page, a purge step and a start beside ever more sessions.

Every session has a record; the first 100,000 have a file as well. Half of them are over
long ago, so that the purge has something to do.
"""

import sys
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import click
from flask import Flask
from sqlalchemy import insert

from benchmarks.page import ENTRIES, NAME, holdfast
from benchmarks.visits import Visit, visit_as
from webapp import clock
from webapp.ops.upkeep import Upkeep
from webapp.sessions.models import SessionRecord
from webapp.sessions.records import hash_id
from webapp.stores import open_store

MOST_FILES = 100_000
BATCH = 10_000
STEPS = 200
HEAD = ("sessions", "files", "page p95", "no copy p95", "step p95", "longest", "start")
# The bars: pages within twice those of a nearly empty store, steps within 20 ms, a
# start within 2 s.
TIMES_EMPTY = 2.0
LONGEST_STEP = 0.020
LONGEST_START = 2.0


@dataclass
class Row:
    """What was measured beside so many sessions; times in seconds."""

    sessions: int
    page: float
    without_copy: float
    step: float
    longest_step: float
    start: float

    def cells(self) -> tuple[str, ...]:
        return (
            f"{self.sessions:,}",
            f"{min(self.sessions, MOST_FILES):,}",
            f"{self.page * 1e6:,.0f} µs",
            f"{self.without_copy * 1e6:,.0f} µs",
            f"{self.step * 1e3:.1f} ms",
            f"{self.longest_step * 1e3:.1f} ms",
            f"{self.start:.2f} s",
        )


@click.command()
@click.option("--sizes", default="100,10000,100000,1000000", show_default=True)
@click.option("--requests", default=2000, show_default=True, help="Per row.")
def main(sizes: str, requests: int) -> None:
    """Time the list page and the purge beside so many sessions."""
    rows = [_measure(int(size), requests) for size in sizes.split(",")]
    lines = [HEAD, *(row.cells() for row in rows)]
    for line in lines:
        click.echo("".join(cell.rjust(18) for cell in line))
    first = rows[0]
    page = max(row.page / first.page for row in rows)
    without_copy = max(row.without_copy / first.without_copy for row in rows)
    step = max(row.longest_step for row in rows)
    start = max(row.start for row in rows)
    bars = [
        ("page within 2 times", page <= TIMES_EMPTY, f"{page:.2f}"),
        (
            "no copy within 2 times",
            without_copy <= TIMES_EMPTY,
            f"{without_copy:.2f}",
        ),
        ("purge steps within 20 ms", step <= LONGEST_STEP, f"{step * 1e3:.1f} ms"),
        ("start within 2 s", start <= LONGEST_START, f"{start:.2f} s"),
    ]
    for bar, reached, figure in bars:
        click.echo(f"{bar}: {'reached' if reached else 'NOT reached'} ({figure})")
    sys.exit(not all(reached for _, reached, _ in bars))


def _measure(sessions: int, requests: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        app = holdfast(Path(folder))
        visit = visit_as(NAME, app, ENTRIES)
        _fill(app, sessions)
        begin = perf_counter()
        app = visit.app = holdfast(Path(folder))
        start = perf_counter() - begin
        page = visit.p95(requests)
        visit.prepare = lambda: _lose_copy(app, visit)
        without_copy = visit.p95(requests)
        steps = _time_steps(app)
    return Row(
        sessions, page, without_copy, quantiles(steps, n=20)[-1], max(steps), start
    )


def _fill(app: Flask, sessions: int) -> None:
    store = open_store(app.config["SETTINGS"].session_store, "session")
    for begin in range(0, sessions, BATCH):
        rows = [_row(number) for number in range(begin, min(begin + BATCH, sessions))]
        with app.extensions["database"].write() as db:
            db.execute(insert(SessionRecord), rows)
        if begin < MOST_FILES:
            for row in rows:
                over = row["expires_at"] < clock.now()
                store.set(row["id_hash"], {"data": {}}, timeout=-1 if over else 3600)


def _row(number: int) -> dict[str, Any]:
    began = clock.now() - timedelta(days=200 if number % 2 else 1)
    return {
        "id_hash": hash_id(f"session {number}"),
        "user_id": 1,
        "created_at": began,
        "last_seen_at": began,
        "confirmed_at": began,
        "expires_at": began + timedelta(days=30),
        "ended_at": began + timedelta(hours=1),
        "address": "127.0.0.1",
        "user_agent": "benchmark",
    }


def _lose_copy(app: Flask, visit: Visit) -> None:
    store = open_store(app.config["SETTINGS"].session_store, "session")
    store.delete(hash_id(visit.session_id))


def _time_steps(app: Flask) -> list[float]:
    upkeep: Upkeep = app.extensions["upkeep"]
    times = []
    for _ in range(STEPS):
        begin = perf_counter()
        upkeep.step()
        times.append(perf_counter() - begin)
    return times


if __name__ == "__main__":
    main()
