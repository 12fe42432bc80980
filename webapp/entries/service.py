"""Keep, find, change and delete a person's entries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp import clock
from webapp.database import AnyRow, Database
from webapp.entries.inputs import ListQuery, NewEntry, NewValue
from webapp.entries.listing import Page, read_labels, read_page
from webapp.entries.models import Content, Entry, Usage
from webapp.entries.rotation import Rotation
from webapp.entries.secret_values import SecretValues
from webapp.entries.spans import MINE, NOT_OVER
from webapp.entries.takeout import STEP, export_one, read_all
from webapp.entries.writing import Writing
from webapp.errors import HoldfastError, NotFound, Taken

VERSION = select(Usage.version).where(Usage.user_id == bindparam("user_id"))
# For reading: a row of columns costs half of what an object to be changed does.
READ = select(
    *Entry.__table__.c, VERSION.scalar_subquery().label("version_of_all")
).where(MINE, Entry.key == bindparam("key"), NOT_OVER)
READ_ALL = select(*Entry.__table__.c).where(
    MINE, Entry.key.in_(bindparam("keys", expanding=True)), NOT_OVER
)
KEY = select(Entry.key).where(MINE, Entry.id == bindparam("number"), NOT_OVER)
TOTALS = select(Usage.entries, Usage.size).where(Usage.user_id == bindparam("user_id"))
RECENT = select(func.count()).where(MINE, Entry.updated_at >= bindparam("since"))
EXPORT = (
    select(*Entry.__table__.c)
    .where(MINE, NOT_OVER, Entry.id > bindparam("last"))
    .order_by(Entry.id)
    .limit(STEP)
)
EXPORT_SECRET = EXPORT.where(Entry.encrypted_by.is_not(None))
KEY_OF_SECRET = select(Entry.encrypted_by).where(MINE, Entry.key == bindparam("key"))
NEXT_END = select(func.min(Entry.expires_at)).where(
    MINE, Entry.expires_at > bindparam("now")
)


@dataclass(frozen=True)
class Figures:
    """How much a person has."""

    entries: int
    size: int
    changed_this_week: int


class Changed(HoldfastError):
    """The entry is not what the writer saw: `entry` is what it is now, None if gone."""

    def __init__(self, entry: Entry | None) -> None:
        super().__init__("This entry was changed elsewhere in the meantime.")
        self.entry = entry
        self.status = Taken.status if entry else NotFound.status


class Entries:
    """The named values of all people; every verb says whose. Each is one transaction.

    An entry's `version` is compared on every write, so that of two writers who saw
    the same one, the second is told (Changed) and nothing is overwritten.
    """

    def __init__(
        self, database: Database, writing: Writing, secret_values: SecretValues
    ) -> None:
        self._database = database
        self._writing = writing
        self._secret_values = secret_values
        self.quota = writing.quota
        self.at_once = writing.at_once
        self.clear = writing.clear

    def create(self, user_id: int, new: NewEntry, *, by: str = "") -> Entry:
        """Keep a value under a new key; raises Taken, TooLarge or QuotaReached.

        `by` says who writes: a browser as it calls itself, or a token's name.
        """
        self._writing.check(new)
        try:
            return self._create(user_id, new, by)
        except IntegrityError:
            # Another process was first, with this key or with any.
            return self._create(user_id, new, by)

    def _create(self, user_id: int, new: NewEntry, by: str) -> Entry:
        with self._writing.begin(user_id) as (db, usage):
            if self._writing.find(db, usage, new.key):
                raise Taken(key="You have an entry with this key already.")
            return _detach(db, self._writing.make(db, usage, new, by))

    def change(
        self, user_id: int, key: str, version: int, new: NewValue, *, by: str = ""
    ) -> Entry:
        """Replace the value that had this version; raises Changed when it has not.

        Labels and the end stay as they are where `new` does not say them.
        """
        self._writing.check(new)
        with self._writing.begin(user_id) as (db, usage):
            entry = self._find_version(db, usage, key, version)
            self._writing.replace(db, usage, entry, new, by)
            return _detach(db, entry)

    def delete(self, user_id: int, key: str, version: int, *, by: str = "") -> int:
        """Move the entry that had this version to the bin; return its number there.

        Raises Changed or NotFound.
        """
        with self._writing.begin(user_id) as (db, usage):
            entry = self._find_version(db, usage, key, version)
            return self._writing.bin(db, usage, entry, by).id

    def _find_version(self, db: Session, usage: Usage, key: str, version: int) -> Entry:
        entry = self._writing.find(db, usage, key)
        if entry is None or entry.version != version:
            if entry:
                db.expunge(entry)
            raise Changed(entry)
        return entry

    def get(self, user_id: int, key: str) -> AnyRow:
        """Return one entry as it is kept; NotFound also when it is somebody else's.

        `version_of_all` is what `version` says at the same moment.
        """
        with self._database.read() as db:
            given = {"user_id": user_id, "key": key, "now": clock.now()}
            entry = db.execute(READ, given).first()
        if entry is None:
            raise NotFound("You have no entry with this key.")
        return entry

    def key_of(self, user_id: int, number: int) -> str:
        """Return the key of the person's entry with this ID; raises NotFound."""
        given = {"user_id": user_id, "number": number, "now": clock.now()}
        with self._database.read() as db:
            key = db.execute(KEY, given).scalar()
        if key is None:
            raise NotFound("This entry is not there any more.")
        return str(key)

    def get_all(self, user_id: int, keys: Sequence[str]) -> dict[str, AnyRow]:
        """Return those that there are under some keys, by their key."""
        given = {"user_id": user_id, "keys": keys, "now": clock.now()}
        with self._database.read() as db:
            return {row.key: row for row in db.execute(READ_ALL, given)}

    def reveal(self, entry: AnyRow | Content) -> str | None:
        """Return the value of any entry; None where a secret one cannot be read."""
        return self._secret_values.reveal(entry)

    def is_secret(self, user_id: int, key: str) -> bool:
        """Tell whether there is such an entry, and its value is secret."""
        with self._database.read() as db:
            given = {"user_id": user_id, "key": key}
            return db.execute(KEY_OF_SECRET, given).scalar() is not None

    @property
    def can_be_secret(self) -> bool:
        return bool(self._secret_values.keys)

    def rotation(self) -> Rotation:
        return Rotation(self._database, self._secret_values)

    def page(self, user_id: int, query: ListQuery) -> Page:
        """Return PAGE entries, newest first.

        The ends of a page are entries, not counts: what is added, changed or deleted
        meanwhile never makes another entry appear twice or not at all.
        """
        with self._database.read() as db:
            return read_page(db, user_id, query)

    def labels(self, user_id: int, after: str = "") -> list[tuple[str, int]]:
        """Return LISTED_LABELS of the person and how many entries have each, in order.

        They follow the label `after`.
        """
        with self._database.read() as db:
            return read_labels(db, user_id, after)

    def totals(self, user_id: int) -> tuple[int, int]:
        """Return how many entries a person has, and how many bytes they take."""
        with self._database.read() as db:
            row = db.execute(TOTALS, {"user_id": user_id}).first()
        return (row.entries, row.size) if row else (0, 0)

    def figures(self, user_id: int) -> Figures:
        week = clock.now() - timedelta(days=7)
        entries, size = self.totals(user_id)
        with self._database.read() as db:
            given = {"user_id": user_id}
            recent = db.execute(RECENT, given | {"since": week}).scalar_one()
            return Figures(entries, size, recent)

    def export(self, user_id: int) -> Iterator[dict[str, Any]]:
        """Give the person's entries one by one, first made first."""
        given = {"user_id": user_id, "now": clock.now()}
        for row in read_all(self._database, EXPORT, given):
            end = row.expires_at and row.expires_at.isoformat()
            yield export_one(row, self.reveal(row)) | {"expires_at": end}

    def count_unreadable(self, user_id: int) -> int:
        """Count those whose secret value is left out of an export."""
        given = {"user_id": user_id, "now": clock.now()}
        rows = read_all(self._database, EXPORT_SECRET, given)
        return sum(self.reveal(row) is None for row in rows)

    def version(self, user_id: int) -> int:
        """Return the number of the person's last write; see `Usage`."""
        with self._database.read() as db:
            return db.execute(VERSION, {"user_id": user_id}).scalar() or 0

    def seconds_left(self, user_id: int) -> float | None:
        """Tell when the next entry ends, in seconds from now; None: none does."""
        now = clock.now()
        with self._database.read() as db:
            end = db.execute(NEXT_END, {"user_id": user_id, "now": now}).scalar()
        return (end - now).total_seconds() if end else None


def _detach(db: Session, entry: Entry) -> Entry:
    db.flush()
    db.refresh(entry)
    db.expunge(entry)
    return entry
