"""What /metrics shows: the counters of all workers, and how many sessions are alive."""

import time
from collections.abc import Callable, Iterator

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

# Seconds. Counting a million sessions takes a tenth of one.
COUNTED_EVERY = 60.0


class Exposition:
    """The registry to show, and the token that opens it."""

    def __init__(self, token: str | None, count_sessions: Callable[[], int]) -> None:
        self.token = token
        self.registry = CollectorRegistry()
        self.registry.register(SessionsAlive(count_sessions))
        try:
            # Where several workers count, each keeps its numbers in files.
            MultiProcessCollector(self.registry)
        except ValueError:
            self.registry.register(Everything())


class Everything(Collector):
    """What this process has counted, and what is known of the process."""

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()


class SessionsAlive(Collector):
    """Counts the sessions once a minute."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._counted, self._next = 0, 0.0

    def collect(self) -> Iterator[Metric]:
        if time.monotonic() >= self._next:
            try:
                self._counted = self._count()
            except SQLAlchemyError:
                return  # What is not known is not shown.
            self._next = time.monotonic() + COUNTED_EVERY
        name, help_ = "holdfast_sessions_alive", "Sessions that are not over."
        yield GaugeMetricFamily(name, help_, value=self._counted)
