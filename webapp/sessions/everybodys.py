"""All sessions there are, counted and gone through in steps that others get between."""

from collections.abc import Iterator, Mapping

from sqlalchemy import bindparam, func, or_, select

from webapp import clock
from webapp.database import Database
from webapp.pace import let_others_go
from webapp.sessions.models import SessionRecord, Timeouts

BATCH = 1000
# Sessions counted in one statement: 4 ms on SQLite, where all others wait for it.
COUNTED = 20_000


class Everybodys:
    """The sessions of everybody; `timeouts` are those of the kept ones by True."""

    def __init__(self, database: Database, timeouts: Mapping[bool, Timeouts]) -> None:
        self._database = database
        self._timeouts = timeouts

    def count_alive(self) -> int:
        """Tell how many sessions there are, of everybody; serves others meanwhile."""
        now = clock.now()
        times = [
            (SessionRecord.kept == kept)
            & (SessionRecord.last_seen_at > now - each.idle)
            for kept, each in self._timeouts.items()
        ]
        alive = (SessionRecord.ended_at.is_(None), SessionRecord.expires_at > now)
        statement = select(func.count()).where(*alive, or_(*times))
        with self._database.read() as db:
            last = db.scalar(select(func.max(SessionRecord.id))) or 0
        total = 0
        for first in range(1, last + 1, COUNTED):
            some = SessionRecord.id.between(first, first + COUNTED - 1)
            with self._database.read() as db:
                total += db.scalar(statement.where(some)) or 0
            let_others_go()
        return total

    def count_unended(self) -> int:
        statement = select(func.count()).where(SessionRecord.ended_at.is_(None))
        with self._database.read() as db:
            return db.scalar(statement) or 0

    def unended(self) -> Iterator[list[str]]:
        """Give the hashes of everybody's sessions that did not end, in steps."""
        statement = (
            select(SessionRecord.id, SessionRecord.id_hash)
            .where(
                SessionRecord.ended_at.is_(None), SessionRecord.id > bindparam("last")
            )
            .order_by(SessionRecord.id)
            .limit(BATCH)
        )
        last = 0
        while True:
            with self._database.read() as db:
                rows = db.execute(statement, {"last": last}).all()
            if not rows:
                return
            yield [row.id_hash for row in rows]
            last = rows[-1].id
