"""Small files that are read once, as long as they stay what they were.

Asking the system whether a file has changed takes a third of opening and reading it.
"""

import os
import threading
import time
from typing import NamedTuple

# Bytes: what the copy of a session has, and all of them together.
SMALL, MOST = 4096, 1_000_000
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
        self._size = 0
        self._lock = threading.Lock()

    def find(self, key: str) -> bytes | None:
        """Return what was read, if the file is the same today."""
        known = self._known.get(key)
        if known is None:
            return None
        path, stamp, content = known
        try:
            is_same = stamp_of(os.stat(path)) == stamp  # noqa: PTH116
        except OSError:
            return None
        return content if is_same else None

    def keep(self, key: str, path: str, stamp: Stamp, content: bytes) -> None:
        if stamp.size > SMALL or time.time_ns() - stamp.changed < SETTLED:
            return
        with self._lock:
            self._forget(key)
            while self._size + stamp.size > MOST:
                self._forget(next(iter(self._known)))
            self._known[key] = path, stamp, content
            self._size += stamp.size

    def _forget(self, key: str) -> None:
        if known := self._known.pop(key, None):
            self._size -= known[1].size


def stamp_of(status: os.stat_result) -> Stamp:
    return Stamp(status.st_ino, status.st_ctime_ns, status.st_size)
