"""A cached value as it was found, and what of them is at hand in this process.

Used by `cache.py`, which knows when a value is of now.
"""

import re
import secrets
import sys
import threading
from dataclasses import dataclass
from typing import Any

from webapp import clock

MARKER = re.compile(r"(\d{1,19})-[0-9a-f]{16}")
# Bytes of memory, some hundred pages.
MOST_AT_HAND = 1_500_000


@dataclass(frozen=True)
class Slot:
    """Where a value is kept: one of NAMES, and a variant that has to be the same.

    Two releases that run side by side for a while do not take each other's values.
    """

    name: str
    variant: str = ""


@dataclass(frozen=True)
class Marker:
    """A version, and the text by which it stands in the store.

    No two texts are the same. A version can come back with other content: where the
    records were put back to what they were yesterday, and written to again.
    """

    version: int
    text: str


def new_marker(version: int) -> Marker:
    return Marker(version, f"{version}-{secrets.token_hex(8)}")


def version_of(text: object) -> int | None:
    """Return the version of a marker; None where something else stands."""
    found = MARKER.fullmatch(text) if isinstance(text, str) else None
    return int(found[1]) if found else None


class Box:
    """A value as it was found, with its version; None for what is not one."""

    def __init__(self, content: Any, slot: Slot) -> None:
        is_box = (
            isinstance(content, dict)
            and content.keys() == {"version", "variant", "until", "value"}
            and content["variant"] == slot.variant
            and content["until"] > clock.timestamp()
        )
        self.version = content["version"] if is_box else None
        self.value = content["value"] if is_box else None
        self.variant = slot.variant
        self.until = content["until"] if is_box else 0.0


class AtHand:
    """Pieces of pages that were asked for lately, in this process's memory.

    Each is of now as long as the marker is the one that it was found beside, so that
    only the marker need be asked for.
    """

    def __init__(self) -> None:
        self._boxes: dict[str, tuple[Box, str, int]] = {}
        self._size = 0
        self._lock = threading.Lock()

    def find(self, key: str, slot: Slot, marker: str) -> Box | None:
        """Return the box in the slot, if it was found beside this marker."""
        box, beside, _ = self._boxes.get(key, (None, "", 0))
        is_of_now = box and beside == marker and box.variant == slot.variant
        return box if box and is_of_now and box.until > clock.timestamp() else None

    def keep(self, key: str, box: Box, marker: str) -> None:
        # Others could change what is no tuple.
        if not isinstance(box.value, tuple):
            return
        size = sum(map(sys.getsizeof, box.value))
        with self._lock:
            self._forget(key)
            self._boxes[key] = box, marker, size
            self._size += size
            while self._size > MOST_AT_HAND:
                self._forget(next(iter(self._boxes)))

    def forget(self, key: str) -> None:
        with self._lock:
            self._forget(key)

    def _forget(self, key: str) -> None:
        _, _, size = self._boxes.pop(key, (None, "", 0))
        self._size -= size
