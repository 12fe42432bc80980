"""Engine, transactions, and the schema upgrade at start.

One verb of a service is one transaction: `with database.write() as db`. A verb that
calls another joins its transaction, so both happen or neither.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session

from config.settings import RefusedToStart

# The newest file in migrations/versions; a test compares. Alembic is only loaded
# when the database is at another revision, which saves 0.2 s of each start.
REVISION = "0001"
BUSY_TIMEOUT = 2_000
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
        try:
            with self.engine.connect() as connection:
                found = _read_revision(connection)
            if found == REVISION:
                return False
            with _upgrading(self.engine) as connection:
                _run_migrations(connection)
        except DBAPIError as error:
            raise RefusedToStart(f"{self._place}: {error.orig}") from error
        return True

    @property
    def _place(self) -> str:
        url = self.engine.url
        return url.database or "" if _is_sqlite(self.engine) else url.render_as_string()

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
    if target.database:
        folder = Path(target.database).parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise RefusedToStart(f"{folder}: {error.strerror}") from error
    engine = create_engine(target, pool_use_lifo=True)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # Transactions are begun by _begin_sqlite; the driver's own way would begin a
    # deferred one, which can fail in the middle when it turns to writing.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()
    # SQLite's own lower() knows ASCII only; searching should find É by é.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("immediate"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


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
            connection.exec_driver_sql(f"PRAGMA busy_timeout={UPGRADE_TIMEOUT}000")
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


def _run_migrations(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise RefusedToStart(
            f"The database is newer than this release ({error}). Deploy the release "
            "that wrote it, or restore a backup."
        ) from error
