"""Searches a person's entries: in order where many match, else by an index."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Select,
    and_,
    collate,
    func,
    or_,
    select,
)

from webapp.database import AnyRow
from webapp.entries.models import LARGE, Entry
from webapp.entries.postgresql_index import may_have
from webapp.entries.search_index import candidates
from webapp.entries.spans import MINE, PAGE, Span, in_order, in_turn, one_page, ordered
from webapp.pace import Pace

# Of a search through everything, which casefolds 250 kB in about 5 ms.
STEP_ROWS, STEP_SIZE = 1000, 500_000
# The first step, before the index is asked: of what a tenth has, these have enough.
NEAR_ROWS = 200
# And where SQLite itself compares, which does 4 MB in 10 ms.
PLAIN_ROWS, PLAIN_SIZE = 20_000, 4_000_000
# What characters beyond ASCII become or begin with when case is left aside: ß is ss.
CASES_BEYOND = set("afhijklnstwy")

IN_CLEAR = Entry.encrypted_by.is_(None)
PLACES = select(Entry.id)


def contains(words: str, kind: str) -> ColumnElement[bool]:
    """Say that an entry has these words in its key, or in a value that is no secret.

    `kind` is the dialect of the database.
    """
    in_key, in_value = (
        _has(column, words, kind) for column in (Entry.key, Entry.value)
    )
    return or_(in_key, and_(IN_CLEAR, in_value))


def _has(column: Any, words: str, kind: str) -> ColumnElement[bool]:
    if kind == "sqlite" and _is_plain(words):
        # Its LIKE knows the cases of ASCII, and icontains would ask Python.
        return column.contains(words, autoescape=True)  # type: ignore[no-any-return]
    if kind in ("mysql", "mariadb"):
        # In a value it would take é for e, and in a key it would not.
        column = collate(column, "utf8mb4_bin")
    return column.icontains(words, autoescape=True)  # type: ignore[no-any-return]


def _is_plain(words: str) -> bool:
    """Tell whether whoever knows the cases of ASCII finds all there is of it."""
    return words.isascii() and not CASES_BEYOND & set(words.casefold())


def _search_postgresql(
    db: Connection, chosen: Select[Any], span: Span, words: str, given: dict[str, Any]
) -> Sequence[AnyRow]:
    """Look through the next entries in order, and for the rest ask the indexes.

    Of words that many entries have, the page is full before these would have gathered
    them all. Of words that few have, it never is: asked for so many in order,
    PostgreSQL would still look for them in everything there is.
    """
    kind = "postgresql"
    places = in_order(PLACES, span, kind).offset(STEP_ROWS).limit(1)
    last = db.scalar(places, given)
    near = span if last is None else span.up_to(last)
    found = list(db.execute(one_page(chosen, near, kind), given))
    if last is None or len(found) > PAGE:
        return found
    beyond = Entry.id >= last if span.oldest_first else Entry.id <= last
    matching = gather(db, chosen.where(MINE, beyond), words)
    rest = in_turn(select(matching.c.id), [matching.c.id], span).limit(PAGE + 1)
    part = in_turn(chosen.where(Entry.id.in_(rest)), [Entry.id], span)
    return [*found, *db.execute(part, given)]


def gather(db: Connection, chosen: Select[Any], words: str) -> CTE:
    """Have PostgreSQL gather the IDs of all these entries before anything else."""
    ids = chosen.with_only_columns(Entry.id)
    if (indexed := may_have(db, words)) is not None:
        ids = ids.where(indexed)
    return ids.cte("matching").prefix_with("MATERIALIZED", dialect="postgresql")


def _search_sqlite(
    db: Connection, chosen: Select[Any], span: Span, words: str, given: dict[str, Any]
) -> Sequence[AnyRow]:
    """Search in SQLite, which answers nobody else meanwhile: a little at a time.

    Words that many entries have are among the next. Of others the index has what it
    has; what is left is looked through in order.
    """
    kind = "sqlite"
    found: dict[int, AnyRow] = {}
    places, pace = PLACES, Pace()
    one_by_one = (STEP_ROWS, STEP_SIZE)
    if _is_plain(words):
        one_by_one = (PLAIN_ROWS, PLAIN_SIZE)
    limits, is_first = (NEAR_ROWS, STEP_SIZE), True
    while ends := _next_step(db, places, span, limits, given):
        first, last = ends
        if _is_full(found, span, first):
            break
        step = chosen.where(Entry.id.between(min(ends), max(ends)))
        found |= {row.id: row for row in db.execute(one_page(step, span, kind), given)}
        span = span.beyond(last)
        if is_first and len(found) <= PAGE:
            limits, is_first = one_by_one, False
            indexed = candidates(db, given["user_id"], words)
            if indexed is not None:
                step = chosen.where(Entry.id.in_(indexed))
                rows = db.execute(one_page(step, span, kind), given).all()
                found |= {row.id: row for row in rows}
                places, chosen = places.where(LARGE), chosen.where(LARGE)
        pace.tick()
    page = sorted(found, reverse=not span.oldest_first)
    return [found[entry_id] for entry_id in page[: PAGE + 1]]


SEARCHES = {"postgresql": _search_postgresql, "sqlite": _search_sqlite}


def _next_step(
    db: Connection,
    places: Select[Any],
    span: Span,
    limits: tuple[int, int],
    given: dict[str, Any],
) -> tuple[int, int] | None:
    """Return the first and the last of what can be looked through in milliseconds.

    None when nothing is left. `limits` are how many at most, and how many bytes.
    """
    rows, size = limits
    some = in_order(places.add_columns(Entry.size), span, "sqlite").limit(rows)
    step = some.subquery()
    ends = (func.min(step.c.id), func.max(step.c.id))
    lowest, highest, *found = db.execute(
        select(*ends, func.count(), func.sum(step.c.size)), given
    ).one()
    if lowest is None:
        return None
    number, total = found
    if total > size:
        # Adding up row by row takes five times as long.
        fitting = _fitting(places, span, 2 * number * size // total + 1, size)
        lowest, highest = db.execute(fitting, given).one()
    return (lowest, highest) if span.oldest_first else (highest, lowest)


def _fitting(places: Select[Any], span: Span, rows: int, size: int) -> Select[Any]:
    """Select the ends of the first of these rows, the last beginning within `size`."""
    so_far = func.sum(Entry.size).over(order_by=ordered([Entry.id], span))
    places = places.add_columns((so_far - Entry.size).label("before_it"))
    some = in_order(places, span, "sqlite").limit(rows).subquery()
    return select(func.min(some.c.id), func.max(some.c.id)).where(
        some.c.before_it < size
    )


def one_step(rows: Sequence[AnyRow]) -> list[int]:
    """Return the first of them, as many as can be looked through in milliseconds."""
    so_far = accumulate(row.size for row in rows)
    short = sum(size < STEP_SIZE for size in so_far)
    return [row.id for row in rows[: short + 1]]


def _is_full(found: Iterable[int], span: Span, next_id: int) -> bool:
    """Tell whether nothing that is still to come belongs on the page."""
    if span.oldest_first:
        return sum(entry_id < next_id for entry_id in found) > PAGE
    return sum(entry_id > next_id for entry_id in found) > PAGE
