"""Reads and writes of entries as the API has them: by key, with conditions.

Each write is one transaction in which nobody else writes for the person, so what was
compared is still true when it is done.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from webapp.api import json_values
from webapp.api.asker import Asker
from webapp.api.conditions import Conditions, etag_of
from webapp.api.models import Add, Batch, Delete, Patch, Put, StepResult
from webapp.entries.inputs import NewEntry, NewValue
from webapp.entries.models import Entry
from webapp.entries.secret_values import UNREADABLE
from webapp.entries.service import Entries
from webapp.errors import (
    HoldfastError,
    NotFound,
    NotJson,
    NotNumber,
    TooLarge,
    Unreadable,
)
from webapp.pace import Pace
from webapp.web import check

CREATED, OK, NO_CONTENT = HTTPStatus.CREATED, HTTPStatus.OK, HTTPStatus.NO_CONTENT
ANY = Conditions()
# Of the largest value: what a batch may have patched, as its body may have (web.py).
TIMES_LARGEST = 6


@dataclass(frozen=True)
class Written:
    """What a write left: the status it is answered with, and the entry, if any.

    `value` is JSON that the writer cannot know, None where it was given or is secret.
    `read` is what was read for it, in bytes of key and value.
    """

    status: HTTPStatus
    entry: Entry | None = None
    value: str | None = None
    read: int = 0


class StepFailed(HoldfastError):
    """One operation of a batch failed, so none is done; raised from why."""

    def __init__(self, number: int, error: HoldfastError) -> None:
        super().__init__(
            f"Nothing is done, because of operation {number}, counted from 0: {error}"
        )
        self.status, self.problem = error.status, error.problem


class Door:
    """The verbs of the API; `needs_match` refuses writes that say no version."""

    def __init__(self, entries: Entries, *, needs_match: bool) -> None:
        self._entries = entries
        self._needs_match = needs_match

    def read(self, asker: Asker, key: str) -> tuple[Any, str]:
        """Return an entry and its value; raises NotFound, SecretValue or Unreadable."""
        asker.check_key(key)
        entry = self._entries.get(asker.user_id, key)
        return entry, self._reveal(asker, entry)

    def put(
        self, asker: Asker, key: str, new: NewValue, conditions: Conditions
    ) -> Written:
        """Keep a value, whether there is one or not.

        Labels, the end and whether it is secret stay as they are where `new` does not
        say them.
        """
        with self._writing(asker, key, conditions) as entry:
            given = new.model_dump(exclude_unset=True)
            if entry is None:
                return self._create(asker, key, given)
            if entry.encrypted_by:
                asker.check_fresh()
            given.setdefault("secret", entry.encrypted_by is not None)
            return self._change(asker, entry, given, NO_CONTENT)

    def patch(
        self, asker: Asker, key: str, patch: Any, conditions: Conditions
    ) -> Written:
        """Apply a JSON Merge Patch to JSON; raises NotFound, NotJson."""
        with self._writing(asker, key, conditions, must_exist=True) as entry:
            value = self._reveal(asker, entry)
            if entry.kind != "json":
                raise NotJson("Only a JSON value can be patched; this one is text.")
            merged = json_values.merge(_parse_target(value), patch)
            gap = json_values.gap_of(value)
            return self._replace(asker, entry, json_values.write(merged, gap))

    def increment(
        self, asker: Asker, key: str, by: Decimal, conditions: Conditions = ANY
    ) -> Written:
        """Add to a JSON number, which is `by` where there is none; raises NotNumber."""
        with self._writing(asker, key, conditions, is_safe=True) as entry:
            if entry is None:
                value = json_values.plain(by)
                created = self._create(asker, key, {"kind": "json", "value": value})
                return replace(created, value=value)
            value = self._reveal(asker, entry)
            if entry.kind != "json":
                raise NotNumber("Only a JSON number can be incremented.")
            return self._replace(asker, entry, json_values.add(value, by))

    def delete(self, asker: Asker, key: str, conditions: Conditions) -> Written:
        """Move an entry to the bin; raises NotFound."""
        with self._writing(asker, key, conditions, must_exist=True) as entry:
            self._entries.delete(asker.user_id, key, entry.version, by=asker.by)
        return Written(NO_CONTENT)

    def batch(self, asker: Asker, batch: Batch) -> Sequence[StepResult]:
        """Do all of it in one transaction; raises StepFailed when one fails."""
        results, pace, told = [], Pace(), 0
        with self._entries.at_once(asker.user_id):
            for number, step in enumerate(batch.operations):
                try:
                    written = self._step(asker, step)
                    if written.read and written.entry:
                        told += max(written.read, written.entry.size)
                        self._check_told(told)
                except HoldfastError as error:
                    raise StepFailed(number, error) from error
                results.append(_result(step.key, written))
                pace.tick()
        return results

    def _check_told(self, size: int) -> None:
        """Raise TooLarge where a small request would have too much done and told."""
        most = TIMES_LARGEST * self._entries.quota.value_size
        if size > most:
            raise TooLarge(
                operations="What is patched and incremented together has more than "
                f"{most:,} bytes. Divide it."
            )

    def _step(self, asker: Asker, step: Put | Patch | Add | Delete) -> Written:
        conditions = Conditions(step.if_match, step.if_none_match)
        match step:
            case Put():
                return self.put(asker, step.key, value_of(step), conditions)
            case Patch():
                return self.patch(asker, step.key, step.patch, conditions)
            case Add():
                return self.increment(asker, step.key, step.by, conditions)
            case Delete():
                return self.delete(asker, step.key, conditions)

    @contextmanager
    def _writing(
        self,
        asker: Asker,
        key: str,
        conditions: Conditions,
        **how: bool,
    ) -> Iterator[Any]:
        """Give the entry that is there, None for none, and let nobody else write.

        `must_exist` raises NotFound for none. `is_safe`: it loses nobody's write, also
        when the request does not say which version it saw.
        """
        asker.check_write()
        asker.check_key(key)
        if self._needs_match and not how.get("is_safe"):
            conditions.require()
        with self._entries.at_once(asker.user_id):
            try:
                entry = self._entries.get(asker.user_id, key)
            except NotFound:
                if how.get("must_exist"):
                    raise
                entry = None
            conditions.check_write(etag_of(entry) if entry else None)
            yield entry

    def _create(self, asker: Asker, key: str, given: dict[str, Any]) -> Written:
        new = check(NewEntry, {"key": key, **given})
        return Written(CREATED, self._entries.create(asker.user_id, new, by=asker.by))

    def _replace(self, asker: Asker, entry: Any, value: str) -> Written:
        """Give it another JSON value, which is told unless it is secret."""
        is_secret = entry.encrypted_by is not None
        given = {"kind": "json", "value": value, "secret": is_secret}
        changed = self._change(asker, entry, given, NO_CONTENT if is_secret else OK)
        return replace(changed, value=None if is_secret else value, read=entry.size)

    def _change(
        self, asker: Asker, entry: Any, given: dict[str, Any], status: HTTPStatus
    ) -> Written:
        changed = self._entries.change(
            asker.user_id, entry.key, entry.version, check(NewValue, given), by=asker.by
        )
        return Written(status, changed)

    def _reveal(self, asker: Asker, entry: Any) -> str:
        if entry.encrypted_by:
            asker.check_secret()
        value = self._entries.reveal(entry)
        if value is None:
            raise Unreadable(UNREADABLE)
        return value


def value_of(step: Put) -> NewValue:
    """Return what a part of a batch keeps; raises Invalid."""
    given = step.model_dump(
        include={"secret", "labels", "expires_at"} & step.model_fields_set
    )
    return new_value(
        "json" if step.text is None else "text",
        json_values.write(step.value) if step.text is None else step.text,
        given,
    )


def new_value(kind: str, value: str, given: dict[str, Any]) -> NewValue:
    """Make the input of a write; raises Invalid. None for secret: it stays as it is."""
    if given.get("secret", ...) is None:
        del given["secret"]
    return check(NewValue, {"kind": kind, "value": value, **given})


def _parse_target(value: str) -> Any:
    try:
        return json_values.parse(value)
    except json_values.RepeatedName as error:
        raise NotJson(f"{error} in one object there; put the value whole.") from None


def _result(key: str, written: Written) -> StepResult:
    value = None if written.value is None else json_values.Verbatim(written.value)
    etag = etag_of(written.entry) if written.entry else None
    return StepResult(key=key, status=written.status, etag=etag, value=value)
