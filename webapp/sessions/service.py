"""Start, resume, save and end sessions.

The record in the database is the authority; the store has a fast copy of it. What is
in the store may vanish at any time and nobody is logged out. What has ended in the
database is over, whatever the store says.
"""

import hashlib
import logging
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import ValidationError
from sqlalchemy import CursorResult, bindparam, delete, select, update
from sqlalchemy.exc import OperationalError

from webapp.database import AnyRow, Database
from webapp.errors import StoreUnavailable
from webapp.sessions.copies import Copy, merge
from webapp.sessions.models import SessionRecord
from webapp.stores import Store

SEEN_INTERVAL = timedelta(minutes=1)
HISTORY = timedelta(days=90)
FLASHES = "_flashes"
SAVE_ATTEMPTS = 100

BY_HASH = select(
    SessionRecord.id,
    SessionRecord.user_id,
    SessionRecord.last_seen_at,
    SessionRecord.expires_at,
    SessionRecord.ended_at,
).where(SessionRecord.id_hash == bindparam("id_hash"))

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """Where a log-in came from."""

    address: str
    user_agent: str


@dataclass(frozen=True)
class Started:
    """A session that has just begun; the only place where its ID can be read."""

    session_id: str
    copy: Copy


def hash_id(session_id: str) -> str:
    """Name a session, everywhere but in its cookie; 256 random bits need no salt."""
    return hashlib.sha256(session_id.encode()).hexdigest()


