"""What is found in a file of entries, before anybody has looked whether it is right."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# The columns of a file that is written here, in their order.
COLUMNS = ("key", "kind", "value", "secret", "labels", "expires_at")
# What "Download everything" has of an entry besides; an import gives times of its own.
OVERLOOKED = ("created_at", "updated_at")


class Broken(Exception):
    """From this place on the file cannot be read at all."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(reason)
        self.place = place


@dataclass(frozen=True)
class Found:
    """One entry as the file has it; `reason` says why it is none, if it is none."""

    place: str
    members: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


def unknown_of(names: Iterator[str]) -> str:
    """Say which names are none of an entry's; empty when all are."""
    unknown = [name for name in names if name not in (*COLUMNS, *OVERLOOKED)]
    if not unknown:
        return ""
    return f"“{unknown[0][:40]}” is not known here. Known are: {', '.join(COLUMNS)}."


class Lines:
    """Tells in which line of the text a position is; asked in order, from 1."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at, self._line = 0, 1

    def at(self, position: int) -> int:
        # Ends of lines are LF, CR LF or CR.
        part = (self._at, position)
        count = self._text.count
        self._line += count("\n", *part) + count("\r", *part) - count("\r\n", *part)
        self._at = position
        return self._line
