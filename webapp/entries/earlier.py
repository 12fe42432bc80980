"""What entries were before: their history, and the bin of those that were deleted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Executable, bindparam, select
from sqlalchemy.orm import Session

from webapp import clock
from webapp.database import AnyRow, Database
from webapp.entries.inputs import NewEntry
from webapp.entries.models import Entry, PastValue, Usage
from webapp.entries.secret_values import UNREADABLE, SecretValues
from webapp.entries.takeout import STEP, export_one, read_all
from webapp.entries.writing import KEY, PAST, USER, Writing, forget_past
from webapp.errors import Invalid, NotFound, Taken

PAGE = 18

ROW = select(*PastValue.__table__.c).where(PastValue.user_id == USER)
OF_KEY = ROW.where(PastValue.key == KEY, PastValue.id < bindparam("before")).order_by(
    PastValue.id.desc()
)
ONE = ROW.where(PastValue.id == bindparam("number"))
ONE_TO_WRITE = select(PastValue).where(
    PastValue.user_id == USER, PastValue.id == bindparam("number")
)
BIN = (
    ROW.where(
        PastValue.key_deleted_at > bindparam("since"),
        PastValue.id < bindparam("before"),
    )
    .order_by(PastValue.id.desc())
    .limit(PAGE + 1)
)
EXPORT = ROW.where(PastValue.id > bindparam("last")).order_by(PastValue.id).limit(STEP)
NEWEST = 2**63 - 1
ENDED = (
    select(Entry.user_id, Entry.key)
    .where(Entry.expires_at <= bindparam("until"))
    .order_by(Entry.expires_at)
    .limit(bindparam("limit"))
)
OUTLIVED = (
    select(PastValue.id, PastValue.user_id, PastValue.key)
    .where(PastValue.key_deleted_at <= bindparam("until"))
    .order_by(PastValue.key_deleted_at)
    .limit(bindparam("limit"))
)
Act = Callable[[Session, Usage, AnyRow], object]
UP_TO = PAST.where(PastValue.key == KEY, PastValue.id <= bindparam("number"))


@dataclass(frozen=True)
class BinPage:
    """A part of the bin, deleted last first; `older` is what to go on from, or None."""

    rows: Sequence[AnyRow]
    older: int | None


class EarlierValues:
    """Earlier values of all people; every verb says whose.

    Each has a number. Those of one key make its history; one that the entry was
    deleted with is in the bin, for `lifetime`.
    """

    def __init__(
        self,
        database: Database,
        writing: Writing,
        secret_values: SecretValues,
        lifetime: timedelta,
    ) -> None:
        self._database = database
        self._writing = writing
        self._secret_values = secret_values
        self.lifetime = lifetime

    def history(
        self, user_id: int, key: str, before: int | None = None
    ) -> Sequence[AnyRow]:
        """Return the earlier values of a key, newest first; those before a number."""
        given = {"user_id": user_id, "key": key, "before": before or NEWEST}
        with self._database.read() as db:
            return db.execute(OF_KEY, given).all()

    def get(self, user_id: int, number: int) -> AnyRow:
        """Return one earlier value as it is kept; raises NotFound."""
        with self._database.read() as db:
            row = db.execute(ONE, {"user_id": user_id, "number": number}).first()
        if row is None:
            raise NotFound("This earlier value is not kept any more.")
        return row

    def as_new(self, row: AnyRow | PastValue) -> NewEntry:
        """Return what to write to have it back; raises Invalid when unreadable."""
        value = self._secret_values.reveal(row)
        if value is None:
            raise Invalid(value=UNREADABLE)
        return NewEntry.model_validate(
            {
                "key": row.key,
                "kind": row.kind,
                "value": value,
                "secret": row.encrypted_by is not None,
                "labels": row.labels,
            }
        )

    def bin(self, user_id: int, before: int | None = None) -> BinPage:
        """Return PAGE deleted entries, deleted last first."""
        given = {
            "user_id": user_id,
            "since": clock.now() - self.lifetime,
            "before": before or NEWEST,
        }
        with self._database.read() as db:
            rows = db.execute(BIN, given).all()
        older = rows[PAGE - 1].id if len(rows) > PAGE else None
        return BinPage(rows[:PAGE], older)

    def undelete(self, user_id: int, number: int, *, by: str = "") -> Entry:
        """Take an entry out of the bin; raises NotFound, Taken or QuotaReached."""
        with self._writing.begin(user_id) as (db, usage):
            past = self._find_deleted(db, usage, number)
            new = self.as_new(past)
            if self._writing.find(db, usage, past.key):
                raise Taken(key="There is an entry with this key again.")
            entry = self._writing.make(db, usage, new, by)
            entry.created_at = past.created_at
            usage.past_size -= past.size
            db.delete(past)
            db.flush()
            db.refresh(entry)
            db.expunge(entry)
            return entry

    def forget(self, user_id: int, number: int) -> None:
        """Delete for good what is in the bin; raises NotFound."""
        with self._writing.begin(user_id) as (db, usage):
            past = self._find_deleted(db, usage, number)
            _forget(db, usage, past)

    def export(self, user_id: int) -> Iterator[dict[str, Any]]:
        """Give the person's earlier values one by one, those of long ago first."""
        for row in read_all(self._database, EXPORT, {"user_id": user_id}):
            at = row.key_deleted_at and row.key_deleted_at.isoformat()
            value = self._secret_values.reveal(row)
            yield export_one(row, value) | {"deleted_at": at}

    def purge(self, limit: int) -> int:
        """Take away up to `limit` entries that have ended or were in the bin enough."""
        now = clock.now()
        return self._purge(ENDED, now, limit, self._clear_away) or self._purge(
            OUTLIVED, now - self.lifetime, limit, _forget
        )

    def _find_deleted(self, db: Session, usage: Usage, number: int) -> PastValue:
        given = {"user_id": usage.user_id, "number": number}
        past = db.execute(ONE_TO_WRITE, given).scalar()
        if past is None or past.key_deleted_at is None:
            raise NotFound("It is not in the bin any more.")
        return past

    def _purge(self, over: Executable, until: datetime, limit: int, act: Act) -> int:
        with self._database.read() as db:
            rows = db.execute(over, {"until": until, "limit": limit}).all()
        if rows:
            with self._writing.begin_all({row.user_id for row in rows}) as (db, usages):
                of_person = {usage.user_id: usage for usage in usages}
                for row in rows:
                    act(db, of_person[row.user_id], row)
        return len(rows)

    def _clear_away(self, db: Session, usage: Usage, row: AnyRow) -> None:
        # Unless it was given another end since it was looked for.
        self._writing.find(db, usage, row.key)


def _forget(db: Session, usage: Usage, past: AnyRow | PastValue) -> None:
    """Delete for good what is in the bin, and what the entry was before."""
    given = {"user_id": usage.user_id, "key": past.key, "number": past.id}
    forget_past(db, usage, db.execute(UP_TO, given).all())
