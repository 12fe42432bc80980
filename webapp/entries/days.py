"""What became of a person's entries on each day: written with each write."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from webapp import clock
from webapp.database import AnyRow, Database
from webapp.entries.models import Day, Usage

# A little more than the 53 weeks that are shown.
KEPT = timedelta(weeks=54)

DAYS: Any = Day.__table__
assert isinstance(DAYS, Table)  # noqa: S101
ADD = (
    DAYS.update()
    .where(DAYS.c.user_id == bindparam("_user"), DAYS.c.day == bindparam("_day"))
    .values(writes=DAYS.c.writes + bindparam("_writes"), size=bindparam("_size"))
)
SINCE = (
    select(Day.day, Day.writes, Day.size)
    .where(Day.user_id == bindparam("user_id"), Day.day >= bindparam("since"))
    .order_by(Day.day)
)


class Days:
    """The days of all people; every verb says whose."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def since(self, user_id: int, first: date) -> Sequence[AnyRow]:
        """Return the person's days with a change from that one on, in order."""
        with self._database.read() as db:
            return db.execute(SINCE, {"user_id": user_id, "since": first}).all()

    def export(self, user_id: int) -> Iterator[dict[str, Any]]:
        """Give the person's days one by one, as JSON can say them."""
        for row in self.since(user_id, date.min):
            yield {"day": row.day.isoformat(), "changes": row.writes, "size": row.size}

    def purge(self, limit: int) -> int:
        """Forget up to `limit` days of more than a year ago; tell how many."""
        old = Day.day < clock.now().date() - KEPT
        return self._database.delete_some(Day.id, old, limit)


@contextmanager
def counting(db: Session, usages: Sequence[Usage]) -> Iterator[Sequence[Usage]]:
    """Note in the end what changed, once for all writes that are joined to the first.

    Whoever writes holds the person's `Usage`, so nobody else makes the same day.
    """
    mine = [(usage, usage.size) for usage in usages if not usage.is_counted]
    for usage, _ in mine:
        usage.is_counted, usage.changes = True, 0
    try:
        yield usages
        for usage, before in mine:
            # What ends by itself is no change of the person's, and leaves room.
            if usage.changes or usage.size != before:
                _note(db, usage)
    finally:
        for usage, _ in mine:
            usage.is_counted = False


def _note(db: Session, usage: Usage) -> None:
    day, connection = clock.now().date(), db.connection()
    given = {"_user": usage.user_id, "_day": day}
    sums = {"_writes": usage.changes, "_size": usage.size}
    if not connection.execute(ADD, given | sums).rowcount:
        made = {"user_id": usage.user_id, "day": day}
        made |= {"writes": usage.changes, "size": usage.size}
        connection.execute(DAYS.insert(), made)
