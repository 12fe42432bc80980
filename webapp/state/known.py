"""What the replaced records know of log-ins and a backup cannot: what has ended since.

Restoring brings back no session and no token that is over, and no one-time code.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Table, delete, insert, or_, select, update

from webapp.accounts.models import NO_CODE, Token, User
from webapp.database import AnyRow, Database, Model
from webapp.sessions.models import SessionRecord
from webapp.state import counters
from webapp.state.tables import writing

# What opens an account, and the column that says by what. Of these the records that
# are replaced know best: whatever has ended stays so.
OPENERS = {
    Model.metadata.tables[model.__tablename__]: opened_by
    for model, opened_by in ((SessionRecord, "id_hash"), (Token, "token_hash"))
}


@dataclass(frozen=True)
class Known:
    """What the records that are replaced know and the backup cannot."""

    last_ids: Mapping[str, int] = field(default_factory=dict)
    openers: Mapping[str, Sequence[AnyRow]] = field(default_factory=dict)
    people: frozenset[tuple[int, datetime]] = frozenset()


def read_known(connection: Connection) -> Known:
    """Read it from the records that will be replaced."""
    people = connection.execute(select(User.id, User.created_at)).all()
    return Known(
        last_ids=counters.last_ids(connection),
        openers={
            table.name: connection.execute(select(table)).all() for table in OPENERS
        },
        people=pairs(people),
    )


def keep_openers(staged: Database, known: Known) -> int:
    """Put what is known of sessions and tokens into the backup, and let codes go.

    A code may have been used since, also where nobody is left who knows that.
    Tells of how many sessions it differs.
    """
    with writing(staged.engine) as connection:
        people = connection.execute(select(User.id, User.created_at)).all()
        ids = {user_id for user_id, _ in known.people & pairs(people)}
        kept = {table.name: _keep(connection, table, known, ids) for table in OPENERS}
        connection.execute(update(User).values(**NO_CODE))
        counters.go_on_after(connection, known.last_ids)
        connection.commit()
    return kept[SessionRecord.__tablename__]


def _keep(
    connection: Connection, table: Table, known: Known, people: Collection[int]
) -> int:
    """Make the rows of these people those that are known; tell how many differ.

    One that was known and is not any more ended so long ago that it was forgotten.
    """
    rows = [row for row in known.openers.get(table.name, ()) if row.user_id in people]
    before = connection.execute(select(table)).all()
    there, last_id = {row.id for row in rows}, known.last_ids.get(table.name, 0)
    for row in before:
        if row.user_id in people and row.id <= last_id and row.id not in there:
            connection.execute(delete(table).where(table.c.id == row.id))
    same = set(before)
    differing = [row for row in rows if row not in same]
    opened_by = table.c[OPENERS[table]]
    for row in differing:
        values = row._asdict()
        taken = or_(table.c.id == row.id, opened_by == values[opened_by.name])
        connection.execute(delete(table).where(taken))
        connection.execute(insert(table), values)
    return len(differing)


def pairs(people: Sequence[AnyRow]) -> frozenset[tuple[int, datetime]]:
    """Tell people apart: an ID may be another's where a database began anew."""
    return frozenset((person.id, person.created_at) for person in people)
