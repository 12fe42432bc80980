"""What people do in the fault tests: tabs of a browser, and many at the same time."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from itertools import count
from typing import TypeVar

import httpx

from tests.browser import PASSWORD
from tests.proxies import Nginx
from tests.servers import Gunicorn

T = TypeVar("T")

# What a browser connects to: the application, or a proxy before it.
Site = Gunicorn | Nginx

FORM_TOKEN = re.compile(r'name="form_token" value="(\w+)"')
# What no answer may show of the inside.
INSIDE = re.compile(
    r"Traceback|site-packages|/tmp/|\.py\b|gunicorn/\d|Python/\d|Werkzeug|sqlalchemy",
    re.IGNORECASE,
)
# Seconds: one to look at the parts, and a little for everything else.
READY_WITHIN = 1.5
STORES = {"session data", "cached values"}
_numbers = count()


def new_name() -> str:
    """Return a user name that nobody has in any of the tests."""
    return f"person-{next(_numbers)}"


class BadGateway(AssertionError):
    """A proxy in front had no answer to give."""


def check(answer: httpx.Response) -> httpx.Response:
    """Fail on an error of the server's and on an answer that shows its inside."""
    if answer.status_code == 502:
        raise BadGateway(answer.text)
    assert answer.status_code not in (500, 504), answer.text
    shown = f"{answer.headers}\n{answer.text}"
    assert not INSIDE.search(shown), shown
    return answer


def parts_down(server: Site) -> set[str]:
    """Ask whether it is ready; return the parts that are named as down."""
    answer = server.client().get("/readyz")
    assert answer.elapsed.total_seconds() < READY_WITHIN
    parts = json.loads(check(answer).text)["parts"]
    down = {name for name, part in parts.items() if not part["ok"]}
    assert answer.status_code == (503 if down else 200)
    return down


class Tab:
    """One tab of a browser. It keeps its cookie when it is told to forget it."""

    def __init__(self, server: Site, cookie: str = "", token: str = "") -> None:
        self.server = server
        self.cookie = cookie
        # For the servers that believe a proxy: everybody has an address of their own.
        number = next(_numbers)
        self._address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        self._client = _client_of(server)
        self._token = token

    def beside(self, server: Site | None = None) -> "Tab":
        """Open another tab of the same browser, maybe at another process."""
        return Tab(server or self.server, self.cookie, self._token)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._send("GET", path, {}, headers)

    def post(self, path: str, *, hold: str = "", **fields: str) -> httpx.Response:
        """Send the form of a page; redirects are not followed."""
        headers = {"Sec-Fetch-Site": "same-origin"}
        if hold:
            headers["X-Hold"] = hold
        if self.cookie:
            fields["form_token"] = self.form_token()
        return self._send("POST", path, fields, headers)

    def form_token(self) -> str:
        """Return what the forms of this session's pages have in them."""
        if not self._token:
            found = FORM_TOKEN.search(self.get("/entries/new").text)
            assert found, "not logged in"
            self._token = found[1]
        return self._token

    def sign_up(self, name: str, password: str = PASSWORD) -> "Tab":
        answer = self.post("/signup", name=name, password=password)
        assert answer.status_code == 303, answer.text
        return self

    def log_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("/login", name=name, password=password)

    def keep(self, key: str, value: str = "1", *, hold: str = "") -> httpx.Response:
        new = {"key": key, "value": value, "kind": "text"}
        return self.post("/entries/new", hold=hold, **new)

    def is_logged_in(self) -> bool:
        return self.get("/entries").status_code == 200

    def is_logged_in_as(self, name: str) -> bool:
        page = self.get("/entries")
        return page.status_code == 200 and f'title="Your account">{name}<' in page.text

    def notices(self) -> list[str]:
        """Open a page and return the messages on it."""
        page = self.get("/entries/new").text
        return re.findall(r'role="status">([^<]+)<', page)

    def _send(
        self, method: str, path: str, fields: dict[str, str], headers: dict[str, str]
    ) -> httpx.Response:
        headers = headers | {"X-Forwarded-For": self._address}
        if self.cookie:
            headers["Cookie"] = f"session={self.cookie}"
        answer = self._client.request(
            method, path, data=fields or None, headers=headers
        )
        if (new := answer.cookies.get("session")) and new != self.cookie:
            self.cookie, self._token = new, ""
        return check(answer)


@cache
def _client_of(server: Site) -> httpx.Client:
    """Return connections for all tabs: making them for each costs more than a page."""
    no_cookies = DefaultCookiePolicy(allowed_domains=[])
    return server.client(cookies=CookieJar(no_cookies))


def at_once(*actions: Callable[[], T]) -> list[T]:
    """Do all of it at the same time, each on a thread; return what each returned."""
    barrier = threading.Barrier(len(actions))

    def begin(action: Callable[[], T]) -> T:
        barrier.wait(10)
        return action()

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(begin, actions))


def wait_until(condition: Callable[[], bool], within: float, what: str) -> float:
    """Ask again and again until it is so; return how many seconds that took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < within, f"not within {within} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - start


def percentile(times: Iterable[float], part: float) -> float:
    ordered = sorted(times)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


class Timed:
    """Does something again and again on threads until it is stopped."""

    def __init__(self, *actions: Callable[[], object], pause: float = 0.01) -> None:
        self.times: list[float] = []
        self._pause = pause
        self._over = threading.Event()
        self._threads = ThreadPoolExecutor(len(actions))
        self._running = [self._threads.submit(self._repeat, each) for each in actions]

    def stop(self) -> list[float]:
        """Return how long each time took; raises what one of them raised."""
        self._over.set()
        self._threads.shutdown()
        for each in self._running:
            each.result()
        return self.times

    def __enter__(self) -> "Timed":
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _repeat(self, action: Callable[[], object]) -> None:
        while not self._over.wait(self._pause):
            start = time.monotonic()
            action()
            self.times.append(time.monotonic() - start)
