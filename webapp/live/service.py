"""What is new of a person since a page was made or last told."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import bindparam, select

from webapp import clock
from webapp.database import AnyRow, Database
from webapp.entries.service import VERSION
from webapp.sessions.copies import Copy
from webapp.sessions.models import SessionRecord
from webapp.sessions.records import CHANGES, UNENDED, Records, version_of

# How long ago a log-in can be that a page which has just been opened tells of.
JUST_NOW = timedelta(hours=1)

GONE = "there is no such account any more"
KNOWN = re.compile(r"(\d{1,19})-((\d{1,19})-\d{1,19}-\d{1,19})", re.ASCII)

# All in one statement: a thousand pages look each fifteen seconds.
NOW = select(
    SessionRecord.last_seen_at,
    SessionRecord.expires_at,
    SessionRecord.ended_at,
    SessionRecord.end_reason,
    SessionRecord.kept,
    VERSION.scalar_subquery().label("entries"),
    *CHANGES,
).where(SessionRecord.id == bindparam("id"))
NEWER = (
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
    .where(*UNENDED, SessionRecord.id > bindparam("id"))
    .order_by(SessionRecord.id)
)


@dataclass(frozen=True)
class Known:
    """What a page knows: it is out of date when one of the versions is another.

    `newest` is the person's newest session that is alive.
    """

    entries: int
    sessions: str
    newest: int

    def __str__(self) -> str:
        return f"{self.entries}-{self.sessions}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read what `str` wrote; None for anything else."""
        found = KNOWN.fullmatch(text)
        return cls(int(found[1]), found[2], int(found[3])) if found else None


@dataclass(frozen=True)
class Ended:
    """The session of the page is over, for this reason."""

    reason: str


@dataclass(frozen=True)
class News:
    """What is known now, and until when the session lasts if nobody uses it.

    `newer` are the person's sessions that are newer than this one and alive, and
    `log_ins` those of them that the page has not been told of; empty where no session
    began or ended.
    """

    known: Known
    newer: list[AnyRow]
    log_ins: list[AnyRow]
    until: datetime


class Live:
    """Looks for news in the records; never counts as use of the session."""

    def __init__(self, database: Database, records: Records) -> None:
        self._database = database
        self._records = records

    def look(self, copy: Copy, before: Known | None) -> News | Ended:
        """Look what is new since `before`; None: since a page was made just now."""
        given = {"user_id": copy.user_id, "id": copy.record_id}
        with self._database.read() as db:
            now = db.execute(NOW, given).first()
            if now is None or self._records.is_over(now):
                return Ended(now.end_reason or "timed out" if now else GONE)
            known = Known(now.entries or 0, version_of(now), now.newest)
            is_same = before is not None and before.sessions == known.sessions
            rows = () if is_same else db.execute(NEWER, given).all()
        newer = [row for row in rows if not self._records.is_over(row)]
        until = self._records.over_at(now)
        return News(known, newer, _not_told(newer, before), until)


def _not_told(newer: list[AnyRow], before: Known | None) -> list[AnyRow]:
    if before:
        return [row for row in newer if row.id > before.newest]
    since = clock.now() - JUST_NOW
    return [row for row in newer if row.created_at > since]
