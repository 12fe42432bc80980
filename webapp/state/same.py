"""Whether two places are one, however each is spelled.

A file is known by its path; a server is asked, by what one connection does and another
sees. Of what people keep nothing is touched.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from config.mistakes import RefusedToStart, one_line
from webapp.database import Database
from webapp.state.census import SAME_KEY
from webapp.stores import Store


def is_same_database(one: Database, other: Database) -> bool:
    """Tell whether both are the same tables; raises RefusedToStart for one away."""
    names = {database.engine.dialect.name for database in (one, other)}
    if names == {"sqlite"}:
        return _is_same_file(Path(one.place), Path(other.place))
    if "sqlite" in names or ("postgresql" in names and len(names) > 1):
        return False
    with (
        _naming(one),
        one.engine.connect() as here,
        _naming(other),
        other.engine.connect() as there,
    ):
        return _is_same_server(here, there)


@contextmanager
def _naming(database: Database) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, TypeError) as error:
        # The latter where the driver does not know a parameter of the URL.
        reason = one_line(getattr(error, "orig", error))
        raise RefusedToStart(f"{database.place}: {reason}") from error


def is_same_store(one: Store, other: Store) -> bool:
    """Tell whether what is set in one is seen in the other, and ask both to answer."""
    token = secrets.token_hex(16)
    other.set(SAME_KEY, token, 60)
    try:
        return bool(one.get(SAME_KEY) == token)
    finally:
        other.delete(SAME_KEY)


def _is_same_file(one: Path, other: Path) -> bool:
    if one.resolve() == other.resolve():
        return True
    return one.exists() and other.exists() and one.samefile(other)


def _is_same_server(here: Connection, there: Connection) -> bool:
    """Take a lock with one connection: the other can see it, or not get it as well."""
    if here.dialect.name == "postgresql":
        # In each database these locks are others.
        lock = text("SELECT pg_try_advisory_xact_lock(:number)")
        number = {"number": secrets.randbits(62)}
        here.execute(lock, number)
        is_seen = not there.scalar(lock, number)
        within = text("SELECT current_schema()")
    else:
        with _holding(here) as name:
            is_seen = there.scalar(text("SELECT IS_USED_LOCK(:name)"), name) is not None
        within = text("SELECT DATABASE()")
    return is_seen and here.scalar(within) == there.scalar(within)


@contextmanager
def _holding(connection: Connection) -> Iterator[dict[str, str]]:
    name = {"name": f"holdfast_{secrets.token_hex(16)}"}
    connection.execute(text("SELECT GET_LOCK(:name, 0)"), name)
    try:
        yield name
    finally:
        # It is held beyond a transaction.
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), name)
