"""One page of one application, asked for again and again as a WSGI server would.

What is timed is the application alone, from its call to its close(); what the server
does, such as reading the request and writing the answer, is the same for everybody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from statistics import quantiles
from time import perf_counter
from typing import Any

from flask import Flask
from werkzeug.test import create_environ

from tests.browser import Browser

# Flask-Login ties a session to it, so it is sent at log-in as well.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.8,de;q=0.5",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Connection": "keep-alive",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
}


class WrongAnswer(Exception):
    """What was to be timed is not the page it should be."""


@dataclass
class Answer:
    """What the application gave back; `seconds` is how long it took."""

    seconds: float
    status: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Visit:
    """A GET of the list; `prepare` is called before each one and is not timed."""

    app: Flask
    cookie: str = ""
    prepare: Callable[[], object] | None = None
    path: str = "/entries"

    def __post_init__(self) -> None:
        headers = HEADERS | {"Cookie": self.cookie}
        self._environ = create_environ(
            self.path, environ_base={"REMOTE_ADDR": "127.0.0.1"}, headers=headers
        )

    @property
    def session_id(self) -> str:
        return SimpleCookie(self.cookie)["session"].value

    def ask(self) -> Answer:
        """Ask once, read the whole body and close it."""
        if self.prepare:
            self.prepare()
        environ = self._environ.copy()
        given: list[Any] = []

        def start_response(*status_and_headers: Any) -> Any:
            given.extend(status_and_headers)

        begin = perf_counter()
        parts: Any = self.app(environ, start_response)
        try:
            body = b"".join(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        seconds = perf_counter() - begin
        return Answer(seconds, given[0], dict(given[1]), body)

    def p95(self, requests: int) -> float:
        """Return the seconds that 95 of 100 requests stay under."""
        self.time(requests // 20 + 1)
        return quantiles([self.ask().seconds for _ in range(requests)], n=20)[-1]

    def time(self, requests: int) -> float:
        """Return the mean seconds of that many requests."""
        total = 0.0
        for _ in range(requests):
            answer = self.ask()
            if answer.status != "200 OK":
                raise WrongAnswer(f"{answer.status} while being timed")
            total += answer.seconds
        return total / requests


def visit_as(name: str, app: Flask, entries: dict[str, tuple[str, str]]) -> Visit:
    """Sign up and keep the entries through the application's own forms."""
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = USER_AGENT
    browser = Browser(client, name).sign_up()
    for key, (kind, value) in entries.items():
        browser.keep(key, value, kind)
        if browser.status != 200:
            raise WrongAnswer(f"Keeping {key} was answered by {browser.status}")
    # Shows the last notice, which the page that is timed does not have.
    browser.open("/entries")
    return Visit(app, cookie=browser.page.request.headers["Cookie"])
