"""What comes of a line of a file: told before an import, and done in it."""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel

from webapp.database import AnyRow
from webapp.entries.comparing import count_same
from webapp.entries.inputs import NewEntry, explain_json
from webapp.entries.listing import PREVIEW
from webapp.entries.models import labels_of

Mode = Literal["replace", "leave"]
Outcome = Literal["new", "changed", "same", "left"]
# Those that change something.
WRITTEN = ("new", "changed")
MOST_SHOWN = 20
# Characters of what is the same before a difference that are shown with it.
BEFORE = 20


@dataclass(frozen=True)
class Existing:
    """An entry that is there under the key of a line; `value` None: unreadable."""

    row: AnyRow
    value: str | None

    @property
    def is_secret(self) -> bool:
        return self.row.encrypted_by is not None


@dataclass(frozen=True)
class Coming:
    """What a line does, with all that it leaves unsaid filled in."""

    outcome: Outcome
    new: NewEntry
    existing: Existing | None = None
    what: list[str] = field(default_factory=list)


class Change(BaseModel):
    """An entry that would change, and how; nothing of a secret value is in it."""

    key: str
    what: list[str]
    old: str | None = None
    new: str | None = None


class Forecast(BaseModel):
    """How many lines would do what, and the first of the changes."""

    new: int = 0
    changed: int = 0
    same: int = 0
    left: int = 0
    # Changes of entries that are secret: they need the password.
    secret: int = 0
    changes: list[Change] = []

    def add(self, coming: Coming) -> None:
        setattr(self, coming.outcome, getattr(self, coming.outcome) + 1)
        if coming.outcome == "changed" and coming.existing:
            self.secret += coming.existing.is_secret
            if len(self.changes) < MOST_SHOWN:
                self.changes.append(describe(coming))


def foretell(new: NewEntry, existing: Existing | None, mode: str) -> Coming:
    """Tell what becomes of the line."""
    if existing is None:
        return Coming("new", new)
    if mode == "leave":
        return Coming("left", new, existing)
    new = _filled_in(new, existing)
    what = _differences(new, existing)
    return Coming("changed" if what else "same", new, existing, what)


def describe(coming: Coming) -> Change:
    """Say what changes, for the page; of values where they begin to differ."""
    existing = coming.existing
    assert existing is not None  # noqa: S101
    change = Change(key=coming.new.key, what=coming.what)
    if "value" in coming.what and not (existing.is_secret or coming.new.secret):
        change.old, change.new = _beginnings(existing.value or "", coming.new.value)
    return change


def _filled_in(new: NewEntry, existing: Existing) -> NewEntry:
    """Leave an entry secret, and JSON where it is, when the file does not say."""
    said = new.model_fields_set
    unsaid: dict[str, object] = {}
    if "secret" not in said:
        unsaid["secret"] = existing.is_secret
    is_json = existing.row.kind == "json"
    if "kind" not in said and is_json and explain_json(new.value) is None:
        unsaid["kind"] = "json"
    return new.model_copy(update=unsaid)


def _differences(new: NewEntry, existing: Existing) -> list[str]:
    row, said = existing.row, new.model_fields_set
    differs = {
        "value": new.value != existing.value,
        "kind": new.kind != row.kind,
        "secret": new.secret != existing.is_secret,
        "labels": "labels" in said and list(new.labels) != labels_of(row),
        "end": "expires_at" in said and new.expires_at != row.expires_at,
    }
    return [name for name, does in differs.items() if does]


def _beginnings(old: str, new: str) -> tuple[str, str]:
    same = count_same(old, new)
    if same <= BEFORE:
        return old[:PREVIEW], new[:PREVIEW]
    start = same - BEFORE
    return f"… {old[start:][:PREVIEW]}", f"… {new[start:][:PREVIEW]}"
