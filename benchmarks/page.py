"""Times the logged-in list of 20 entries: Holdfast, a bare view, the tutorial stack.

In one process and without a server, so that what differs is the applications.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import redis
from flask import Flask
from lxml import html

from benchmarks.peers import tutorial
from benchmarks.rounds import Row, print_table, run_rounds
from benchmarks.visits import Visit, WrongAnswer, visit_as
from config.settings import Settings, load_settings
from webapp import create_app

NAME = "benchmark"
VALUES = {
    "text": "Ring twice & wait by the blue door; the spare key is with the "
    "neighbour, who is in after six. If nobody answers, try the side gate instead.",
    "json": '{"host": "db.example", "port": 5432, "tags": ["primary", "nightly"]}',
}
ENTRIES = {
    f"note {number:02} of the harbour": (kind, VALUES[kind])
    for number in range(1, 21)
    for kind in ["json" if number % 4 == 0 else "text"]
}
TIMES_TUTORIAL = 6.0
# 200 µs where the bare view takes 40.
TIMES_BARE = 5.0


@click.command()
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(1))
@click.option("--requests", default=200, show_default=True, help="Per row and round.")
@click.option("--redis", "redis_url", help="An empty database; default: REDIS_URL.")
def main(rounds: int, requests: int, redis_url: str | None) -> None:
    """Time the logged-in list page and say whether its bars are reached."""
    redis_url = redis_url or load_settings().redis_url
    with tempfile.TemporaryDirectory() as folder, _using(redis_url):
        rows = _make_rows(Path(folder), redis_url)
        bare, cached, *_, peer = rows
        _check(rows, bare)
        run_rounds(rows, rounds, requests)
        _check(rows, bare)
    click.echo(
        f"GET /entries, logged in, {len(ENTRIES)} entries, in-process: "
        f"medians of {rounds} rounds of {requests} requests\n"
    )
    print_table(rows, bare, peer)
    sys.exit(not _reaches_bars(cached, bare, peer))


def _make_rows(folder: Path, redis_url: str | None) -> list[Row]:
    cached = visit_as(NAME, holdfast(folder / "cached"), ENTRIES)
    uncached = visit_as(NAME, holdfast(folder / "uncached"), ENTRIES)
    cache = uncached.app.config["SETTINGS"].cache_store
    uncached.prepare = partial(empty, Path(unquote(urlsplit(cache).path)))
    on_redis = None
    if redis_url:
        app = holdfast(folder / "redis", redis_url=redis_url)
        on_redis = visit_as(NAME, app, ENTRIES)
    return [
        Row("bare Flask view, a ready string", Visit(_bare_view(cached.ask().body))),
        Row("Holdfast, files", cached),
        Row("Holdfast, files, cache emptied before each", uncached),
        Row("Holdfast, Redis", on_redis, "no --redis and no REDIS_URL"),
        Row("tutorial stack", visit_as(NAME, tutorial.create_app(folder), ENTRIES)),
    ]


def holdfast(folder: Path, **given: Any) -> Flask:
    """Build Holdfast as it is deployed, whatever the environment has set."""
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    # Passwords are only needed before anything is timed.
    cheap = {"password_memory_kib": 8, "password_rounds": 1}
    return create_app(load_settings(**defaults | cheap | {"data_dir": folder} | given))


def _bare_view(page: bytes) -> Flask:
    app, text = Flask("bare"), page.decode()
    app.add_url_rule("/entries", view_func=lambda: text)
    return app


@contextmanager
def _using(redis_url: str | None) -> Iterator[None]:
    """Leave the database as empty as it was; another's keys are not ours to touch."""
    if not redis_url:
        yield
        return
    with redis.Redis.from_url(redis_url) as client:
        if client.dbsize():
            raise click.ClickException("The Redis database is not empty; give another.")
        try:
            yield
        finally:
            for key in client.scan_iter("holdfast:*"):
                client.delete(key)


def empty(folder: Path) -> None:
    """Remove every cached value; the page then computes its list and keeps it anew."""
    for file in folder.iterdir():
        if not file.name.startswith("."):
            file.unlink()


def _check(rows: list[Row], bare: Row) -> None:
    """Raise WrongAnswer for a row whose page is not the logged-in list."""
    for row in rows:
        if not row.visit:
            continue
        answer = row.visit.ask()
        page = html.document_fromstring(answer.body.decode())
        linked = {link.text_content() for link in page.iter("a") if link.get("href")}
        names = page.xpath("//*[@class='who']/text()")
        if answer.status != "200 OK" or names != [NAME] or not linked >= set(ENTRIES):
            raise WrongAnswer(f"{row.name}: {answer.status}, {names}, {sorted(linked)}")
        if row is not bare and "Set-Cookie" in answer.headers:
            raise WrongAnswer(f"{row.name}: every page sets a cookie again")


def _reaches_bars(row: Row, bare: Row, peer: Row) -> bool:
    faster = peer.microseconds / row.microseconds
    slower = row.microseconds / bare.microseconds
    bars = [
        (
            f"at least {TIMES_TUTORIAL:g} times faster than the tutorial stack",
            faster >= TIMES_TUTORIAL,
            f"{faster:.2f}",
        ),
        (
            f"at most {TIMES_BARE:g} times the bare view "
            f"({TIMES_BARE * 40:g} µs where the bare view takes 40)",
            slower <= TIMES_BARE,
            f"{slower:.2f}, {slower * 40:.0f} µs",
        ),
    ]
    click.echo(f"\n{row.name}:")
    for bar, reached, figure in bars:
        click.echo(f"  {bar}: {'reached' if reached else 'NOT reached'} ({figure})")
    return all(reached for _, reached, _ in bars)


if __name__ == "__main__":
    main()
