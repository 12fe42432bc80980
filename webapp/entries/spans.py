"""Which of a person's entries are meant, and in which order."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, literal, or_, tuple_

from webapp.entries.models import Entry

PAGE = 20
NO_END = 2**63 - 1
MINE = Entry.user_id == bindparam("user_id")
# Of what has ended nothing is seen, although it may not be cleared away yet.
NOT_OVER = or_(Entry.expires_at.is_(None), Entry.expires_at > bindparam("now"))
PLACE = tuple_(Entry.user_id, Entry.id)


@dataclass(frozen=True)
class Span:
    """The entries with an ID between these two, from either end."""

    after: int = 0
    before: int = NO_END
    oldest_first: bool = False

    def beyond(self, entry_id: int) -> "Span":
        """Leave what comes before this one, and itself."""
        if self.oldest_first:
            return replace(self, after=entry_id)
        return replace(self, before=entry_id)

    def up_to(self, entry_id: int) -> "Span":
        """Leave what comes after this one, and itself."""
        if self.oldest_first:
            return replace(self, before=entry_id)
        return replace(self, after=entry_id)


def one_page(statement: Select[Any], span: Span, kind: str) -> Select[Any]:
    return in_order(statement, span, kind).limit(PAGE + 1)


def in_order(statement: Select[Any], span: Span, kind: str) -> Select[Any]:
    """Leave what is the person's and in the span, in its order.

    PostgreSQL, told whose entries they are, may go through everybody's by their ID
    until there are enough. Told between which places of an index they are, in the
    order of that index, it has nothing else to go by.
    """
    if kind == "postgresql":
        places = (_place(span.after) < PLACE, _place(span.before) > PLACE)
        return in_turn(statement.where(*places), [Entry.user_id, Entry.id], span)
    statement = statement.where(MINE)
    if span.after:
        statement = statement.where(Entry.id > span.after)
    if span.before < NO_END:
        statement = statement.where(Entry.id < span.before)
    return in_turn(statement, [Entry.id], span)


def _place(entry_id: int) -> Any:
    return tuple_(bindparam("user_id"), literal(entry_id, BigInteger))


def in_turn(statement: Select[Any], columns: Iterable[Any], span: Span) -> Select[Any]:
    return statement.order_by(*ordered(columns, span))


def ordered(columns: Iterable[Any], span: Span) -> list[Any]:
    return [column if span.oldest_first else column.desc() for column in columns]
