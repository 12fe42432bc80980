"""Browsers are named in words, and naming a strange one holds nobody up."""

import threading
from collections.abc import Iterator

import gevent
import pytest

from tests.sessions.test_pages import LINUX, PHONE
from webapp import pace
from webapp.sessions import devices
from webapp.sessions.devices import Parsers, describe_device

KHTML = "AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = f"{KHTML} Chrome/142.0.0.0 Safari/537.36"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K)"
DEVICES = {
    LINUX: "Firefox on Linux",
    f"{WINDOWS}; rv:145.0) Gecko/20100101 Firefox/145.0": "Firefox on Windows",
    f"{WINDOWS}) {CHROME}": "Chrome on Windows",
    f"{WINDOWS}) {CHROME} Edg/142.0.0.0": "Edge on Windows",
    f"{WINDOWS}) {CHROME} OPR/124.0.0.0": "Opera on Windows",
    f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15": (
        "Safari on Mac OS X"
    ),
    f"{MAC} {CHROME}": "Chrome on Mac OS X",
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME}": "Chrome on Chrome OS",
    PHONE: "Mobile Safari on iOS",
    f"{ANDROID} {KHTML} Chrome/142.0.0.0 Mobile Safari/537.36": (
        "Chrome Mobile on Android"
    ),
    "Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0": (
        "Firefox Mobile on Android"
    ),
    f"{ANDROID} {KHTML} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36": (
        "Samsung Internet on Android"
    ),
    "curl/8.16.0": "curl",
    "": "Unknown browser",
    "(" * 300: "(" * 40,
}


def test_browsers_in_words() -> None:
    assert {each: describe_device(each) for each in DEVICES} == DEVICES


def test_others_go_first_after_each_browser_not_seen_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns: list[str] = []
    monkeypatch.setattr(devices, "let_others_go", lambda: turns.append("theirs"))
    for name in ("made up 1", "made up 2", "made up 1"):
        describe_device(name)
    assert len(turns) == 2


@pytest.fixture
def names_not_loaded() -> Iterator[None]:
    loaded = [devices._parsers, describe_device]
    for each in loaded:
        each.cache_clear()
    yield
    for each in loaded:
        each.cache_clear()


def test_others_are_served_while_the_names_load(
    names_not_loaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    others_are_served = threading.Event()

    def load() -> Parsers:
        assert others_are_served.wait(10)
        return lambda _: None, lambda _: None

    monkeypatch.setattr(pace, "is_one_thread", lambda: True)
    monkeypatch.setattr(devices, "_load_parsers", load)
    gevent.spawn(others_are_served.set)
    assert describe_device("made up 3/1.0") == "made up 3"
