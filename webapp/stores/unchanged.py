"""Small files that are read once, as long as they stay what they were.

Asking the system whether a file has changed takes a third of opening and reading it.
"""

import os
import threading
import time
from contextlib import suppress
from typing import NamedTuple

# Bytes of one, which is more than the copy of a session has, and how many of them.
SMALL, MOST = 4096, 1000
# Nanoseconds. Where time is told in whole seconds, a file may be replaced twice within
# one and look the same (Git calls that racy): what has only just been written is read.
SETTLED = 2_000_000_000


class Stamp(NamedTuple):
    """What tells a file from one that was written beside it and took its place."""

    number: int
    changed: int
    size: int


class Unchanged:
    """The small files that were read lately, by the keys of their values."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Stamp, bytes]] = {}
        self._lock = threading.Lock()

    def find(self, key: str) -> bytes | None:
        """Return what was read, if the file is the same today."""
        known = self._known.get(key)
        if known is None:
            return None
        path, stamp, content = known
        with suppress(OSError):
            if stamp_of(os.stat(path)) == stamp:  # noqa: PTH116
                return content
        with self._lock:
            self._known.pop(key, None)
        return None

    def keep(self, key: str, path: str, stamp: Stamp, content: bytes) -> None:
        if stamp.size > SMALL or time.time_ns() - stamp.changed < SETTLED:
            return
        with self._lock:
            if len(self._known) >= MOST:
                self._known.pop(next(iter(self._known)))
            self._known[key] = path, stamp, content


def stamp_of(status: os.stat_result) -> Stamp:
    return Stamp(status.st_ino, status.st_ctime_ns, status.st_size)
