"""What a person can take along: their values, one by one, first made first."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Select

from webapp.database import AnyRow, Database
from webapp.entries.models import labels_of
from webapp.entries.secret_values import UNREADABLE
from webapp.pace import let_others_go

# Rows that are read at a time; each may have 256 kB.
STEP = 20


def read_all(
    database: Database, statement: Select[*tuple[Any, ...]], given: dict[str, Any]
) -> Iterator[AnyRow]:
    """Give what it selects, STEP rows at a time, those with an ID after `last`."""
    last = 0
    while True:
        with database.read() as db:
            rows = db.execute(statement, given | {"last": last}).all()
        for row in rows:
            last = row.id
            yield row
        if len(rows) < STEP:
            return
        let_others_go()


def export_one(row: AnyRow, value: str | None) -> dict[str, Any]:
    """Describe an entry or an earlier value; `value` is None where it is unreadable."""
    return {
        "key": row.key,
        "kind": row.kind,
        "secret": row.encrypted_by is not None,
        "value": value,
        **({"missing": UNREADABLE} if value is None else {}),
        "labels": labels_of(row),
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }
