"""Engine, transactions, and the schema upgrade at start.

One verb of a service is one transaction: `with database.write() as db`. A verb that
calls another joins its transaction, so both happen or neither.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Row,
    TypeDecorator,
    create_engine,
    inspect,
    make_url,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session

from config.settings import RefusedToStart
from webapp.sqlite import (
    create_sqlite_engine,
    free_room,
    is_damaged,
    is_full,
    is_locked,
    new_file_only_once,
)

# The newest file in migrations/versions; a test compares. Alembic is only loaded
# when the database is at another revision, which saves 0.2 s of each start.
REVISION = "0002"
UPGRADE_TIMEOUT = 60

# A row of any columns; SQLAlchemy types each.
AnyRow = Row[*tuple[Any, ...]]

BigId = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, to the microsecond on every database."""

    impl = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> Any:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


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
        self._writer = self.engine.execution_options(immediate=True)
        self._one_writer = threading.Lock()
        self._open: ContextVar[Transaction | None] = ContextVar("open", default=None)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for selects; sees what an open `write()` did so far."""
        if transaction := self._open.get():
            yield transaction.session.connection()
        else:
            with self.engine.connect() as connection:
                yield connection

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

    @property
    def place(self) -> str:
        """Where the records are: the file, or the URL without its password."""
        url = self.engine.url
        return url.database or "" if _is_sqlite(self.engine) else url.render_as_string()

    def _upgrade(self) -> bool:
        is_file = _is_sqlite(self.engine)
        with new_file_only_once(self.engine.url) if is_file else nullcontext():
            return self._upgrade_tables()

    def _upgrade_tables(self) -> bool:
        with self.engine.connect() as connection:
            found = _read_revision(connection)
        if found == REVISION:
            return False
        with _upgrading(self.engine) as connection:
            _run_migrations(connection, self.place)
        return True

    def _what_to_do(self, error: DBAPIError) -> str:
        advice = " Restore it from a backup." if is_damaged(error) else ""
        return f"{self.place}: {error.orig}.{advice}"

    def _make_room(self, error: DBAPIError) -> None:
        """Leave room for the next write where this one found the disk full."""
        if _is_sqlite(self.engine) and is_full(error):
            with suppress(DBAPIError):
                free_room(self.engine)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # SQLite lets one writer in and makes others wait inside the C library,
        # where the whole gevent loop would wait. Greenlets queue here instead.
        if _is_sqlite(self.engine):
            with self._one_writer:
                yield
        else:
            yield


def _is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def _create_engine(url: str) -> Engine:
    target = make_url(url)
    if target.get_backend_name() != "sqlite":
        return create_engine(
            target, isolation_level="READ COMMITTED", pool_pre_ping=True
        )
    return create_sqlite_engine(target)


def _read_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return str(found)


@contextmanager
def _upgrading(engine: Engine) -> Iterator[Connection]:
    """Give a connection in a transaction that only one process can have."""
    with engine.execution_options(immediate=True).connect() as connection:
        name = engine.dialect.name
        if name == "sqlite":
            # Through the driver: here nothing may begin a transaction yet.
            driver: Any = connection.connection.driver_connection
            driver.execute(f"PRAGMA busy_timeout={UPGRADE_TIMEOUT}000")
            # Making a table anew drops the old one, and would cascade.
            driver.execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            if name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(720251123)"))
            elif name in ("mysql", "mariadb"):
                connection.execute(
                    text("SELECT GET_LOCK('holdfast_upgrade', :seconds)"),
                    {"seconds": UPGRADE_TIMEOUT},
                )
            yield connection
        connection.invalidate()


def _run_migrations(connection: Connection, place: str) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        command.upgrade(_alembic(connection), "head")
    except CommandError as error:
        raise RefusedToStart(
            f"{place} is newer than this release ({error}). Deploy the release that "
            "wrote it, or restore a backup."
        ) from error


def write_migration(engine: Engine, message: str) -> Path | None:
    """Write the next file of migrations/versions from what the models say now.

    None when the tables are as the models say. Raises RefusedToStart when REVISION
    was not set after the last one.
    """
    from alembic import command, script  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    def leave_out_empty(_context: Any, _revision: Any, found: list[Any]) -> None:
        if found[0].upgrade_ops.is_empty():
            found.clear()

    try:
        with engine.connect() as connection:
            written = command.revision(
                _alembic(connection),
                message,
                autogenerate=True,
                rev_id=f"{int(REVISION) + 1:04}",
                process_revision_directives=leave_out_empty,
            )
    except CommandError as error:
        raise RefusedToStart(f"Set REVISION in webapp/database.py: {error}") from error
    return Path(written.path) if isinstance(written, script.Script) else None


def _alembic(connection: Connection) -> Any:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config
