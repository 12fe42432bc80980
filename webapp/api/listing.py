"""The list of entries for programs: in the order of their keys, part by part.

A key has one place in it for ever, so what is added, changed or deleted between two
parts makes no other entry appear twice or not at all.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, func, select

from webapp import clock
from webapp.api.conditions import etag_of
from webapp.api.models import EntryInfo, ListParameters
from webapp.database import AnyRow, Database
from webapp.entries.inputs import is_legal_key
from webapp.entries.listing import has_label
from webapp.entries.models import KEY_LENGTH, LARGE, Entry, labels_of
from webapp.entries.search_index import candidates
from webapp.entries.searching import STEP_ROWS, contains, gather, one_step
from webapp.entries.spans import MINE, NOT_OVER
from webapp.errors import Invalid
from webapp.pace import let_others_go

TYPES: dict[str, Literal["application/json", "text/plain"]] = {
    "json": "application/json",
    "text": "text/plain",
}
LIST = (
    select(
        Entry.key,
        Entry.kind,
        Entry.size,
        Entry.version,
        Entry.encrypted_by,
        Entry.labels,
        Entry.expires_at,
        Entry.created_at,
        Entry.updated_at,
    )
    .where(MINE, NOT_OVER)
    .order_by(Entry.key)
)

PLACES = (
    select(Entry.id, Entry.key, Entry.size).where(MINE, NOT_OVER).order_by(Entry.key)
)

# Rows that are read by their IDs in less time than all that stand before the next.
FEW = 2000
Conditions = Sequence[ColumnElement[bool]]


class Listing:
    """Reads the list; nothing of a value is in it, and no search looks into secrets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(
        self, user_id: int, query: ListParameters, prefix: str
    ) -> tuple[list[EntryInfo], str | None]:
        """Return entries whose key begins with `prefix`, and the cursor of the next."""
        given = {"user_id": user_id, "now": clock.now()}
        chosen = [*self._under(prefix), *self._under(query.prefix), *_chosen(query)]
        with self._database.read() as db:
            kind = db.dialect.name
            if query.q and kind in SEARCHES:
                rows = SEARCHES[kind](db, query, chosen, given)
            else:
                if query.q:
                    chosen.append(contains(query.q, kind))
                part = LIST.where(*chosen).limit(query.limit + 1)
                rows = db.execute(part, given).all()
        more, rows = len(rows) > query.limit, rows[: query.limit]
        return [_describe(row) for row in rows], _encode(rows[-1].key) if more else None

    def _under(self, prefix: str) -> list[ColumnElement[bool]]:
        if not prefix:
            return []
        # LIKE would not tell capitals from small letters on SQLite.
        conditions = [func.substr(Entry.key, 1, len(prefix)) == prefix]
        if self._database.engine.dialect.name != "postgresql":
            # So the index is used. There the order is that of a language, in which a
            # word need not come after its beginning.
            last = prefix + "\U0010ffff" * (KEY_LENGTH - len(prefix))
            conditions += [Entry.key >= prefix, Entry.key <= last]
        return conditions


def _chosen(query: ListParameters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.cursor is not None:
        conditions.append(Entry.key > _decode(query.cursor))
    if query.changed_since is not None:
        conditions.append(Entry.updated_at >= query.changed_since)
    if query.label:
        conditions.append(has_label(query.label))
    return conditions


def _search_postgresql(
    db: Connection, query: ListParameters, chosen: Conditions, given: dict[str, Any]
) -> Sequence[AnyRow]:
    """Look through the next entries in order, and for the rest ask the indexes."""
    part = LIST.limit(query.limit + 1)
    matching = (*chosen, contains(query.q, "postgresql"))
    places = PLACES.where(*chosen)
    keys = places.with_only_columns(Entry.key).offset(STEP_ROWS).limit(1)
    last = db.scalar(keys, given)
    if last is None:
        # By their IDs: where few are under a prefix all would be searched first.
        few = db.scalars(places.with_only_columns(Entry.id), given).all()
        return db.execute(part.where(*matching, Entry.id.in_(few)), given).all()
    found = db.execute(part.where(*matching, Entry.key <= last), given).all()
    if len(found) <= query.limit:
        beyond = select(Entry).where(MINE, NOT_OVER, *matching, Entry.key > last)
        ids = select(gather(db, beyond, query.q).c.id)
        found = [*found, *db.execute(part.where(Entry.id.in_(ids)), given)]
    return found


def _search_sqlite(
    db: Connection, query: ListParameters, chosen: Conditions, given: dict[str, Any]
) -> Sequence[AnyRow]:
    """Search in SQLite, which answers nobody else meanwhile: a little at a time.

    Where the index has many to offer, some of them are among the next in any case.
    """
    indexed = _indexed(db, query, chosen, given)
    matching = LIST.where(*chosen, contains(query.q, db.dialect.name))
    found: list[AnyRow] = []
    if indexed is not None:
        while len(found) <= query.limit and indexed:
            ids = one_step(indexed)
            found += db.execute(matching.where(Entry.id.in_(ids)), given)
            indexed = indexed[len(ids) :]
            let_others_go()
        return found
    following = places = PLACES.where(*chosen).limit(STEP_ROWS)
    while len(found) <= query.limit and (rows := db.execute(following, given).all()):
        last = rows[len(one_step(rows)) - 1].key
        step = matching.where(Entry.key >= rows[0].key, Entry.key <= last)
        found += db.execute(step, given)
        following = places.where(Entry.key > last)
        let_others_go()
    return found


SEARCHES = {"postgresql": _search_postgresql, "sqlite": _search_sqlite}


def _indexed(
    db: Connection, query: ListParameters, chosen: Conditions, given: dict[str, Any]
) -> list[AnyRow] | None:
    """Return what may match by the index, in order; None when that is no help.

    What is too large for the index may match as well.
    """
    indexed = candidates(db, given["user_id"], query.q)
    if indexed is None:
        return None
    ids = db.scalars(indexed.limit(FEW + 1)).all()
    if len(ids) > FEW:
        return None
    # Not in order: SQLite would go through all of the person's keys for it.
    some = PLACES.order_by(None).where(*chosen)
    rows = {
        row.id: row
        for kind in (Entry.id.in_(ids), LARGE)
        for row in db.execute(some.where(kind), given)
    }
    return sorted(rows.values(), key=lambda row: row.key)


def _describe(row: AnyRow) -> EntryInfo:
    kept: dict[str, Any] = {
        name: getattr(row, name)
        for name in ("key", "size", "expires_at", "created_at", "updated_at")
    }
    return EntryInfo(
        type=TYPES[row.kind],
        secret=row.encrypted_by is not None,
        etag=etag_of(row),
        labels=labels_of(row),
        **kept,
    )


def _encode(key: str) -> str:
    return urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    """Return the key after which to go on; raises Invalid."""
    try:
        padding = "=" * (-len(cursor) % 4)
        key = urlsafe_b64decode((cursor + padding).encode("ascii")).decode()
    except (binascii.Error, ValueError):
        key = ""
    if not is_legal_key(key):
        raise Invalid(cursor="Take the cursor from the next of the part before.")
    return key
