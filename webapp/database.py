"""Engine, transactions, and the schema upgrade at start.

One verb of a service is one transaction: `with database.write() as db`. A verb that
calls another joins its transaction, so both happen or neither.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    Row,
    delete,
    event,
    make_url,
    select,
)
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Session

from config.mistakes import RefusedToStart, one_line
from webapp import metrics, sqlite
from webapp.database_server import create_server_engine
from webapp.lasting import Lasting, on_disk
from webapp.schema import UPGRADE_TIMEOUT, VERSION, make_beside, upgrade_tables
from webapp.sqlite import (
    check_room,
    create_sqlite_engine,
    free_room,
    is_damaged,
    is_full,
    is_locked,
    new_file_only_once,
    waiting,
)

# A row of any columns; SQLAlchemy types each.
AnyRow = Row[*tuple[Any, ...]]


class Model(DeclarativeBase):
    """Base of all tables. IDs are never given twice, not even after a delete."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    __table_args__: Any = ({"sqlite_autoincrement": True},)


@dataclass
class Transaction:
    """The transaction open in this context, and what follows its commit."""

    session: Session
    afterwards: list[Callable[[], object]] = field(default_factory=list)


class Database:
    """The records. Once `write()` was left, what it did is on the disk."""

    def __init__(self, url: str) -> None:
        self.engine = _create_engine(url)
        self._reader = self.engine.execution_options(only_reads=True)
        self._writer = self.engine.execution_options(immediate=True)
        event.listen(self.engine, "handle_error", _count_error)
        self._one_writer = threading.Lock()
        self._open: ContextVar[Transaction | None] = ContextVar("open", default=None)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for selects; sees what an open `write()` did so far."""
        if transaction := self._open.get():
            yield transaction.session.connection()
        else:
            connection = self._reader.connect()
            try:
                yield connection
            finally:
                _give_back(connection)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose work is committed at the end, or rolled back.

        Joins the transaction that is open in this context. On SQLite it takes the
        write lock at once (BEGIN IMMEDIATE), so that what was read stays true.
        """
        if transaction := self._open.get():
            yield transaction.session
            return
        with self._alone(), Session(self._writer) as session:
            transaction = Transaction(session)
            token = self._open.set(transaction)
            try:
                with session.begin():
                    yield session
            except DBAPIError as error:
                session.close()
                self._make_room(error)
                raise
            finally:
                self._open.reset(token)
        for function in transaction.afterwards:
            function()

    def after_commit(self, function: Callable[[], object]) -> None:
        """Call the function once the open transaction is committed, or now."""
        if transaction := self._open.get():
            transaction.afterwards.append(function)
        else:
            function()

    def delete_some(self, key: InstrumentedAttribute[Any], old: Any, limit: int) -> int:
        """Delete up to `limit` rows that are old, by their key; tell how many."""
        with self.write() as db:
            keys = list(db.scalars(select(key).where(old).limit(limit)))
            # Another process may have made one of them new in between.
            db.execute(delete(key.class_).where(key.in_(keys), old))
        return len(keys)

    def wipe_deleted(self) -> None:
        """Leave nothing of what was deleted in SQLite's log, unless others are at it.

        Their next writes take its place there.
        """
        if _is_sqlite(self.engine):
            with self._alone(), suppress(DBAPIError):
                free_room(self.engine)

    def ping(self) -> None:
        """Write what is there already; raises DBAPIError or OSError when it cannot."""
        if _is_sqlite(self.engine):
            check_room(self.engine.url)
        same = VERSION.update().values(version_num=VERSION.c.version_num)
        # In its turn: how long others of this process write is no fault of the file.
        with self._alone(), briefly(), self._writer.begin() as connection:
            connection.execute(same)

    def upgrade(self) -> bool:
        """Bring the schema to REVISION; tell whether there was anything to do.

        Two processes may do it at once: the second waits for the first. Raises
        RefusedToStart when the database is newer than this code or not readable.
        """
        deadline = time.monotonic() + UPGRADE_TIMEOUT
        while True:
            try:
                return self._upgrade()
            except DBAPIError as error:
                # SQLite does not wait by itself while another process turns on WAL.
                if not is_locked(error) or time.monotonic() > deadline:
                    raise RefusedToStart(self._what_to_do(error)) from error
                time.sleep(0.05)
            except TypeError as error:
                # The driver does not know a parameter of the URL.
                raise RefusedToStart(f"{self.place}: {error}") from error

    def complete(self) -> None:
        """Make what the tables could not have when they were made; see `schema`."""
        make_beside(self.engine, Model.metadata)

    @property
    def place(self) -> str:
        """Where the records are: the file, or the URL without its password."""
        url = self.engine.url
        if _is_sqlite(self.engine):
            return url.database or ""
        # Drivers take a password in the query as well.
        url = url.set(drivername=url.get_backend_name(), query={})
        return url.render_as_string()

    def lasting(self) -> Lasting:
        """Tell how long it lasts; a server's records are that server's to keep."""
        if _is_sqlite(self.engine):
            return on_disk(Path(self.place).parent)
        return Lasting(restart=True, redeploy=True)

    def _upgrade(self) -> bool:
        is_file = _is_sqlite(self.engine)
        with new_file_only_once(self.engine.url) if is_file else nullcontext():
            return upgrade_tables(self.engine, Model.metadata, self.place)

    def _what_to_do(self, error: DBAPIError) -> str:
        advice = " Restore a backup (flask state restore)." if is_damaged(error) else ""
        return f"{self.place}: {one_line(error.orig)}{advice}"

    def _make_room(self, error: DBAPIError) -> None:
        """Leave room for the next write where this one found the disk full."""
        if _is_sqlite(self.engine) and is_full(error):
            with suppress(DBAPIError):
                free_room(self.engine)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # SQLite lets one writer in. Greenlets queue here, which is quicker than looking
        # again and again, and is part of what they wait for another process.
        if _is_sqlite(self.engine):
            # What can be left for another time is, where the one in front waits itself.
            left = sqlite.time_left()
            with waiting(sqlite.PATIENCE):
                if not self._one_writer.acquire(timeout=-1 if left is None else left):
                    raise sqlite.locked()
                try:
                    yield
                finally:
                    self._one_writer.release()
        else:
            yield


def briefly() -> AbstractContextManager[None]:
    """Leave a write in here for another time when another process has the file."""
    return waiting(sqlite.BRIEFLY)


def _give_back(connection: Connection) -> None:
    """End a read; that its connection was cut after the answer takes nothing away."""
    try:
        connection.close()
    except DBAPIError:
        connection.close()  # Of what is cut nothing is left to roll back.


def _count_error(context: ExceptionContext) -> None:
    """Count what is the database's fault, not that of a value that is there already."""
    if not isinstance(context.sqlalchemy_exception, IntegrityError):
        metrics.DATABASE_ERRORS.inc()


def _is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def _create_engine(url: str) -> Engine:
    target = make_url(url)
    if target.get_backend_name() != "sqlite":
        return create_server_engine(target)
    return create_sqlite_engine(target)
