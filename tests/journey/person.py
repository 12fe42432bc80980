"""A person at Debian's Chromium: presses what they see, and looks what comes of it.

As `tests/browser.py`, for what only a browser knows: layout, colours, its console.
"""

import re
import time
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Download,
    Page,
    Request,
    Response,
    expect,
)

from tests.browser import PASSWORD

SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
# Seconds that a page may take on a machine that is busy.
PATIENCE = 10
# What Chromium says in its console of each page that has a status of 400 and more.
REFUSED = "Failed to load resource: the server responded with a status of"
ABORTED = "net::ERR_ABORTED"
# While a server is started anew, pages that are open ask for news in vain.
AWAY = (
    *("net::ERR_CONNECTION_REFUSED", "net::ERR_CONNECTION_RESET"),
    *("net::ERR_INCOMPLETE_CHUNKED_ENCODING", "net::ERR_EMPTY_RESPONSE"),
    "net::ERR_INTERNET_DISCONNECTED",
)
# How a page that is open asks for them.
FOLLOWING = ("eventsource", "fetch")


class Watch:
    """Notes whatever the browser complains of, on each page of a context."""

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        self.downloads: list[Download] = []
        self._aborted: Counter[str] = Counter()
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("requestfailed", self._note_failure)
        context.on("response", self._look)
        context.on("page", lambda page: page.on("download", self._take))

    def all(self) -> list[str]:
        """Return them at the end; that a page became a download is none."""
        files = Counter(download.url for download in self.downloads)
        return self.complaints + [f"aborted {url}" for url in self._aborted - files]

    def _hear(self, message: ConsoleMessage) -> None:
        # What was refused is looked at as an answer, which tells a page from its parts.
        is_bad = message.type in ("error", "warning")
        is_known = message.text.endswith(AWAY) or REFUSED in message.text
        if is_bad and not is_known:
            self.complaints.append(message.text)

    def _take(self, download: Download) -> None:
        self.downloads.append(download)

    def _note_failure(self, request: Request) -> None:
        if request.failure in AWAY and request.resource_type in FOLLOWING:
            pass
        elif request.failure != ABORTED:
            self.complaints.append(f"{request.url}: {request.failure}")
        elif request.is_navigation_request():
            self._aborted[request.url] += 1
        # Else somebody left a page that was still asking for something.

    def _look(self, answer: Response) -> None:
        is_page = answer.request.is_navigation_request()
        # The page of an entry asks whether it is still there.
        is_gone = answer.status == HTTPStatus.NOT_FOUND and "/entries/" in answer.url
        if is_gone and answer.request.resource_type == "fetch":
            return
        if answer.status >= HTTPStatus.BAD_REQUEST and not is_page:
            self.complaints.append(f"{answer.url}: {answer.status}")


class Person:
    """One tab of one browser; `name` is who they are."""

    def __init__(
        self, context: BrowserContext, watch: Watch, url: str, name: str
    ) -> None:
        self.context = context
        self.watch = watch
        self.url = url
        self.name = name
        self.password = PASSWORD
        self.page = self._new_page()
        self.answer: Response | None = None
        self._coming: Response | None = None
        self.page.on("response", self._await)
        self.page.on("domcontentloaded", self._remember)

    def tab(self) -> "Person":
        """Open another tab of the same browser."""
        return Person(self.context, self.watch, self.url, self.name)

    def open(self, path: str) -> Self:
        self.page.goto(f"{self.url}{path}")
        return self

    def fill(self, **values: str) -> Self:
        """Write into fields by their label, whose words are joined by underscores."""
        for label, value in values.items():
            field = self.page.get_by_label(label.replace("_", " "), exact=True)
            field.fill(value)
        return self

    def choose(self, label: str) -> Self:
        self.page.get_by_label(label, exact=True).check()
        return self

    def press(self, name: str, *, within: str = "main") -> Self:
        """Press the button or follow the link that is called so, there."""
        roles: dict[str, Any] = {"bar": "banner", "news": "complementary"}
        place = self.page.get_by_role(roles.get(within, "main"))
        button = place.get_by_role("button", name=name, exact=True)
        button.or_(place.get_by_role("link", name=name, exact=True)).click()
        return self

    def arrives(
        self, heading: str | re.Pattern[str], *texts: str, status: int = HTTPStatus.OK
    ) -> Self:
        """Wait for the page with this heading and these texts, with nothing wrong."""
        expect(self.page.locator("h1")).to_have_text(heading)
        self.page.wait_for_load_state("domcontentloaded")
        for text in texts:
            expect(self.page.locator("body")).to_contain_text(text)
        self._wait_for(status)
        assert self.overflow() <= 0, f"{heading} is wider than the screen"
        assert not self.watch.complaints, f"{heading}: {self.watch.complaints}"
        return self

    def resize(self, size: str) -> None:
        width, height = SIZES[size]
        self.page.set_viewport_size({"width": width, "height": height})

    def take_picture(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=file, full_page=True)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than what shows it."""
        size = self.page.viewport_size
        assert size
        width = self.page.evaluate("document.documentElement.scrollWidth")
        return int(width) - size["width"]

    @property
    def status(self) -> int:
        assert self.answer
        return self.answer.status

    @property
    def source(self) -> str:
        """The page in hand as the server sent it."""
        assert self.answer
        return self.answer.text()

    @property
    def title(self) -> str:
        return self.page.locator("h1").inner_text()

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    def log_in(self) -> Self:
        self.open("/login").fill(User_name=self.name, Password=self.password)
        return self.press("Log in").arrives("Your entries")

    def keep(self, key: str, value: str) -> Self:
        self.open("/entries/new").fill(Key=key, Value=value)
        return self.press("Save").arrives(key, "Saved.")

    def _new_page(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        return page

    def _wait_for(self, status: int) -> None:
        """Wait for its answer: a form that is shown again has the same heading."""
        deadline = time.monotonic() + PATIENCE
        while self.status != status:
            assert time.monotonic() < deadline, f"{self.path}: {self.status}"
            self.page.wait_for_timeout(20)

    def _await(self, answer: Response) -> None:
        is_page = answer.request.is_navigation_request()
        is_redirect = answer.status in (HTTPStatus.FOUND, HTTPStatus.SEE_OTHER)
        is_file = "attachment" in answer.headers.get("content-disposition", "")
        if is_page and not is_redirect and not is_file:
            self._coming = answer

    def _remember(self, _page: Page) -> None:
        # Until then the page before it is on the screen.
        self.answer = self._coming
