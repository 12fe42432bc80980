"""Keep, find, change and delete a person's entries."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.cache import CachedValues
from webapp.database import AnyRow, Database
from webapp.entries.inputs import ListQuery, NewEntry, NewValue
from webapp.entries.models import Entry, Usage
from webapp.errors import HoldfastError, NotFound, QuotaReached, Taken, TooLarge

PAGE = 20
PREVIEW = 120

MINE = Entry.user_id == bindparam("user_id")
ONE = select(Entry).where(MINE, Entry.key == bindparam("key"))
LIST = select(
    Entry.id,
    Entry.key,
    Entry.kind,
    func.substr(Entry.value, 1, PREVIEW).label("preview"),
    Entry.size,
    Entry.updated_at,
).where(MINE)
FIRST = LIST.order_by(Entry.id.desc()).limit(PAGE + 1)
TOTALS = select(Usage.entries, Usage.size).where(Usage.user_id == bindparam("user_id"))
RECENT = select(func.count()).where(MINE, Entry.updated_at >= bindparam("since"))
EXPORT = (
    select(
        Entry.id,
        Entry.key,
        Entry.kind,
        Entry.value,
        Entry.created_at,
        Entry.updated_at,
    )
    .where(MINE, Entry.id > bindparam("last"))
    .order_by(Entry.id)
    .limit(PAGE)
)
VERSION = select(Usage.version).where(Usage.user_id == bindparam("user_id"))


@dataclass(frozen=True)
class Quota:
    """What one person can keep; sizes in bytes of UTF-8."""

    entries: int
    size: int
    value_size: int


@dataclass(frozen=True)
class Page:
    """A part of the list, newest first.

    `newer` and `older` are the IDs to go on from, None at the ends.
    """

    rows: Sequence[AnyRow]
    newer: int | None
    older: int | None


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

    def __init__(self, database: Database, cached: CachedValues, quota: Quota) -> None:
        self._database = database
        self._cached = cached
        self.quota = quota

    def create(self, user_id: int, new: NewEntry) -> Entry:
        """Keep a value under a new key; raises Taken, TooLarge or QuotaReached."""
        self._check_size(new)
        try:
            return self._create(user_id, new)
        except IntegrityError:
            # Another process was first, with this key or with any.
            return self._create(user_id, new)

    def _create(self, user_id: int, new: NewEntry) -> Entry:
        with self._writing(user_id) as (db, usage):
            if _find(db, user_id, new.key):
                raise Taken(key="You have an entry with this key already.")
            now = datetime.now(UTC)
            entry = Entry(user_id=user_id, key=new.key, size=0, created_at=now)
            usage.entries += 1
            self._fill(entry, usage, new)
            db.add(entry)
            return _detach(db, entry)

    def change(self, user_id: int, key: str, version: int, new: NewValue) -> Entry:
        """Replace the value that had this version; raises Changed when it has not."""
        self._check_size(new)
        with self._writing(user_id) as (db, usage):
            entry = _find_version(db, user_id, key, version)
            self._fill(entry, usage, new)
            return _detach(db, entry)

    def delete(self, user_id: int, key: str, version: int) -> None:
        """Delete the entry that had this version; raises Changed or NotFound."""
        with self._writing(user_id) as (db, usage):
            entry = _find_version(db, user_id, key, version)
            usage.entries -= 1
            usage.size -= entry.size
            db.delete(entry)

    def get(self, user_id: int, key: str) -> Entry:
        """Return one entry; NotFound also when it is somebody else's."""
        with self._database.read() as db, Session(db) as session:
            if entry := _find(session, user_id, key):
                session.expunge(entry)
                return entry
        raise NotFound("You have no entry with this key.")

    def page(self, user_id: int, query: ListQuery) -> Page:
        """Return PAGE entries, newest first.

        The ends of a page are entries, not counts: what is added, changed or deleted
        meanwhile never makes another entry appear twice or not at all.
        """
        statement = _part(query)
        with self._database.read() as db:
            rows = db.execute(statement, {"user_id": user_id}).all()
        more, rows = len(rows) > PAGE, rows[:PAGE]
        if query.after:
            rows = rows[::-1]
        has_newer = more if query.after else query.before is not None
        has_older = query.after is not None or more
        return Page(
            rows,
            newer=rows[0].id if rows and has_newer else None,
            older=rows[-1].id if rows and has_older else None,
        )

    def figures(self, user_id: int) -> Figures:
        week = datetime.now(UTC) - timedelta(days=7)
        with self._database.read() as db:
            given = {"user_id": user_id}
            entries, size = db.execute(TOTALS, given).first() or (0, 0)
            recent = db.execute(RECENT, given | {"since": week}).scalar_one()
            return Figures(entries, size, recent)

    def export(self, user_id: int) -> Iterator[dict[str, str]]:
        """Give the person's entries one by one, first made first."""
        last = 0
        given = {"user_id": user_id}
        while True:
            with self._database.read() as db:
                rows = db.execute(EXPORT, given | {"last": last}).all()
            for row in rows:
                last = row.id
                yield {
                    "key": row.key,
                    "kind": row.kind,
                    "value": row.value,
                    "created_at": row.created_at.isoformat(),
                    "updated_at": row.updated_at.isoformat(),
                }
            if len(rows) < PAGE:
                return

    def version(self, user_id: int) -> int:
        """Return the number of the person's last write; see `Usage`."""
        with self._database.read() as db:
            return db.execute(VERSION, {"user_id": user_id}).scalar() or 0

    @contextmanager
    def _writing(self, user_id: int) -> Iterator[tuple[Session, Usage]]:
        with self._cached.changing(user_id), self._database.write() as db:
            usage = db.get(Usage, user_id, with_for_update=True)
            if usage is None:
                usage = Usage(user_id=user_id, version=0, entries=0, size=0)
                db.add(usage)
            usage.version += 1
            yield db, usage

    def _fill(self, entry: Entry, usage: Usage, new: NewValue) -> None:
        size = len(entry.key.encode()) + len(new.value.encode())
        growth = size - entry.size
        usage.size += growth
        # Whoever is over a limit that was lowered can still shorten what they have.
        if growth > 0:
            self._check_quota(usage)
        entry.kind, entry.value, entry.size = new.kind, new.value, size
        entry.version = usage.version
        entry.updated_at = datetime.now(UTC)

    def _check_size(self, new: NewValue) -> None:
        size = len(new.value.encode())
        if size > self.quota.value_size:
            raise TooLarge(
                value=f"The value has {size:,} bytes; at most "
                f"{self.quota.value_size:,} can be kept in one entry."
            )

    def _check_quota(self, usage: Usage) -> None:
        if usage.entries > self.quota.entries:
            raise QuotaReached(
                key=f"You have {self.quota.entries:,} entries, and no more can be "
                "kept. Delete some first."
            )
        if usage.size > self.quota.size:
            raise QuotaReached(
                value=f"Your entries would take {usage.size:,} bytes; "
                f"{self.quota.size:,} are yours. Delete some first."
            )


def _find(db: Session, user_id: int, key: str) -> Entry | None:
    return db.execute(ONE, {"user_id": user_id, "key": key}).scalar()


def _find_version(db: Session, user_id: int, key: str, version: int) -> Entry:
    entry = _find(db, user_id, key)
    if entry is None or entry.version != version:
        if entry:
            db.expunge(entry)
        raise Changed(entry)
    return entry


def _detach(db: Session, entry: Entry) -> Entry:
    db.flush()
    db.refresh(entry)
    db.expunge(entry)
    return entry


def _part(query: ListQuery) -> Select[Any]:
    if query == ListQuery():
        return FIRST
    statement = _search(query.q)
    if query.after:
        statement = statement.where(Entry.id > query.after).order_by(Entry.id)
    elif query.before:
        statement = statement.where(Entry.id < query.before)
    if not query.after:
        statement = statement.order_by(Entry.id.desc())
    return statement.limit(PAGE + 1)


def _search(words: str) -> Select[Any]:
    if not words:
        return LIST
    found = or_(
        Entry.key.icontains(words, autoescape=True),
        Entry.value.icontains(words, autoescape=True),
    )
    return LIST.where(found)
