"""The fast copy of a session in the store, and how two changes of one are merged."""

from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from webapp import clock
from webapp.database import AnyRow
from webapp.errors import StoreUnavailable
from webapp.sessions.models import SessionRecord
from webapp.stores import Store

MISSING = object()
# What is where a copy was until it is deleted: nobody can save on top of it.
TAKEN: dict[str, Any] = {}
TAKE_ATTEMPTS, TAKEN_FOR = 100, 60
# Where `session` has what its form token is made of; it can be found out again.
FORM_KEY = "_form_key"
# Copies that are remembered as checked: of those that have no more than most have.
MOST_CHECKED, USUAL = 1000, {FORM_KEY}


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
    confirmed_at: float
    expires_at: float
    checked_at: float
    kept: bool
    data: dict[str, Any]

    @field_validator("data")
    @classmethod
    def _check_flashes(cls, data: dict[str, Any]) -> dict[str, Any]:
        # Flask trusts them to be pairs, and every page shows them.
        flashes = data.get("_flashes", [])
        if isinstance(flashes, list) and all(
            isinstance(flash, list | tuple) and len(flash) == 2 for flash in flashes
        ):
            return data
        raise ValueError("no flashed messages")


class Copies:
    """The copies of all sessions in one store, which may lose any of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # A copy that an earlier process could not delete is not believed.
        self._began = clock.timestamp()
        # Those that were checked lately, beside what the store had of them.
        self._checked: dict[str, tuple[Any, Copy]] = {}

    @property
    def believed_since(self) -> float:
        """Before this time a copy may be one that should have been deleted."""
        return max(self._began, self._store.last_trouble)

    def read(self, id_hash: str, *, strict: bool = False) -> Copy | None:
        """Return the copy, None when it is missing, damaged or (unless strict) away."""
        try:
            content = self._store.get(id_hash)
        except StoreUnavailable:
            if strict:
                raise
            return None
        before, copy = self._checked.get(id_hash, (None, None))
        if copy and content == before:
            return copy
        copy = _read(content, id_hash)
        if copy and copy.data.keys() <= USUAL:
            if len(self._checked) >= MOST_CHECKED:
                self._checked.clear()
            self._checked[id_hash] = content, copy
        return copy

    def add(self, copy: Copy, timeout: int) -> bool:
        """Put a copy where none is; tell whether it was put."""
        with suppress(StoreUnavailable):
            return self._store.add(copy.id_hash, copy.model_dump(), timeout)
        return False

    def replace(self, copy: Copy, expected: Copy, timeout: int) -> bool:
        """Put a copy where `expected` still is; raises StoreUnavailable."""
        content = copy.model_dump()
        try:
            return self._store.replace(
                copy.id_hash, content, expected.model_dump(), timeout
            )
        except ValueError as error:
            raise StoreUnavailable(f"A session cannot be kept: {error}") from error

    def take(self, id_hash: str) -> Copy | None:
        """Delete the copy, and return it as the last who saved it left it."""
        found = None
        with suppress(StoreUnavailable):
            for _ in range(TAKE_ATTEMPTS):
                content = self._store.get(id_hash)
                if content is None:
                    break
                if self._store.replace(id_hash, TAKEN, content, TAKEN_FOR):
                    found = _read(content, id_hash)
                    break
        self.delete(id_hash)
        return found

    def delete(self, id_hash: str) -> None:
        with suppress(StoreUnavailable):
            self._store.delete(id_hash)


def _read(content: Any, id_hash: str) -> Copy | None:
    try:
        copy = Copy.model_validate(content)
    except ValidationError:
        return None
    return copy if copy.id_hash == id_hash else None


def lasting(data: dict[str, Any]) -> dict[str, Any]:
    """Return what is more than a notice, or than what can be found out again."""
    return {key: value for key, value in data.items() if not key.startswith("_")}


def without_notices(copy: Copy) -> Copy:
    """Return what a script gets that takes a part of a page: nobody would see them."""
    data = {key: value for key, value in copy.data.items() if key != "_flashes"}
    return copy.model_copy(update={"data": data})


def merge(
    before: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any]
) -> dict[str, Any]:
    """Put the changes from `before` to `mine` on top of `theirs`, key by key.

    A list that two requests changed keeps what either of them added, so that no
    flashed message is lost; otherwise the last writer of a key wins.
    """
    merged = dict(theirs)
    for key in before.keys() | mine.keys():
        old, new = before.get(key, MISSING), mine.get(key, MISSING)
        if old == new:
            continue
        value = _merge_value(old, new, theirs.get(key, MISSING))
        if value is MISSING:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def _merge_value(old: Any, new: Any, other: Any) -> Any:
    values = [[] if value is MISSING else value for value in (old, new, other)]
    if all(isinstance(value, list) for value in values):
        return _merge_lists(*values) or new
    return new


def _merge_lists(old: list[Any], new: list[Any], other: list[Any]) -> list[Any]:
    if new[: len(old)] == old:
        return other + new[len(old) :]
    if other[: len(old)] == old:
        return new + other[len(old) :]
    return other + [value for value in new if value not in old]


def copy_of(
    record: AnyRow | SessionRecord, data: dict[str, Any], id_hash: str = ""
) -> Copy:
    """Return what the store is to have of a session; it was looked at just now."""
    return Copy(
        id_hash=id_hash or record.id_hash,
        record_id=record.id,
        user_id=record.user_id,
        last_seen_at=record.last_seen_at.timestamp(),
        confirmed_at=record.confirmed_at.timestamp(),
        expires_at=record.expires_at.timestamp(),
        checked_at=clock.timestamp(),
        kept=record.kept,
        data=data,
    )
