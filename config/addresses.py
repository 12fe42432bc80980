"""The address of who asks, as proxies name it."""

import re

PORT = re.compile(r"([\d.]+):\d+|\[([\da-fA-F:.]+)\](?::\d+)?")


def without_port(address: str) -> str:
    """Leave out what some proxies name with an address: each connection has its own."""
    found = PORT.fullmatch(address)
    return found[1] or found[2] if found else address
