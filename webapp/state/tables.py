"""All records of one database in another, whatever kind either of them is.

Rows go by primary key, in steps: what is the same in both stays. So it can be
interrupted and run again, and a second run only takes what has changed.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
)

from webapp.database import AnyRow, Model
from webapp.database_server import wait_for
from webapp.state import counters
from webapp.state.marks import MarkRecord

# Rows of one step; of those with long values few, which may have 256 kB each.
STEP, LONG_STEP = 1000, 100
# Seconds that one statement may take here, where nobody waits for a page.
PATIENCE = 600
# How the key of a row that goes is named in a statement.
KEY = "_row"


def tables() -> list[Table]:
    """List what is copied, each table after those that it refers to.

    Not the marks: one is about its place, and says nothing true in another.
    """
    every = Model.metadata.sorted_tables
    return [table for table in every if table.name != MarkRecord.__tablename__]


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees everything as it is now, whoever writes meanwhile."""
    with _patient(engine) as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
            wait_for(connection, PATIENCE)
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection to write with; what was not committed is rolled back."""
    with _patient(engine.execution_options(immediate=True)) as connection:
        if engine.dialect.name != "sqlite":
            wait_for(connection, PATIENCE)
        yield connection


@contextmanager
def _patient(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        try:
            yield connection
        finally:
            # How long it waits is set for the connection on some databases.
            connection.invalidate()


def count_rows(connection: Connection) -> dict[str, int]:
    """Tell how many rows each table has."""
    return {
        table.name: connection.scalar(select(func.count()).select_from(table)) or 0
        for table in tables()
    }


def checksums(connection: Connection) -> dict[str, str]:
    """Sum up each table: equal on two databases when every row is."""
    return {table.name: _checksum(connection, table) for table in tables()}


def copy_tables(source: Connection, target: Connection) -> Iterator[int]:
    """Make the target's tables as the source's; gives how many rows each step read.

    What differs or is gone goes first, from all tables: what only one row can have,
    as a key or a name, may be another's by now.
    """
    for table in reversed(tables()):
        if target.execute(select(table).limit(1)).first():
            for _ in _in_parts(source, table, partial(_delete, target, table)):
                yield 0
    for table in tables():
        yield from _in_parts(source, table, partial(_insert, target, table))


def copy_in_steps(source: Connection, target: Connection) -> Iterator[int]:
    """As `copy_tables`, with the counters behind IDs; a step that was done stays."""
    for step in copy_tables(source, target):
        target.commit()
        yield step
    counters.go_on_after(target, counters.last_ids(source))
    target.commit()


def _in_parts(
    source: Connection,
    table: Table,
    act: Callable[[Sequence[AnyRow], list[Any]], None],
) -> Iterator[int]:
    """Do it for each part of the table, with its rows; gives how many those are."""
    key = _key(table)
    after: Any = None
    while True:
        rows = _read(source, table, after)
        is_last = len(rows) < _step(table)
        upto = None if is_last else rows[-1]._mapping[key.name]
        act(rows, _between(table, after, upto))
        yield len(rows)
        if is_last:
            return
        after = upto


def _key(table: Table) -> Column[Any]:
    (key,) = table.primary_key.columns
    return key


def _step(table: Table) -> int:
    # A type of our own has the one that it stands for inside.
    types = [getattr(column.type, "impl", column.type) for column in table.columns]
    return LONG_STEP if any(isinstance(kind, Text) for kind in types) else STEP


def _between(table: Table, after: Any, upto: Any) -> list[Any]:
    key = _key(table)
    bounds = []
    if after is not None:
        bounds.append(key > after)
    if upto is not None:
        bounds.append(key <= upto)
    return bounds


def _read(connection: Connection, table: Table, after: Any) -> Sequence[AnyRow]:
    statement = select(table).where(*_between(table, after, None))
    return connection.execute(statement.order_by(_key(table)).limit(_step(table))).all()


def _delete(
    target: Connection, table: Table, rows: Sequence[AnyRow], part: list[Any]
) -> None:
    """Delete from this part of the table what is not among the rows as it is."""
    key, wanted = _key(table), set(rows)
    there = target.execute(select(table).where(*part)).all()
    other = [{KEY: row._mapping[key.name]} for row in there if row not in wanted]
    if other:
        target.execute(delete(table).where(key == bindparam(KEY)), other)


def _insert(
    target: Connection, table: Table, rows: Sequence[AnyRow], part: list[Any]
) -> None:
    """Insert into this part of the table what is missing of the rows."""
    key = _key(table)
    there = set(target.scalars(select(key).where(*part)))
    missing = [row._asdict() for row in rows if row._mapping[key.name] not in there]
    if missing:
        target.execute(table.insert(), missing)


def _checksum(connection: Connection, table: Table) -> str:
    found = hashlib.sha256()
    after: Any = None
    while rows := _read(connection, table, after):
        for row in rows:
            found.update(json.dumps(list(row), default=_plain).encode())
        after = rows[-1]._mapping[_key(table).name]
    return found.hexdigest()


def _plain(value: object) -> str:
    assert isinstance(value, date)  # noqa: S101  # Or a datetime, which is one too.
    return value.isoformat()
