"""Holdfast and its peers as servers: one process each, on a core of its own."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import httpx
from lxml import html

from benchmarks.visits import HEADERS, WrongAnswer
from tests.browser import PASSWORD, Browser
from tests.servers import ROOT, Process

SERVER_CORE, CLIENT_CORE = 0, 1
EXPRESS = ROOT / "benchmarks" / "peers" / "express"
# What their documentation advises for requests that wait: threads. Their answers are
# computed under one lock either way.
THREADS = ["--worker-class", "gthread", "--threads", "8", "--keep-alive", "75"]
OWN = str(ROOT / "gunicorn.conf.py")
DEFAULTS = str(ROOT / "benchmarks" / "peers" / "gunicorn_defaults.py")


class Site(Process):
    """One peer; `log_in` gives the cookie of a person who has the entries."""

    def __init__(self, name: str, folder: Path, command: list[str], **env: str) -> None:
        folder.mkdir()
        super().__init__(folder)
        self.name = name
        self.folder = folder
        self._command = command
        self._env = env

    def command(self) -> list[str]:
        words = (word.replace("PORT", str(self.port)) for word in self._command)
        return ["taskset", "--cpu-list", str(SERVER_CORE), *words]

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH",)}  # noqa: TID251
        own = {"PORT": str(self.port), "FOLDER": str(self.folder)}
        return kept | own | {"PYTHONPATH": str(ROOT)} | self._env

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/login").status_code in (200, 404)
        return False

    def client(self) -> httpx.Client:
        headers = HEADERS
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)


def gunicorn(app: str, *options: str) -> list[str]:
    command = [sys.executable, "-m", "gunicorn", "--config", DEFAULTS, *options]
    return [*command, "--bind", "127.0.0.1:PORT", "--workers", "1", app]


def seeded(name: str, entries: dict[str, tuple[str, str]]) -> dict[str, str]:
    given = {"name": name, "password": PASSWORD, "entries": entries}
    return {"SEED": json.dumps(given)}


def express(redis_url: str = "", **seed: str) -> tuple[list[str], dict[str, str]]:
    node = shutil.which("node") or "node"
    env = {"NODE_ENV": "production"} | seed
    return [node, str(EXPRESS / "server.js")], env | (
        {"REDIS_URL": redis_url} if redis_url else {}
    )


def sign_up(site: Site, name: str, entries: dict[str, tuple[str, str]]) -> str:
    """Sign up and keep the entries through the site's own forms."""
    browser = Browser(site.client(), name).sign_up()
    for key, (kind, value) in entries.items():
        browser.keep(key, value, kind)
    browser.open("/entries")
    return cookie_of(browser)


def log_in(site: Site, name: str) -> str:
    """Log in to a site that was seeded."""
    browser = Browser(site.client(), name).open("/login")
    fields = set(browser.tree.forms[-1].fields.keys())
    field = "username" if "username" in fields else "name"
    browser.send(**{field: name, "password": PASSWORD})
    browser.open("/entries")
    return cookie_of(browser)


def cookie_of(browser: Browser) -> str:
    return str(browser.page.request.headers["Cookie"])


def check(site: Site, cookie: str, name: str, entries: dict[str, object]) -> bytes:
    """Return the page; raises WrongAnswer when it is not the logged-in list."""
    with site.client() as client:
        answer = client.get("/entries", headers={"Cookie": cookie})
    page = html.document_fromstring(answer.text)
    linked = {link.text_content() for link in page.iter("a") if link.get("href")}
    names = page.xpath("//*[@class='who']/text()")
    if answer.status_code != 200 or names != [name] or not linked >= set(entries):
        raise WrongAnswer(f"{site.name}: {answer.status_code}, {names}, {linked}")
    return answer.content


def time_posts(
    site: Site, cookie: str, path: str, fields: Callable[[int], dict[str, str]], n: int
) -> float:
    """Return the median seconds of that many forms, sent one after the other."""
    took = []
    with site.client() as client:
        for number in range(n):
            body = urlencode(fields(number))
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            if cookie:
                headers["Cookie"] = cookie
            begin = time.perf_counter()
            answer = client.post(path, content=body, headers=headers)
            took.append(time.perf_counter() - begin)
            if answer.status_code not in (302, 303):
                raise WrongAnswer(f"{site.name} {path}: {answer.status_code}")
    return median(took)
