"""Requests per second of the logged-in list through real servers, beside its peers.

One process and one core for the server, another core for the clients: eight
connections that are kept alive, by wrk. Rows take turns, so that a busy moment of the
machine meets all of them.
"""

import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median

import click

from benchmarks.page import ENTRIES, NAME
from benchmarks.sites import (
    EXPRESS,
    OWN,
    THREADS,
    Site,
    check,
    express,
    gunicorn,
    log_in,
    seeded,
    sign_up,
    time_posts,
)
from benchmarks.wrk import load
from tests.browser import PASSWORD
from tests.servers import Redis

CONNECTIONS = 8
BARE_VIEW, FILES, REDIS = "bare Flask view", "Holdfast, files", "Holdfast, Redis"
TOKENS = ("form_token", "csrf_token", "csrfmiddlewaretoken")
_numbers = count()


@dataclass
class Row:
    """A site that is up, with somebody logged in, and what was measured of it."""

    site: Site
    cookie: str
    rates: list[float] = field(default_factory=list)
    p99s: list[float] = field(default_factory=list)
    log_ins: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return median(self.rates)


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=3, show_default=True, help="Per row and round.")
def main(rounds: int, seconds: int) -> None:
    """Measure the page, a log-in and a write of every peer; say which bars hold."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        (Path(folder) / "redis").mkdir()
        redis = Redis(Path(folder) / "redis").start()
        stack.callback(redis.kill)
        rows = _start(Path(folder), redis.url, stack)
        for number in range(rounds):
            for row in rows[number % len(rows) :] + rows[: number % len(rows)]:
                _load(row, seconds)
                if number < 3 and "bare" not in row.site.name:
                    _post(row)
    _print(rows)
    sys.exit(not _reaches_bars({row.site.name: row.rate for row in rows}))


def _start(folder: Path, redis_url: str, stack: ExitStack) -> list[Row]:
    """Start every site, one after the other; what cannot be had is said."""
    rows: list[Row] = []
    numbers = count()

    def add(
        name: str, command: list[str], enter: Callable[[Site], str], **env: str
    ) -> bytes:
        site = Site(name, folder / str(next(numbers)), command, **env)
        site.start()
        stack.callback(site.kill)
        cookie = enter(site)
        rows.append(Row(site, cookie))
        return check(site, cookie, NAME, dict(ENTRIES)) if cookie else b""

    def by_forms(site: Site) -> str:
        return sign_up(site, NAME, ENTRIES)

    def by_seed(site: Site) -> str:
        return log_in(site, NAME)

    own = [sys.executable, "-m", "gunicorn", "--config", OWN]
    data = {"DATA_DIR": str(folder / "own")}
    page = add(FILES, own, by_forms, **data)
    data = {"DATA_DIR": str(folder / "own-redis"), "REDIS_URL": f"{redis_url[:-1]}1"}
    add(REDIS, own, by_forms, **data)
    (folder / "page.html").write_bytes(page)
    same = ["--worker-class", "gevent", "--keep-alive", "75"]
    for name, app in (("bare WSGI", "wsgi"), (BARE_VIEW, "flask")):
        command = gunicorn(f"benchmarks.peers.bare:{app}", *same)
        add(name, command, lambda _: "", PAGE=str(folder / "page.html"))
    _add_tutorial(add, by_forms, f"{redis_url[:-1]}2")
    _add_django(add, by_seed, f"{redis_url[:-1]}3")
    if not (EXPRESS / "node_modules").is_dir():
        click.echo("Express: not run: no node, or it could not be installed")
        return rows
    for name, url in (("memory", ""), ("Redis", f"{redis_url[:-1]}4")):
        command, env = express(url, **seeded(NAME, ENTRIES))
        add(f"Express, {name}", command, by_seed, **env)
    return rows


def _add_tutorial(add: Callable[..., bytes], enter: object, redis_url: str) -> None:
    command = gunicorn("benchmarks.peers.tutorial_site:app", *THREADS)
    add("tutorial stack, cookie", command, enter)
    add("tutorial stack, files", command, enter, SESSIONS="files")
    add("tutorial stack, Redis", command, enter, REDIS_URL=redis_url)


def _add_django(add: Callable[..., bytes], enter: object, redis_url: str) -> None:
    command = gunicorn("benchmarks.peers.django_site.wsgi", *THREADS)
    for name, engine in (
        ("cookie", "signed_cookies"),
        ("files", "file"),
        ("cached_db on Redis", "cached_db"),
    ):
        env = {"SESSIONS": engine, "REDIS_URL": redis_url}
        add(f"Django, {name}", command, enter, **env, **seeded(NAME, ENTRIES))


def _load(row: Row, seconds: int) -> None:
    cookie = ("--header", f"Cookie: {row.cookie}")
    measured = load(f"{row.site.url}/entries", seconds, CONNECTIONS, *cookie)
    row.rates.append(measured.rate)
    row.p99s.append(measured.p99)


def _post(row: Row) -> None:
    """Time a log-in and a write as the forms send them, their tokens asked before."""

    def credentials(_number: int) -> dict[str, str]:
        return token | {"name": NAME, "username": NAME, "password": PASSWORD}

    def entry(_number: int) -> dict[str, str]:
        key = f"written {next(_numbers)}"
        return token | {"key": key, "value": "written", "kind": "text"}

    token, cookie = _token(row.site, "/login", "")
    row.log_ins.append(time_posts(row.site, cookie, "/login", credentials, 5))
    token, _ = _token(row.site, "/entries/new", row.cookie)
    row.writes.append(time_posts(row.site, row.cookie, "/entries/new", entry, 20))


def _token(site: Site, path: str, cookie: str) -> tuple[dict[str, str], str]:
    with site.client() as client:
        page = client.get(path, headers={"Cookie": cookie} if cookie else {})
        named = re.search(
            rf'name="({"|".join(TOKENS)})"[^>]*value="([^"]+)"', page.text
        )
        pairs = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    return ({named[1]: named[2]} if named else {}), pairs


def _print(rows: list[Row]) -> None:
    best = next(row.rate for row in rows if row.site.name == BARE_VIEW)
    own = next(row.rate for row in rows if row.site.name == FILES)
    click.echo(
        f"{'GET /entries, logged in, 20 entries':36}{'per s':>8}{'of bare':>9}"
        f"{'Holdfast is':>13}{'p99 ms':>8}{'log-in ms':>11}{'write ms':>10}"
    )
    for row in rows:
        cells = f"{row.rate:8,.0f}{row.rate / best:9.2f}{own / row.rate:12.2f}x"
        cells += f"{median(row.p99s):8.1f}"
        if row.log_ins:
            cells += f"{median(row.log_ins) * 1000:11.1f}"
            cells += f"{median(row.writes) * 1000:10.1f}"
        click.echo(f"{row.site.name:36}{cells}")


def _reaches_bars(rates: dict[str, float]) -> bool:
    bars = [(f"{FILES}: at least 0.6 of the bare view", FILES, BARE_VIEW, 0.6)]
    for own, store in ((FILES, "files"), (REDIS, "Redis")):
        for peer in rates:
            if peer.startswith("Express"):
                bars.append((f"{own}: ahead of {peer}", own, peer, 1.0))
            elif peer.endswith(store) and not peer.startswith("Holdfast"):
                times = 5.0 if peer.startswith("tutorial") else 4.0
                bars.append((f"{own}: {times:g} times {peer}", own, peer, times))
    held = [rates[own] / rates[peer] >= times for _, own, peer, times in bars]
    click.echo()
    for (bar, own, peer, _), holds in zip(bars, held, strict=True):
        verdict = "reached" if holds else "NOT reached"
        click.echo(f"  {bar}: {verdict} ({rates[own] / rates[peer]:.2f})")
    return all(held)


if __name__ == "__main__":
    main()
