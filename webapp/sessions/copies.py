"""The copy of a session in the store, and how two changes of one are merged."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Copy(BaseModel):
    """A session record's fast copy, with what Flask's `session` holds.

    Times are seconds since the epoch. `id_hash` is checked against the key it was
    found under, so that a copy in the wrong place is no log-in.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    id_hash: str
    record_id: int
    user_id: int
    last_seen_at: float
    expires_at: float
    checked_at: float
    data: dict[str, Any]


def merge(
    before: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any]
) -> dict[str, Any]:
    """Put the changes from `before` to `mine` on top of `theirs`, key by key.

    A list that two requests changed keeps what either of them added, so that no
    flashed message is lost; otherwise the last writer of a key wins.
    """
    merged = dict(theirs)
    for key in before.keys() | mine.keys():
        if key in before and key in mine and before[key] == mine[key]:
            continue
        values = [source.get(key) for source in (before, mine, theirs)]
        if isinstance(values[2], list) and isinstance(values[0] or [], list):
            merged[key] = _merge_lists(*(value or [] for value in values))
        else:
            merged[key] = mine.get(key)
        if not merged[key] and key not in mine:
            del merged[key]
    return merged


def _merge_lists(before: list[Any], mine: list[Any], theirs: list[Any]) -> list[Any]:
    if mine[: len(before)] == before:
        return theirs + mine[len(before) :]
    if theirs[: len(before)] == before:
        return mine + theirs[len(before) :]
    return mine