class Sessions:
    """How long a browser stays logged in. Every verb is one transaction."""

    def __init__(
        self,
        database: Database,
        store: Store,
        *,
        idle: timedelta,
        lifetime: timedelta,
        trust: timedelta,
    ) -> None:
        self._database = database
        self._store = store
        self._idle = idle
        self._lifetime = lifetime
        self._trust = trust.total_seconds()
        # A copy that an earlier process could not delete is not believed.
        self._began = time.time()

    def start(self, user_id: int, origin: Origin, **data: Any) -> Started:
        """Begin a session; once this returned its record is on the disk."""
        session_id = secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        record = SessionRecord(
            id_hash=hash_id(session_id),
            user_id=user_id,
            created_at=now,
            last_seen_at=now,
            expires_at=now + self._lifetime,
            address=origin.address[:45],
            user_agent=origin.user_agent[:300],
        )
        with self._database.write() as db:
            db.add(record)
            db.flush()
            copy = Copy(
                id_hash=record.id_hash,
                record_id=record.id,
                user_id=user_id,
                last_seen_at=now.timestamp(),
                expires_at=record.expires_at.timestamp(),
                checked_at=time.time(),
                data=data,
            )
            self._database.after_commit(lambda: self._add(copy))
        return Started(session_id, copy)

    def resume(self, session_id: str) -> Copy | None:
        """Return the session with this ID, None when there is none or it is over."""
        id_hash = hash_id(session_id)
        copy = self._read(id_hash)
        if copy and self._is_trusted(copy):
            return copy
        return self._resume_from_record(id_hash, copy)

    def save(self, copy: Copy, data: dict[str, Any]) -> None:
        """Keep what this request changed, beside what others changed meanwhile.

        Raises StoreUnavailable when it cannot be kept, except for flashed messages:
        a notice that is not shown must not make a page fail.
        """
        try:
            self._save(copy, data)
        except StoreUnavailable:
            kept, wanted = ({**each, FLASHES: None} for each in (copy.data, data))
            if kept != wanted:
                raise

    def rotate(self, copy: Copy, data: dict[str, Any]) -> Started | None:
        """Give the session a new ID; the old one is nobody's from now on.

        None when the session is over or was rotated by another request.
        """
        session_id = secrets.token_urlsafe(32)
        fresh = copy.model_copy(update={"id_hash": hash_id(session_id), "data": data})
        with self._database.write() as db:
            changed = db.execute(
                update(SessionRecord)
                .where(
                    SessionRecord.id_hash == copy.id_hash,
                    SessionRecord.ended_at.is_(None),
                )
                .values(id_hash=fresh.id_hash)
            )
            assert isinstance(changed, CursorResult)  # noqa: S101
            if not changed.rowcount:
                return None
            self._database.after_commit(lambda: self._delete(copy.id_hash))
            self._database.after_commit(lambda: self._add(fresh))
        return Started(session_id, fresh)

    def end(self, copy: Copy, reason: str) -> None:
        """End one session. Neither its cookie nor a request in flight revives it."""
        self._end(SessionRecord.id == copy.record_id, reason)

    def end_all(self, user_id: int, reason: str) -> int:
        """End every session of the person; tell how many."""
        return self._end(SessionRecord.user_id == user_id, reason)

    def purge(self, limit: int) -> int:
        """Forget up to `limit` sessions that were over long ago; tell how many."""
        past = datetime.now(UTC) - HISTORY
        old = select(SessionRecord.id).where(SessionRecord.expires_at < past)
        with self._database.write() as db:
            ids = list(db.scalars(old.limit(limit)))
            db.execute(delete(SessionRecord).where(SessionRecord.id.in_(ids)))
        return len(ids)

    def _end(self, condition: Any, reason: str) -> int:
        alive = select(SessionRecord.id, SessionRecord.id_hash).where(
            condition, SessionRecord.ended_at.is_(None)
        )
        with self._database.write() as db:
            rows = db.execute(alive).all()
            db.execute(
                update(SessionRecord)
                .where(SessionRecord.id.in_([row.id for row in rows]))
                .values(ended_at=datetime.now(UTC), end_reason=reason)
            )
            for row in rows:
                self._database.after_commit(partial(self._delete, row.id_hash))
        return len(rows)

    def _is_trusted(self, copy: Copy) -> bool:
        now = time.time()
        since = max(self._began, self._store.last_trouble, now - self._trust)
        return (
            since < copy.checked_at <= now < copy.expires_at
            and now - copy.last_seen_at < self._idle.total_seconds()
        )

    def _resume_from_record(self, id_hash: str, copy: Copy | None) -> Copy | None:
        record = self._find(id_hash)
        if record is None or record.ended_at:
            if copy:
                self._delete(id_hash)
            return None
        now = datetime.now(UTC)
        if now >= record.expires_at or now - record.last_seen_at >= self._idle:
            with suppress(OperationalError):
                self._end(SessionRecord.id == record.id, "timed out")
            return None
        fresh = Copy(
            id_hash=id_hash,
            record_id=record.id,
            user_id=record.user_id,
            last_seen_at=self._touch(record, now),
            expires_at=record.expires_at.timestamp(),
            checked_at=now.timestamp(),
            data=copy.data if copy else {},
        )
        if copy:
            with suppress(StoreUnavailable):
                self._replace(fresh, copy)
        else:
            self._add(fresh)
        return fresh

    def _touch(self, record: AnyRow, now: datetime) -> float:
        """Note that the session is in use, once a minute at most."""
        if now - record.last_seen_at < min(SEEN_INTERVAL, self._idle / 4):
            return float(record.last_seen_at.timestamp())
        try:
            with self._database.write() as db:
                db.execute(
                    update(SessionRecord)
                    .where(SessionRecord.id == record.id)
                    .values(last_seen_at=now)
                )
        except OperationalError as error:
            # A full disk is no reason to refuse reading.
            log.warning("The time a session was seen was not kept: %s", error.orig)
            return float(record.last_seen_at.timestamp())
        return now.timestamp()

    def _save(self, copy: Copy, data: dict[str, Any]) -> None:
        found: Copy | None = copy
        for _ in range(SAVE_ATTEMPTS):
            if found is None:
                # Deleted meanwhile: over, or only thrown out of the store.
                found = self._resume_from_record(copy.id_hash, None)
                if found is None:
                    return
            merged = merge(copy.data, data, found.data)
            if self._replace(found.model_copy(update={"data": merged}), found):
                return
            found = self._read(copy.id_hash, strict=True)
        raise StoreUnavailable("the copy of a session kept changing")

    def _find(self, id_hash: str) -> AnyRow | None:
        with self._database.read() as db:
            return db.execute(BY_HASH, {"id_hash": id_hash}).first()

    def _read(self, id_hash: str, *, strict: bool = False) -> Copy | None:
        try:
            copy = Copy.model_validate(self._store.get(id_hash))
        except ValidationError:
            return None
        except StoreUnavailable:
            if strict:
                raise
            return None
        return copy if copy.id_hash == id_hash else None

    def _add(self, copy: Copy) -> None:
        """Put a missing copy in place; never one of a session that is over."""
        with suppress(StoreUnavailable):
            content = copy.model_dump()
            if not self._store.add(copy.id_hash, content, self._timeout):
                return
            # Whoever ended it before this look is seen by it; whoever ends it
            # afterwards deletes this copy.
            record = self._find(copy.id_hash)
            if record is None or record.ended_at:
                self._delete(copy.id_hash)

    def _replace(self, copy: Copy, expected: Copy) -> bool:
        return self._store.replace(
            copy.id_hash, copy.model_dump(), expected.model_dump(), self._timeout
        )

    def _delete(self, id_hash: str) -> None:
        with suppress(StoreUnavailable):
            self._store.delete(id_hash)

    @property
    def _timeout(self) -> int:
        return int(self._idle.total_seconds()) + 60
