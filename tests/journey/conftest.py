"""Debian's Chromium, the application on gunicorn, and people who sit before them."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.journey.bad_days import BadDays
from tests.journey.person import PATIENCE, SIZES, Person, Watch
from tests.journey.world import World
from tests.servers import required

CHROMIUM = "/usr/bin/chromium"
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
def chromium() -> Iterator[Browser]:
    path = required(shutil.which(CHROMIUM), "Debian's package chromium")
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as playwright:
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
def person_at(chromium: Browser) -> Iterator[PersonAt]:
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
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            is_mobile=size == "phone",
            has_touch=size == "phone",
            user_agent=USER_AGENT.format(
                system=SYSTEMS[size], version=chromium.version
            ),
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
