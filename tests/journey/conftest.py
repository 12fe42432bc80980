"""Debian's Chromium, the application on gunicorn, and people who sit before them."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.journey.bad_days import BadDays
from tests.journey.person import PATIENCE, SIZES, Person, Watch
from tests.journey.world import World
from tests.servers import required

CHROMIUM = "/usr/bin/chromium"
# The same without what is around a page. It draws the same in half the time.
SHELL = "/usr/bin/chromium-headless-shell"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Not a word of its being headless, so that it is called what people call theirs.
SYSTEMS = {"phone": "Linux; Android 16; Pixel 9", "desktop": "X11; Linux x86_64"}
USER_AGENT = (
    "Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/{version} Safari/537.36"
)

PersonAt = Callable[..., Person]


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with launched(playwright, shutil.which(SHELL) or CHROMIUM) as browser:
        yield browser


@contextmanager
def launched(playwright: Playwright, program: str) -> Iterator[Browser]:
    path = required(shutil.which(program), "Debian's package chromium")
    browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world"))
    yield world
    world.server.close()


@pytest.fixture(scope="session")
def bad_days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadDays]:
    bad_days = BadDays(tmp_path_factory.mktemp("bad-days"))
    yield bad_days
    bad_days.server.close()


@pytest.fixture
def person_at(browser: Browser) -> Iterator[PersonAt]:
    """Give somebody a browser of their own; at the end none of them has complained."""
    watches = []

    def sit_down(
        url: str,
        name: str,
        size: str = "desktop",
        *,
        javascript: bool = True,
        **options: Any,
    ) -> Person:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            is_mobile=size == "phone",
            has_touch=size == "phone",
            user_agent=USER_AGENT.format(system=SYSTEMS[size], version=browser.version),
            java_script_enabled=javascript,
            reduced_motion="reduce",
            **options,
        )
        watch = Watch(context)
        watches.append((context, watch))
        return Person(context, watch, url, name)

    yield sit_down
    for context, watch in watches:
        context.close()
        assert watch.all() == []
