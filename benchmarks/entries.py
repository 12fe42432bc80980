"""Times the list, a page deep in it and a search beside ever more entries."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import click
from flask import Flask
from sqlalchemy import delete, func, insert, select, text, update

from benchmarks.page import ENTRIES, NAME, empty, holdfast
from benchmarks.visits import visit_as
from webapp import clock
from webapp.accounts.models import User
from webapp.entries.models import Entry, Usage

BATCH = 10_000
TEXT = "The {} of the harbour master, page {}: ring twice and wait by the blue door."
THINGS = ("log", "bill", "letter", "list", "plan", "map", "key", "rota")
SEARCHES = {
    "all": "harbour",
    "one": "page 7:",
    "none": "zebra",
    "short": "qz",  # None, and PostgreSQL has no index for so little.
}
HEAD = ("entries", "list", "not cached", "deep page", *SEARCHES)


@click.command()
@click.option("--sizes", default="10,1000,10000,100000", show_default=True)
@click.option("--requests", default=200, show_default=True, help="Per figure.")
@click.option("--database-url", help="A database whose users may be deleted.")
def main(sizes: str, requests: int, database_url: str | None) -> None:
    """Print the p95 of each page, in-process, beside so many entries.

    Somebody else has as many, all of them newer.
    """
    click.echo("".join(cell.rjust(12) for cell in HEAD))
    for size in map(int, sizes.split(",")):
        times = _measure(size, requests, database_url)
        cells = [f"{size:,}", *(f"{each * 1e3:.2f} ms" for each in times)]
        click.echo("".join(cell.rjust(12) for cell in cells))


def _measure(size: int, requests: int, database_url: str | None) -> list[float]:
    more: dict[str, Any] = {"database_url": database_url} if database_url else {}
    with tempfile.TemporaryDirectory() as folder:
        app = holdfast(Path(folder), max_entries=1_000_000, **more)
        with app.extensions["database"].write() as db:
            db.execute(delete(User))
        cached = visit_as(NAME, app, dict(list(ENTRIES.items())[:1]))
        visit_as("neighbour", app, {})
        _fill(app, size)
        place = unquote(urlsplit(app.config["SETTINGS"].cache_store).path)
        uncached = replace(cached, prepare=partial(empty, Path(place)))
        half = _middle(app)
        visits = [cached, uncached, replace(cached, path=f"/entries?before={half}")]
        visits += [
            replace(cached, path=f"/entries?{urlencode({'q': words})}")
            for words in SEARCHES.values()
        ]
        return [visit.p95(requests) for visit in visits]


def _fill(app: Flask, size: int) -> None:
    now = clock.now()
    database = app.extensions["database"]
    with database.write() as db:
        for user_id in db.scalars(select(User.id).order_by(User.id)).all():
            for begin in range(1, size, BATCH):
                numbers = range(begin, min(begin + BATCH, size))
                rows = [_row(user_id, number, now) for number in numbers]
                db.execute(insert(Entry), rows)
        db.execute(update(Usage).values(entries=size, size=150 * size, version=size))
    if database.engine.dialect.name == "postgresql":
        with database.write() as db:
            db.execute(text("ANALYZE"))  # Its autovacuum would within a minute.


def _middle(app: Flask) -> int:
    """Return the ID in the middle of what the first person has."""
    of_first = select(func.min(Entry.user_id)).scalar_subquery()
    ends = select(func.min(Entry.id) + func.max(Entry.id)).where(
        Entry.user_id == of_first
    )
    with app.extensions["database"].read() as db:
        return int(db.scalar(ends)) // 2 + 1


def _row(user_id: int, number: int, now: object) -> dict[str, object]:
    value = TEXT.format(THINGS[number % len(THINGS)], number)
    key = f"paper {number:06}"
    times = {"created_at": now, "updated_at": now}
    sizes = {"size": len(key) + len(value), "version": number}
    return {"user_id": user_id, "key": key, "kind": "text", "value": value} | (
        sizes | times
    )


if __name__ == "__main__":
    main()
