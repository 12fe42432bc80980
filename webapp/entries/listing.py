"""The list of a person's entries, all of them or those searched for, part by part.

Nothing of a secret value is in it, and no search looks into one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    func,
    select,
)

from webapp import clock
from webapp.database import AnyRow
from webapp.entries.inputs import ListQuery
from webapp.entries.models import Entry, Label
from webapp.entries.searching import IN_CLEAR, SEARCHES, contains
from webapp.entries.spans import MINE, NO_END, NOT_OVER, PAGE, Span, one_page

PREVIEW = 120
# More than fit into a page, so that it is known whether there are more.
LISTED_LABELS = 100

BEGINNING = case((IN_CLEAR, func.substr(Entry.value, 1, PREVIEW)), else_="")
LIST = select(
    Entry.id,
    Entry.key,
    Entry.kind,
    BEGINNING.label("preview"),
    Entry.size,
    Entry.updated_at,
    Entry.encrypted_by,
    Entry.labels,
    Entry.expires_at,
).where(NOT_OVER)
LABELS = (
    select(Label.label, func.count())
    .where(Label.user_id == bindparam("user_id"), Label.label > bindparam("after"))
    .group_by(Label.label)
    .order_by(Label.label)
    .limit(LISTED_LABELS)
)
# Not joined to those that are there, which would be a look at each.
LABELS_OVER = (
    select(Label.label, func.count())
    .join(Entry, Entry.id == Label.entry_id)
    .where(MINE, Entry.expires_at <= bindparam("now"))
    .group_by(Label.label)
)


@dataclass(frozen=True)
class Page:
    """A part of the list, newest first.

    `newer` and `older` are the IDs to go on from, None at the ends.
    """

    rows: Sequence[AnyRow]
    newer: int | None
    older: int | None


def read_labels(db: Connection, user_id: int, after: str) -> list[tuple[str, int]]:
    """Return LISTED_LABELS labels that follow that one, and how many have each.

    There are fewer only at the end; 0 have one whose entries have just ended.
    """
    given = {"user_id": user_id, "now": clock.now()}
    labels = db.execute(LABELS, given | {"after": after}).all()
    over = {row.label: row[1] for row in db.execute(LABELS_OVER, given)}
    return [(label, count - over.get(label, 0)) for label, count in labels]


def read_page(db: Connection, user_id: int, query: ListQuery) -> Page:
    """Return PAGE entries, newest first."""
    given = {"user_id": user_id, "now": clock.now()}
    span = Span(query.after or 0, query.before or NO_END, query.after is not None)
    kind = db.dialect.name
    if query.q and kind in SEARCHES:
        rows = SEARCHES[kind](db, _chosen(query, kind), span, query.q, given)
    elif query == ListQuery():
        rows = db.execute(_first(kind), given).all()
    else:
        rows = db.execute(one_page(_chosen(query, kind), span, kind), given).all()
    more, rows = len(rows) > PAGE, rows[:PAGE]
    if query.after:
        rows = rows[::-1]
    has_newer = more if query.after else query.before is not None
    has_older = query.after is not None or more
    return Page(
        rows,
        newer=rows[0].id if rows and has_newer else None,
        older=rows[-1].id if rows and has_older else None,
    )


@cache
def _first(kind: str) -> Select[Any]:
    return one_page(LIST, Span(), kind)


def _chosen(query: ListQuery, kind: str) -> Select[Any]:
    statement = LIST.where(contains(query.q, kind)) if query.q else LIST
    return statement.where(has_label(query.label)) if query.label else statement


def has_label(label: str) -> ColumnElement[bool]:
    """Say that an entry of the person in hand has this label."""
    of_label = select(Label.entry_id).where(
        Label.user_id == bindparam("user_id"), Label.label == label
    )
    return Entry.id.in_(of_label)
