"""The rows of sessions: how long each is alive, and what is read and written of it."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CursorResult,
    bindparam,
    desc,
    func,
    select,
    update,
)
from sqlalchemy.exc import OperationalError

from webapp import clock
from webapp.database import AnyRow, Database, briefly
from webapp.sessions.activity import active_also_at, name_hours
from webapp.sessions.everybodys import BATCH, Everybodys
from webapp.sessions.models import SessionRecord, Timeouts

SEEN_INTERVAL = timedelta(minutes=1)
# How long a session that is over stays in the person's history.
HISTORY = timedelta(days=90)
# Of those over, on one page.
MOST_LISTED = 30

BY_HASH = select(
    SessionRecord.id,
    SessionRecord.user_id,
    SessionRecord.created_at,
    SessionRecord.last_seen_at,
    SessionRecord.confirmed_at,
    SessionRecord.expires_at,
    SessionRecord.ended_at,
    SessionRecord.kept,
    SessionRecord.active_hours,
).where(SessionRecord.id_hash == bindparam("id_hash"))
MINE = SessionRecord.user_id == bindparam("user_id")
UNENDED = (MINE, SessionRecord.ended_at.is_(None))
# Others whenever one of the person's sessions begins or ends: the newest that did not
# end, how many did not, and when the last one did.
CHANGES = (
    select(func.max(SessionRecord.id))
    .where(*UNENDED)
    .scalar_subquery()
    .label("newest"),
    select(func.count()).where(*UNENDED).scalar_subquery().label("unended"),
    select(func.max(SessionRecord.ended_at)).where(MINE).scalar_subquery().label("end"),
)
OF_USER = select(*SessionRecord.__table__.c).where(MINE)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """A session that has just been ended, and whose it was."""

    id_hash: str
    user_id: int


def hash_id(session_id: str) -> str:
    """Name a session, everywhere but in its cookie; 256 random bits need no salt."""
    return hashlib.sha256(session_id.encode()).hexdigest()


class Records:
    """The sessions in the database. Each verb joins the transaction that is open."""

    def __init__(self, database: Database, usual: Timeouts, kept: Timeouts) -> None:
        self._database = database
        self._timeouts = {False: usual, True: kept}
        self.everybodys = Everybodys(database, self._timeouts)

    def timeouts(self, kept: bool) -> Timeouts:
        return self._timeouts[kept]

    def copy_timeout(self, kept: bool) -> int:
        """Seconds that a store has to keep a copy, a little longer than it counts."""
        return int(self._timeouts[kept].idle.total_seconds()) + 60

    def add(self, record: SessionRecord) -> SessionRecord:
        with self._database.write() as db:
            db.add(record)
            db.flush()
            return record

    def find(self, id_hash: str) -> AnyRow | None:
        with self._database.read() as db:
            return db.execute(BY_HASH, {"id_hash": id_hash}).first()

    def version(self, user_id: int) -> str:
        """Return what changes whenever one of the person's sessions begins or ends."""
        with self._database.read() as db:
            return version_of(db.execute(select(*CHANGES), {"user_id": user_id}).one())

    def hash_of(self, session_id: int) -> str | None:
        """Return the hash of the ID that the session has now."""
        statement = select(SessionRecord.id_hash).where(SessionRecord.id == session_id)
        with self._database.read() as db:
            return db.scalar(statement)

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
            with briefly(), self._database.write() as db:
                # Of two requests at once the first notes it for both.
                db.execute(
                    update(SessionRecord)
                    .where(
                        SessionRecord.id == record.id,
                        SessionRecord.last_seen_at == record.last_seen_at,
                    )
                    .values(last_seen_at=now, active_hours=active_also_at(now, record))
                )
        except OperationalError as error:
            # A full disk is no reason to refuse reading, nor who writes meanwhile.
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

    def end(self, reason: str, *conditions: Any) -> list[Ended]:
        """End up to BATCH of the sessions meant that are alive; return those ended.

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
            return [Ended(record.id_hash, record.user_id) for record in records]

    def make_room(self, user_id: int, most: int) -> list[Ended]:
        """End the person's oldest sessions until one more fits; return those ended."""
        unended = OF_USER.where(SessionRecord.ended_at.is_(None)).order_by(desc("id"))
        with self._database.write() as db:
            rows = db.execute(unended, {"user_id": user_id}).all()
            over = [row.id for row in rows if self.is_over(row)]
            alive = [row.id for row in rows if not self.is_over(row)]
            ids = over + alive[most - 1 :]
            return self.end("replaced", SessionRecord.id.in_(ids)) if ids else []

    def of_user(
        self, user_id: int, before: datetime | None = None
    ) -> tuple[list[AnyRow], list[AnyRow]]:
        """Return the person's sessions: alive, last seen first; and over, latest first.

        Those over stay listed for HISTORY: the latest MOST_LISTED, or those that ended
        before that moment.
        """
        now = clock.now()
        since, until = now - HISTORY, before or now + HISTORY
        open_ones = OF_USER.where(SessionRecord.ended_at.is_(None))
        ended_ones = (
            OF_USER.where(
                SessionRecord.ended_at > since, SessionRecord.ended_at < until
            )
            .order_by(SessionRecord.ended_at.desc())
            .limit(MOST_LISTED)
        )
        with self._database.read() as db:
            unended = db.execute(open_ones, {"user_id": user_id}).all()
            over = list(db.execute(ended_ones, {"user_id": user_id}))
        alive = [row for row in unended if not self.is_over(row)]
        timed_out = [row for row in unended if self.is_over(row)]
        over += [row for row in timed_out if since < self.over_at(row) < until]
        alive.sort(key=lambda row: (row.last_seen_at, row.id), reverse=True)
        over.sort(key=lambda row: (self.over_at(row), row.id), reverse=True)
        return alive, over[:MOST_LISTED]

    def begun(self, user_id: int, before: datetime | None) -> Sequence[AnyRow]:
        """Return the person's log-ins, latest first, as `of_user` those over."""
        now = clock.now()
        statement = (
            OF_USER.where(
                SessionRecord.created_at > now - HISTORY,
                SessionRecord.created_at < (before or now + HISTORY),
            )
            .order_by(SessionRecord.created_at.desc(), SessionRecord.id.desc())
            .limit(MOST_LISTED)
        )
        with self._database.read() as db:
            return db.execute(statement, {"user_id": user_id}).all()

    def export(self, user_id: int) -> Iterator[dict[str, Any]]:
        """Give the person's sessions one by one, as JSON can say them."""
        alive, over = self.of_user(user_id)
        yield from map(self._describe, alive)
        while over:
            yield from map(self._describe, over)
            _, over = self.of_user(user_id, before=self.over_at(over[-1]))

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
        old = SessionRecord.expires_at < clock.now() - HISTORY
        return self._database.delete_some(SessionRecord.id, old, limit)

    def _describe(self, row: AnyRow) -> dict[str, Any]:
        return {
            "started_at": row.created_at.isoformat(),
            "last_seen_at": row.last_seen_at.isoformat(),
            "ends_at": self.over_at(row).isoformat(),
            "end_reason": row.end_reason,
            "kept": row.kept,
            "address": row.address,
            "user_agent": row.user_agent,
            "active_hours": name_hours(row),
        }


def version_of(row: AnyRow) -> str:
    """Write the CHANGES of a row."""
    end = round(row.end.timestamp() * 1_000_000) if row.end else 0
    return f"{row.newest or 0}-{row.unended}-{end}"
