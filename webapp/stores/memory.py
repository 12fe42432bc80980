"""The article's in-process singleton as a store."""

import sys
from typing import Any

from cachelib import SimpleCache

from webapp.lasting import Lasting
from webapp.stores.interface import Json, Measure, add_up


class MemoryStore(SimpleCache):
    """One dictionary in this process: the fastest place, and gone with it."""

    serializer = Json()  # type: ignore[assignment]
    is_shared = False
    last_trouble = 0.0
    place = "the memory of the process"

    def __init__(self) -> None:
        super().__init__(threshold=sys.maxsize, default_timeout=0)
        self._unseen: list[str] = []

    def lasting(self) -> Lasting:
        return Lasting(
            restart=False, redeploy=False, warning="it ends with the process"
        )

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        return bool(super().set(key, value, timeout))

    def replace(self, key: str, value: Any, expected: Any, timeout: int) -> bool:
        with self._lock:
            return self.get(key) == expected and bool(self.set(key, value, timeout))

    def purge(self, limit: int) -> int:
        with self._lock:
            self._unseen = self._unseen or list(self._cache)
            keys = [self._unseen.pop() for _ in self._unseen[-limit:]]
            return sum(self.delete(key) for key in keys if not self.has(key))

    def measure(self) -> Measure:
        with self._lock:
            return add_up([[len(content) for _, content in self._cache.values()]])

    def clear(self) -> bool:
        with self._lock:
            self._unseen.clear()
            return super().clear()
