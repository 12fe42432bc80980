"""What an import is divided into, and whether all of it has room."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime

from webapp.entries.checking import Line
from webapp.entries.foretelling import WRITTEN, Coming
from webapp.entries.inputs import NewEntry
from webapp.entries.service import Entries
from webapp.errors import QuotaReached

# Lines and characters of a part: one step takes 20 ms, or as long as a large value.
PART_LINES, PART_SIZE = 10, 100_000
# Parts, and their characters, that are written at once, and parts that are deleted.
PARTS, BATCH_SIZE = 20, 300_000


class Room:
    """How much a person has at each line, as the import will have it."""

    def __init__(self, entries: Entries, user_id: int) -> None:
        self._quota = entries.quota
        self._entries, self._size = entries.totals(user_id)

    def take(self, coming: Coming) -> None:
        """Raise QuotaReached for the line that has no room any more."""
        if coming.outcome not in WRITTEN:
            return
        self._entries += coming.outcome == "new"
        size = len(coming.new.key.encode()) + len(coming.new.value.encode())
        growth = size - (coming.existing.row.size if coming.existing else 0)
        self._size += growth
        if growth > 0 and self._entries > self._quota.entries:
            reason = f"With it you would have more than {self._quota.entries:,} entries"
        elif growth > 0 and self._size > self._quota.size:
            reason = (
                f"With it your entries would take more than {self._quota.size:,} bytes"
            )
        else:
            return
        raise QuotaReached(file=f"{reason}, which is all you can keep.")


def in_parts(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Divide the lines into what one step does."""
    part: list[Line] = []
    size = 0
    for line in lines:
        if part and (len(part) == PART_LINES or size + len(line.new.value) > PART_SIZE):
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line.new.value)
    if part:
        yield part


def in_batches(contents: Iterable[str]) -> Iterator[list[str]]:
    """Put together what one transaction writes."""
    batch: list[str] = []
    size = 0
    for content in contents:
        batch.append(content)
        size += len(content)
        if len(batch) == PARTS or size >= BATCH_SIZE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def write_part(part: Iterable[Line]) -> str:
    said = [line.new.model_dump(mode="json", exclude_unset=True) for line in part]
    return json.dumps(said, ensure_ascii=False)


def read_part(text: str) -> list[NewEntry]:
    return [_restore(line) for line in json.loads(text)]


def _restore(line: dict[str, object]) -> NewEntry:
    """Make the input again; checked it was before, and its end may be near by now."""
    given = dict(line)
    with suppress(KeyError):
        given["labels"] = tuple(line["labels"])  # type: ignore[arg-type]
    if end := line.get("expires_at"):
        given["expires_at"] = datetime.fromisoformat(str(end))
    return NewEntry.model_construct(**given)  # type: ignore[arg-type]
