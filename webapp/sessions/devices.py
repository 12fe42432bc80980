"""Browsers in words: "Firefox on Linux"."""

from functools import lru_cache

from webapp.pace import let_others_go


@lru_cache(maxsize=1000)
def describe_device(user_agent: str) -> str:
    """Name browser and system as people know them, else what it calls itself."""
    # Its patterns take 40 ms to load, which a start need not wait for.
    from ua_parser import parse_os, parse_user_agent  # noqa: PLC0415

    browser, system = parse_user_agent(user_agent), parse_os(user_agent)
    # A name of an attacker's choice takes up to 15 ms, and a page has many.
    let_others_go()
    if browser and system:
        return f"{browser.family} on {system.family}"
    if browser or system:
        return (browser or system).family  # type: ignore[union-attr]
    return user_agent.split("/", maxsplit=1)[0][:40].strip() or "Unknown browser"
