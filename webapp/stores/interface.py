"""What the application needs of a store, and how values are written."""

import json
import logging
from contextlib import suppress
from typing import Any, Protocol

from cachelib.serializers import JSONSerializer
from pydantic_core import from_json

from webapp import clock

# More than any session or cached table needs; a larger stored copy is not read.
LARGEST_VALUE = 1_048_576
# A store that stays in trouble says so this often.
WARNING_INTERVAL = 60.0

log = logging.getLogger(__name__)
_warned: dict[str, float] = {}


class Store(Protocol):
    """What the application needs of a store; values are anything JSON can say.

    Every method raises StoreUnavailable when the store does not answer or cannot
    keep what it is given, and ValueError for what is not JSON or over LARGEST_VALUE
    bytes. A timeout is in seconds; 0 keeps the value for ever.
    `is_shared` tells whether other processes see what this one writes.
    `last_trouble` is the clock.timestamp() of the last failure, 0.0 before the first.
    """

    is_shared: bool
    last_trouble: float

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


def note_trouble(store: Store, reason: str) -> None:
    """Remember when the store failed; log each reason, but not with every request."""
    now = store.last_trouble = clock.timestamp()
    if now - _warned.get(reason, 0.0) > WARNING_INTERVAL:
        _warned.clear()
        _warned[reason] = now
        log.warning("Going on without a store. %s", reason)
