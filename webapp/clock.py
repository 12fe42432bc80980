"""The time that every timeout goes by: it does not go back after `start`.

A wall clock that is set back would make each idle session and each delay last longer.
"""

import time
from datetime import UTC, datetime

# Seconds that the wall clock may go back by: what keeps it right does so at times, and
# a test that freezes it stops it while this process goes on.
TOLERANCE = 10.0

_offset = time.time() - time.monotonic()


def start() -> None:
    """Begin anew from the wall clock; each application does when it is made."""
    global _offset  # noqa: PLW0603
    _offset = time.time() - time.monotonic()


def timestamp() -> float:
    """Return seconds since the epoch: the wall clock's, or later if it was set back."""
    global _offset  # noqa: PLW0603
    wall, monotonic = time.time(), time.monotonic()
    if wall - monotonic > _offset - TOLERANCE:
        _offset = wall - monotonic
        return wall
    return _offset + monotonic


def now() -> datetime:
    """Return the same as an aware datetime in UTC."""
    return datetime.fromtimestamp(timestamp(), UTC)
