"""How many requests a token or a browser may make: counted in this process only.

A count in the database would cost each request a write, ten times what most of them
take. So a start begins anew, and of several processes each allows the whole limit:
it keeps one client from the others' time, which each process has for itself. What must
hold exactly, as the number of passwords tried, is in `webapp/limits.py`.
"""

import math
from dataclasses import dataclass

from config.kinds import Rate
from webapp import clock, metrics
from webapp.errors import TooMany

# 1 MB of keys and times.
MOST_KNOWN = 10_000
NAME = "api"


@dataclass(frozen=True)
class Left:
    """What is left after a request: so many, and in how many seconds all again."""

    requests: int
    seconds: int


class Rates:
    """The generic cell rate algorithm over the keys that asked lately."""

    def __init__(self, rate: Rate) -> None:
        self._burst = rate.burst
        self._period = rate.period.total_seconds()
        self._each = self._period / rate.burst
        # When all that a key used will have been made up for, latest use last.
        self._free_at: dict[str, float] = {}
        self.policy = f'"{NAME}";q={rate.burst};w={math.ceil(self._period)}'

    def take(self, key: str) -> Left:
        """Count one request; raises TooMany, which carries what to wait for."""
        now = clock.timestamp()
        before = min(max(self._free_at.pop(key, now), now), now + self._period)
        free_at = before + self._each
        wait = free_at - now - self._period
        # A thousandth, because sums of fractions are not exact.
        if wait > self._each / 1000:
            self._free_at[key] = before
            metrics.LIMITED.labels(NAME).inc()
            raise TooMany(math.ceil(wait))
        self._make_room(now)
        self._free_at[key] = free_at
        left = (self._period - (free_at - now)) / self._each
        return Left(math.floor(left + 0.001), math.ceil(free_at - now))

    def write(self, left: Left) -> str:
        """Write what is left as the `RateLimit` header has it."""
        return f'"{NAME}";r={left.requests};t={left.seconds}'

    def _make_room(self, now: float) -> None:
        """Forget those who asked longest ago, and have all again before others."""
        while len(self._free_at) >= MOST_KNOWN:
            del self._free_at[next(iter(self._free_at))]
