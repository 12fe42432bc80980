"""What one worker carries: a mixture of requests, ever more at once, and its memory.

`mixture.lua` says what twenty people ask for. The server has a core, wrk another.
"""

import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from lxml import html

from benchmarks.page import VALUES
from benchmarks.sites import OWN, Site, sign_up
from benchmarks.visits import WrongAnswer
from benchmarks.wrk import Load, load
from tests.servers import ROOT, Redis

PEOPLE = 20
ENTRIES = {f"note-{number:02}": ("text", VALUES["text"]) for number in range(1, 21)}
PAGE_SIZE = resource.getpagesize()
MIXTURE = ROOT / "benchmarks" / "mixture.lua"
# The bars: an answer within 100 ms, and memory in MB after all requests.
LONGEST = 100.0
MOST_MEMORY = 90.0
MOST_GROWTH = 1.0


@click.command()
@click.option("--connections", default="1,8,32,64,128,256", show_default=True)
@click.option("--seconds", default=5, show_default=True, help="Per row.")
@click.option("--requests", default=100_000, show_default=True, help="For the memory.")
@click.option("--redis", "on_redis", is_flag=True, help="Sessions and cache on Redis.")
def main(connections: str, seconds: int, requests: int, on_redis: bool) -> None:
    """Ask ever more at once, then on and on, and say what the worker carried."""
    with tempfile.TemporaryDirectory() as folder, _site(Path(folder), on_redis) as site:
        at_start = _memory(site)
        people = _sign_up(site)
        click.echo(f"{'connections':>12}{'per s':>9}{'p99 ms':>9}")
        best = 0.0
        for number in map(int, connections.split(",")):
            measured = _ask(site, people, number, seconds)
            click.echo(f"{number:12}{measured.rate:9,.0f}{measured.p99:9.1f}")
            if measured.p99 < LONGEST:
                best = max(best, measured.rate)
        click.echo(f"\n{best:,.0f} requests per second with a p99 under 100 ms")
        _check(site, people)
        halves = [_go_on(site, people, requests // 2) for _ in range(2)]
    growth = halves[1] - halves[0]
    click.echo(
        f"Memory of the worker: {at_start:.1f} MB at the start, {halves[0]:.1f} after "
        f"{requests // 2:,} requests, {halves[1]:.1f} after {requests:,}"
    )
    holds = halves[1] < MOST_MEMORY and growth <= MOST_GROWTH
    verdict = "reached" if holds else "NOT reached"
    click.echo(f"Under {MOST_MEMORY:g} MB, flat over the last half: {verdict}")
    sys.exit(not holds)


@contextmanager
def _site(folder: Path, on_redis: bool) -> Iterator[Site]:
    with ExitStack() as stack:
        settings = {"DATA_DIR": str(folder / "data")}
        if on_redis:
            (folder / "redis").mkdir()
            redis = Redis(folder / "redis").start()
            stack.callback(redis.kill)
            settings["REDIS_URL"] = redis.url
        command = [sys.executable, "-m", "gunicorn", "--config", OWN]
        site = Site("Holdfast", folder / "site", command, **settings)
        stack.callback(site.kill)
        yield site.start()


def _sign_up(site: Site) -> str:
    """Let people sign up and keep entries; return the lines that mixture.lua reads."""
    lines = []
    for number in range(PEOPLE):
        cookie = sign_up(site, f"person-{number}", ENTRIES)
        with site.client() as client:
            page = client.get("/entries/new", headers={"Cookie": cookie}).text
        token = html.document_fromstring(page).xpath("//input[@name='form_token']")[0]
        lines.append(f"{cookie}\t{token.get('value')}\n")
    return "".join(lines)


def _check(site: Site, people: str) -> None:
    """Raise WrongAnswer when the first person did not write while wrk asked."""
    cookie = people.split("\t", maxsplit=1)[0]
    with site.client() as client:
        page = client.get("/entries?q=w-", headers={"Cookie": cookie})
    if page.status_code != 200 or "w-" not in html.document_fromstring(page.text).xpath(
        "string(//table)"
    ):
        raise WrongAnswer(f"{page.status_code}: nothing was written")


def _go_on(site: Site, people: str, requests: int) -> float:
    """Ask that often, then return the worker's memory."""
    left = requests
    while left > 0:
        left -= _ask(site, people, 8, 10).requests
    return _memory(site)


def _ask(site: Site, people: str, connections: int, seconds: int) -> Load:
    script = ("--script", str(MIXTURE))
    return load(site.url, seconds, connections, *script, PEOPLE=people)


def _memory(site: Site) -> float:
    """Return what the worker has resident, in MB."""
    pages = int(Path(f"/proc/{max(site.processes())}/statm").read_text().split()[1])
    return pages * PAGE_SIZE / 1e6


if __name__ == "__main__":
    main()
