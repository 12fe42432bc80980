"""What is new of a person since a page was made or last told."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import bindparam, select

from webapp import clock
from webapp.database import AnyRow, Database
from webapp.entries.service import Entries
from webapp.sessions.copies import Copy
from webapp.sessions.models import SessionRecord
from webapp.sessions.records import Records

# How long ago a log-in can be that a page which has just been opened tells of.
JUST_NOW = timedelta(hours=1)

KNOWN = re.compile(r"(\d{1,19})-(\d{1,19})-(\d{1,19})-(\d{1,19})", re.ASCII)

MINE = SessionRecord.user_id == bindparam("user_id")
UNENDED = SessionRecord.ended_at.is_(None)
RECORD = select(
    SessionRecord.last_seen_at,
    SessionRecord.expires_at,
    SessionRecord.ended_at,
    SessionRecord.end_reason,
    SessionRecord.kept,
).where(SessionRecord.id == bindparam("id"))
LOG_INS = (
    select(
        SessionRecord.id,
        SessionRecord.created_at,
        SessionRecord.address,
        SessionRecord.user_agent,
        SessionRecord.last_seen_at,
        SessionRecord.expires_at,
        SessionRecord.ended_at,
        SessionRecord.kept,
    )
    .where(MINE, UNENDED, SessionRecord.id > bindparam("last"))
    .order_by(SessionRecord.id)
)


@dataclass(frozen=True)
class Known:
    """What a page knows: it is out of date when one of these is another number.

    `entries` grows with each write of the person's; `latest`, `number` and `last_end`
    are what `Records.changes` says of their sessions.
    """

    entries: int
    latest: int
    number: int
    last_end: int

    def __str__(self) -> str:
        return f"{self.entries}-{self.sessions}"

    @property
    def sessions(self) -> str:
        return f"{self.latest}-{self.number}-{self.last_end}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read what `str` wrote; None for anything else."""
        found = KNOWN.fullmatch(text)
        return cls(*map(int, found.groups())) if found else None


@dataclass(frozen=True)
class Ended:
    """The session of the page is over, for this reason."""

    reason: str


@dataclass(frozen=True)
class News:
    """What is known now, who has logged in since, and until when the session lasts."""

    known: Known
    log_ins: list[AnyRow]
    until: datetime


class Live:
    """Looks for news in the records; never counts as use of the session."""

    def __init__(self, database: Database, records: Records, entries: Entries) -> None:
        self._database = database
        self._records = records
        self._entries = entries

    def look(self, copy: Copy, before: Known | None) -> News | Ended:
        """Look what is new since `before`; None: since a page was made just now."""
        user_id, record_id = copy.user_id, copy.record_id
        known = Known(self._entries.version(user_id), *self._records.changes(user_id))
        last = max(record_id, before.latest if before else 0)
        with self._database.read() as db:
            record = db.execute(RECORD, {"id": record_id}).first()
            if record is None or self._records.is_over(record):
                return Ended(record.end_reason or "timed out" if record else "deleted")
            given = {"user_id": user_id, "last": last}
            newer = db.execute(LOG_INS, given).all() if known.latest > last else ()
        return News(known, self._fresh(newer, before), self._records.over_at(record))

    def _fresh(self, rows: Sequence[AnyRow], before: Known | None) -> list[AnyRow]:
        since = clock.now() - JUST_NOW
        return [
            row
            for row in rows
            if (before or row.created_at > since) and not self._records.is_over(row)
        ]
