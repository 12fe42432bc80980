"""Times the list, a page deep in it and a search beside ever more entries."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
from flask import Flask
from sqlalchemy import insert, update

from benchmarks.page import ENTRIES, NAME, empty, holdfast
from benchmarks.visits import visit_as
from webapp import clock
from webapp.entries.models import Entry, Usage

BATCH = 10_000
TEXT = "The {} of the harbour master, page {}: ring twice and wait by the blue door."
THINGS = ("log", "bill", "letter", "list", "plan", "map", "key", "rota")
HEAD = ("entries", "list", "not cached", "deep page", "search", "search, rare")


@click.command()
@click.option("--sizes", default="10,1000,10000,100000", show_default=True)
@click.option("--requests", default=200, show_default=True, help="Per figure.")
def main(sizes: str, requests: int) -> None:
    """Print the p95 of each page, in-process, beside so many entries."""
    click.echo("".join(cell.rjust(15) for cell in HEAD))
    for size in map(int, sizes.split(",")):
        times = _measure(size, requests)
        cells = [f"{size:,}", *(f"{each * 1e3:.2f} ms" for each in times)]
        click.echo("".join(cell.rjust(15) for cell in cells))


def _measure(size: int, requests: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        app = holdfast(Path(folder), max_entries=1_000_000)
        cached = visit_as(NAME, app, dict(list(ENTRIES.items())[:1]))
        _fill(app, size)
        place = unquote(urlsplit(app.config["SETTINGS"].cache_store).path)
        uncached = replace(cached, prepare=partial(empty, Path(place)))
        deep = replace(cached, path=f"/entries?before={size // 2 + 1}")
        search = replace(cached, path="/entries?q=harbour")
        rare = replace(cached, path="/entries?q=page+7%3A")
        # Searching reads everything the person has, each time.
        few = max(10, requests * 100 // max(size, 100))
        return [
            cached.p95(requests),
            uncached.p95(requests),
            deep.p95(requests),
            search.p95(few),
            rare.p95(few),
        ]


def _fill(app: Flask, size: int) -> None:
    now = clock.now()
    with app.extensions["database"].write() as db:
        for begin in range(1, size, BATCH):
            numbers = range(begin, min(begin + BATCH, size))
            db.execute(insert(Entry), [_row(number, now) for number in numbers])
        db.execute(update(Usage).values(entries=size, size=150 * size, version=size))


def _row(number: int, now: object) -> dict[str, object]:
    value = TEXT.format(THINGS[number % len(THINGS)], number)
    key = f"paper {number:06}"
    times = {"created_at": now, "updated_at": now}
    sizes = {"size": len(key) + len(value), "version": number}
    return {"user_id": 1, "key": key, "kind": "text", "value": value} | sizes | times


if __name__ == "__main__":
    main()
