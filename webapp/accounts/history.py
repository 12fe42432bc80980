"""What happened to an account: log-ins and their ends, wrong passwords, changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from webapp import clock
from webapp.accounts.models import Event
from webapp.database import AnyRow, Database
from webapp.sessions.records import HISTORY, MOST_LISTED, Records
from webapp.sessions.service import Origin

WRONG_PASSWORD = "wrong password"  # noqa: S105
PASSWORD_CHANGED = "password changed"  # noqa: S105
WRONG_CODE = "wrong one-time code"
CODE_MADE = "one-time code made"
PASSWORD_SET = "password set with a code"  # noqa: S105
DISABLED = "log-in refused: disabled"


@dataclass(frozen=True)
class Happening:
    """One line of the history; the operator has neither address nor browser."""

    at: datetime
    what: str
    address: str
    user_agent: str
    about: str = ""


@dataclass(frozen=True)
class LastTime:
    """What to tell a person who has just logged in: the log-in before this one."""

    at: datetime
    address: str
    user_agent: str
    failures_since: int


class History:
    """What a person can look up for 90 days. Sessions are their own history."""

    def __init__(self, database: Database, records: Records) -> None:
        self._database = database
        self._records = records

    def note(
        self, db: Session, user_id: int, kind: str, origin: Origin, about: str = ""
    ) -> int:
        """Write an event in the transaction given; return its ID."""
        event = Event(
            user_id=user_id,
            kind=kind,
            created_at=clock.now(),
            address=origin.address[:45],
            user_agent=origin.user_agent[:300],
            about=about,
        )
        db.add(event)
        db.flush()
        return event.id

    def erase(self, event_id: int) -> None:
        with self._database.write() as db:
            db.execute(delete(Event).where(Event.id == event_id))

    def of_user(self, user_id: int, before: datetime | None = None) -> list[Happening]:
        """Return what happened, latest first: the latest MOST_LISTED lines.

        With `before` those before that moment: however often somebody tries wrong
        passwords, nothing is pushed out.
        """
        lines = [Happening(*event) for event in self._events(user_id, before)]
        for row in self._records.begun(user_id, before):
            where = (row.address, row.user_agent)
            lines.append(Happening(row.created_at, "logged in", *where))
        _, over = self._records.of_user(user_id, before)
        for row in over:
            reason = row.end_reason or "timed out"
            what = reason if reason == "logged out" else f"session ended: {reason}"
            where = (row.address, row.user_agent)
            lines.append(Happening(self._records.over_at(row), what, *where))
        return sorted(lines, key=lambda line: line.at, reverse=True)[:MOST_LISTED]

    def last_time(self, user_id: int, session_id: int) -> LastTime | None:
        """Return the log-in before that session's; None for the first one."""
        before = self._records.before(user_id, session_id)
        if before is None:
            return None
        failures = select(func.count()).where(
            Event.user_id == user_id,
            Event.kind.in_((WRONG_PASSWORD, WRONG_CODE)),
            Event.created_at > before.created_at,
        )
        with self._database.read() as db:
            count = db.execute(failures).scalar_one()
        return LastTime(before.created_at, before.address, before.user_agent, count)

    def export(self, user_id: int) -> Iterator[dict[str, str]]:
        lines = self.of_user(user_id)
        while lines:
            for line in lines:
                yield {
                    "at": line.at.isoformat(),
                    "what": line.what,
                    "address": line.address,
                    "user_agent": line.user_agent,
                    "about": line.about,
                }
            lines = self.of_user(user_id, before=lines[-1].at)

    def purge(self, limit: int) -> int:
        """Forget up to `limit` events that are too old; tell how many."""
        old = Event.created_at < clock.now() - HISTORY
        return self._database.delete_some(Event.id, old, limit)

    def _events(self, user_id: int, before: datetime | None) -> Sequence[AnyRow]:
        now = clock.now()
        statement = (
            select(
                Event.created_at,
                Event.kind,
                Event.address,
                Event.user_agent,
                Event.about,
            )
            .where(
                Event.user_id == user_id,
                Event.created_at > now - HISTORY,
                Event.created_at < (before or now + HISTORY),
            )
            .order_by(Event.created_at.desc(), Event.id.desc())
            .limit(MOST_LISTED)
        )
        with self._database.read() as db:
            return db.execute(statement).all()
