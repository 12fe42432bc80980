"""The rows of sessions: how long each is alive, and what is read and written of it."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, bindparam, delete, desc, select, update
from sqlalchemy.exc import OperationalError

from webapp import clock
from webapp.database import AnyRow, Database
from webapp.sessions.models import SessionRecord

SEEN_INTERVAL = timedelta(minutes=1)
# How long a session that is over stays in the person's history.
HISTORY = timedelta(days=90)
BATCH = 1000
MOST_LISTED = 100

BY_HASH = select(
    SessionRecord.id,
    SessionRecord.user_id,
    SessionRecord.last_seen_at,
    SessionRecord.confirmed_at,
    SessionRecord.expires_at,
    SessionRecord.ended_at,
    SessionRecord.kept,
).where(SessionRecord.id_hash == bindparam("id_hash"))
OF_USER = select(*SessionRecord.__table__.c).where(
    SessionRecord.user_id == bindparam("user_id")
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timeouts:
    """When a session ends: unused for `idle`, or `lifetime` after its log-in."""

    idle: timedelta
    lifetime: timedelta


def hash_id(session_id: str) -> str:
    """Name a session, everywhere but in its cookie; 256 random bits need no salt."""
    return hashlib.sha256(session_id.encode()).hexdigest()


class Records:
    """The sessions in the database. Each verb joins the transaction that is open."""

    def __init__(self, database: Database, usual: Timeouts, kept: Timeouts) -> None:
        self._database = database
        self._timeouts = {False: usual, True: kept}

    def timeouts(self, kept: bool) -> Timeouts:
        return self._timeouts[kept]

    def add(self, record: SessionRecord) -> SessionRecord:
        with self._database.write() as db:
            db.add(record)
            db.flush()
            return record

    def find(self, id_hash: str) -> AnyRow | None:
        with self._database.read() as db:
            return db.execute(BY_HASH, {"id_hash": id_hash}).first()

    def is_over(self, record: AnyRow | SessionRecord) -> bool:
        """Tell whether its time is up, whether or not that was written down."""
        return self.over_at(record) <= clock.now()

    def over_at(self, record: AnyRow | SessionRecord) -> datetime:
        """When it ended, or will end when nobody uses it any more."""
        idle = self._timeouts[record.kept].idle
        limit = min(record.expires_at, record.last_seen_at + idle)
        return min(record.ended_at, limit) if record.ended_at else limit

    def touch(self, record: AnyRow) -> datetime:
        """Note that it is in use, once a minute at most; return when it was noted."""
        now = clock.now()
        interval = min(SEEN_INTERVAL, self._timeouts[record.kept].idle / 4)
        # A time to come is from a clock that was set back since.
        if timedelta(0) <= now - record.last_seen_at < interval:
            return record.last_seen_at  # type: ignore[no-any-return]
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
            return record.last_seen_at  # type: ignore[no-any-return]
        return now

    def rename(self, id_hash: str, /, **columns: Any) -> bool:
        """Change a session that is alive; tell whether it was."""
        with self._database.write() as db:
            changed = db.execute(
                update(SessionRecord)
                .where(
                    SessionRecord.id_hash == id_hash, SessionRecord.ended_at.is_(None)
                )
                .values(**columns)
            )
            assert isinstance(changed, CursorResult)  # noqa: S101
            return bool(changed.rowcount)

    def end(self, reason: str, *conditions: Any) -> list[str]:
        """End up to BATCH of the sessions meant that are alive; return their hashes.

        One whose time was up already ends as timed out.
        """
        alive = SessionRecord.ended_at.is_(None)
        statement = select(SessionRecord).where(alive, *conditions).limit(BATCH)
        with self._database.write() as db:
            records = db.scalars(statement).all()
            for record in records:
                over = self.is_over(record)
                record.ended_at = self.over_at(record) if over else clock.now()
                record.end_reason = "timed out" if over else reason
            db.flush()
            return [record.id_hash for record in records]

    def make_room(self, user_id: int, most: int) -> list[str]:
        """End the person's oldest sessions until one more fits; return their hashes."""
        unended = OF_USER.where(SessionRecord.ended_at.is_(None)).order_by(desc("id"))
        with self._database.write() as db:
            rows = db.execute(unended, {"user_id": user_id}).all()
            over = [row.id for row in rows if self.is_over(row)]
            alive = [row.id for row in rows if not self.is_over(row)]
            ids = over + alive[most - 1 :]
            return self.end("replaced", SessionRecord.id.in_(ids)) if ids else []

    def of_user(self, user_id: int) -> tuple[list[AnyRow], list[AnyRow]]:
        """Return the person's sessions: alive, last seen first; and over, latest first.

        Those over stay listed for HISTORY, MOST_LISTED of them at most.
        """
        open_ones = OF_USER.where(SessionRecord.ended_at.is_(None))
        ended_ones = (
            OF_USER.where(SessionRecord.ended_at > clock.now() - HISTORY)
            .order_by(SessionRecord.ended_at.desc())
            .limit(MOST_LISTED)
        )
        with self._database.read() as db:
            unended = db.execute(open_ones, {"user_id": user_id}).all()
            over = list(db.execute(ended_ones, {"user_id": user_id}))
        alive = [row for row in unended if not self.is_over(row)]
        since = clock.now() - HISTORY
        over += [
            row for row in unended if self.is_over(row) and self.over_at(row) > since
        ]
        alive.sort(key=lambda row: (row.last_seen_at, row.id), reverse=True)
        over.sort(key=lambda row: (self.over_at(row), row.id), reverse=True)
        return alive, over[:MOST_LISTED]

    def export(self, user_id: int) -> Iterator[dict[str, Any]]:
        """Give the person's sessions one by one, as JSON can say them."""
        alive, over = self.of_user(user_id)
        for row in [*alive, *over]:
            yield {
                "started_at": row.created_at.isoformat(),
                "last_seen_at": row.last_seen_at.isoformat(),
                "ends_at": self.over_at(row).isoformat(),
                "end_reason": row.end_reason,
                "kept": row.kept,
                "address": row.address,
                "user_agent": row.user_agent,
            }

    def before(self, user_id: int, session_id: int) -> AnyRow | None:
        """Return the person's session that was started before that one."""
        earlier = OF_USER.where(SessionRecord.id < session_id)
        latest = earlier.order_by(SessionRecord.id.desc()).limit(1)
        with self._database.read() as db:
            return db.execute(latest, {"user_id": user_id}).first()

    def knows_device(self, user_id: int, device_hash: str) -> bool:
        """Tell whether the person has logged in with this browser before."""
        statement = select(SessionRecord.id).where(
            SessionRecord.user_id == user_id, SessionRecord.device_hash == device_hash
        )
        with self._database.read() as db:
            return db.execute(statement.limit(1)).first() is not None

    def purge(self, limit: int) -> int:
        """Forget up to `limit` sessions that were over long ago; tell how many."""
        old = select(SessionRecord.id).where(
            SessionRecord.expires_at < clock.now() - HISTORY
        )
        with self._database.write() as db:
            ids = list(db.scalars(old.limit(limit)))
            db.execute(delete(SessionRecord).where(SessionRecord.id.in_(ids)))
        return len(ids)
