"""Browsers in words: "Firefox on Linux"."""

import threading
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from webapp.pace import beside_the_loop, let_others_go
from webapp.weight import cut

# Of a browser, and of a system: ua-parser's, which is not loaded at the start.
Parsers = tuple[Callable[[str], Any], Callable[[str], Any]]

UNKNOWN = "Unknown browser"
_loading = threading.Lock()


@lru_cache(maxsize=1000)
def describe_device(user_agent: str) -> str:
    """Name browser and system as people know them, else what it calls itself."""
    with _loading:
        parse_browser, parse_system = _parsers()
    browser, system = parse_browser(user_agent), parse_system(user_agent)
    # A name of an attacker's choice takes up to 15 ms, and a page has many.
    let_others_go()
    if browser and system:
        return f"{browser.family} on {system.family}"
    if known := browser or system:
        return str(known.family)
    return cut(user_agent.split("/", maxsplit=1)[0][:40].strip(), 60) or UNKNOWN


@cache
def _parsers() -> Parsers:
    return beside_the_loop(_load_parsers)


def _load_parsers() -> Parsers:
    """Load the patterns, which takes 0.1 s and more, so no start waits for them."""
    from ua_parser import parse_os, parse_user_agent  # noqa: PLC0415

    for parse in (parse_user_agent, parse_os):
        parse("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    return parse_user_agent, parse_os
