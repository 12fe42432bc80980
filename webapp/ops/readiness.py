"""Whether every part that the application stands on can be written, and how soon."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from webapp.database import Database
from webapp.state.census import PROBE_KEY
from webapp.stores import Store

# Seconds; a part that takes longer does not answer.
LONGEST = 1.0
# Seconds that an answer holds, so that nobody can make the parts work by asking.
HOLDS = 1.0
# As much as the larger things that are kept: where less fits, writes begin to fail.
PROBE = "." * 16_384


Look = Callable[[], object]


class Readiness:
    """The parts by name; a look at one raises when it cannot be written."""

    def __init__(self, database: Database, sessions: Store, cache: Store) -> None:
        self._parts: dict[str, Look] = {
            "database": database.ping,
            "session data": partial(sessions.set, PROBE_KEY, PROBE, 60),
            "cached values": partial(cache.set, PROBE_KEY, PROBE, 60),
        }
        self._one_looks = threading.Lock()
        self._found: dict[str, dict[str, Any]] = {}
        self._until = 0.0

    def check(self) -> dict[str, dict[str, Any]]:
        """Look at all parts at the same time; tell of each `ok` and `ms`.

        `ms` is None for a part that failed, or said nothing for LONGEST seconds.
        """
        with self._one_looks:
            if time.monotonic() >= self._until:
                self._found = self._look()
                self._until = time.monotonic() + HOLDS
            return self._found

    def _look(self) -> dict[str, dict[str, Any]]:
        # Under gevent these are greenlets.
        threads = ThreadPoolExecutor(len(self._parts))
        looks = {
            name: threads.submit(_time, look) for name, look in self._parts.items()
        }
        done, _late = wait(looks.values(), LONGEST)
        threads.shutdown(wait=False)
        times = {
            name: look.result() if look in done and not look.exception() else None
            for name, look in looks.items()
        }
        return {name: {"ok": ms is not None, "ms": ms} for name, ms in times.items()}


def _time(look: Look) -> float:
    begin = time.perf_counter()
    look()
    return round((time.perf_counter() - begin) * 1000, 1)
