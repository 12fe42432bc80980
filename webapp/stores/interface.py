"""What the application needs of a store, and how values are written."""

import json
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from cachelib.serializers import JSONSerializer
from pydantic_core import from_json

from config.urls import split_url
from webapp import clock, metrics
from webapp.lasting import Lasting

# More than any session or cached table needs; a larger stored copy is not read.
LARGEST_VALUE = 1_048_576
# A store that stays in trouble says so this often.
WARNING_INTERVAL = 60.0
# Two stores, which may both fail in more than one way at a time.
MOST_WARNED = 20

# Seconds that measuring a store may take.
LONGEST_MEASURE = 5.0

log = logging.getLogger(__name__)
_warned: dict[str, float] = {}


@dataclass(frozen=True)
class Measure:
    """How many values of ours a store holds, and the bytes of their JSON.

    What has expired counts until it is removed. None: the place cannot tell, or not
    within LONGEST_MEASURE.
    """

    values: int | None
    bytes: int | None


class Store(Protocol):
    """What the application needs of a store; values are anything JSON can say.

    Every method raises StoreUnavailable when the store does not answer or cannot
    keep what it is given, and ValueError for what is not JSON or over LARGEST_VALUE
    bytes. A timeout is in seconds; 0 keeps the value for ever.
    `is_shared` tells whether other processes see what this one writes.
    `last_trouble` is the clock.timestamp() of the last failure, 0.0 before the first.
    `place` names where it is, without a password.
    """

    is_shared: bool
    last_trouble: float

    @property
    def place(self) -> str: ...

    def lasting(self) -> Lasting:
        """Tell how long what is kept here lasts; raises nothing."""

    def get(self, key: str) -> Any:
        """Return the value; None when missing, expired or not readable as JSON."""

    def get_many(self, *keys: str) -> list[Any]:
        """Return a value or None per key, in one round trip."""

    def set(self, key: str, value: Any, timeout: int) -> bool:
        """Keep the value whatever was there."""

    def add(self, key: str, value: Any, timeout: int) -> bool:
        """Keep the value only where nothing readable is; tell whether it was kept."""

    def replace(self, key: str, value: Any, expected: Any, timeout: int) -> bool:
        """Keep the value only where `expected` still is; tell whether it was kept.

        Atomic among threads, processes and machines: of two writers one gets False,
        and what somebody deleted meanwhile stays deleted.
        """

    def delete(self, key: str) -> bool:
        """Forget the value; a missing one is no error."""

    def purge(self, limit: int) -> int:
        """Look at the next `limit` values and remove what expired; say how many.

        Goes on where the last call stopped and starts again at the end.
        """

    def measure(self) -> Measure:
        """Tell how much is held; takes a while, in steps that others get between."""

    def clear(self) -> bool:
        """Forget every value of ours, and nothing else that is kept at the place.

        What somebody keeps meanwhile may stay or go. A failure is raised.
        """


class Json(JSONSerializer):
    """JSON that reports what it cannot write; cachelib's own swallows the error."""

    def dumps(self, value: Any, *args: Any, **kwargs: Any) -> bytes:
        content = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
        if len(content) > LARGEST_VALUE:
            raise ValueError(f"{len(content)} bytes are more than a store keeps")
        return content

    def loads(self, bvalue: Any, *args: Any, **kwargs: Any) -> Any:
        if bvalue is None or len(bvalue) > LARGEST_VALUE:
            return None
        # Several times faster, and refuses a few things that json has written.
        with suppress(ValueError):
            return from_json(bvalue, cache_strings="keys")
        try:
            return json.loads(bvalue)
        except (ValueError, RecursionError):
            return None


def add_up(steps: Iterable[Iterable[int]]) -> Measure:
    """Measure values by their sizes, which come in steps."""
    until = time.monotonic() + LONGEST_MEASURE
    values = total = 0
    for sizes in steps:
        for size in sizes:
            values += 1
            total += size
        if time.monotonic() > until:
            return Measure(None, None)
    return Measure(values, total)


def note_trouble(store: Store, reason: str) -> None:
    """Remember when the store failed; log each reason, but not with every request."""
    metrics.STORE_ERRORS.labels(type(store).__name__).inc()
    now = store.last_trouble = clock.timestamp()
    if now - _warned.get(reason, 0.0) > WARNING_INTERVAL:
        if len(_warned) >= MOST_WARNED:
            _warned.clear()
        _warned[reason] = now
        log.warning("Going on without a store. %s", reason)


def place_of(url: str) -> str:
    """Return the URL without user, password and parameters, which may be secret."""
    parts = split_url(url)
    hosts = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{hosts}{parts.path}"
