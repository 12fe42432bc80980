"""The tables: made at once where there are none, else brought to this release."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    inspect,
    text,
)

from config.mistakes import RefusedToStart
from webapp.database_server import wait_for
from webapp.sqlite import waiting

# The newest file in migrations/versions; a test compares. Alembic is only loaded when
# the database is at an earlier revision, which saves 0.2 s of each other start.
REVISION = "0012"
UPGRADE_TIMEOUT = 60
# Alembic's table, as Alembic makes it.
VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), primary_key=True),
)
# Databases whose indexes can be of some rows only.
PARTIAL = ("sqlite", "postgresql")


def upgrade_tables(engine: Engine, tables: MetaData, place: str) -> bool:
    """Bring the tables to REVISION; tell whether there was anything to do.

    Of two processes that do it at once the second waits for the first. Raises
    RefusedToStart when the tables are newer than this code.
    """
    with engine.connect() as connection:
        if read_revision(connection) == REVISION:
            return False
    with upgrading(engine) as connection:
        if read_revision(connection) == REVISION:
            return False
        if _is_new(connection, tables):
            make_tables(connection, tables)
        else:
            run_migrations(connection, place)
        _make_beside(connection, tables)
    return True


def make_beside(engine: Engine, tables: MetaData) -> None:
    """Make what is missing beside the tables, where it could not be made before."""
    with upgrading(engine) as connection:
        _make_beside(connection, tables)


def _make_beside(connection: Connection, tables: MetaData) -> None:
    for make in tables.info.get("made_beside", ()):
        make(connection)


def read_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return str(found)


@contextmanager
def upgrading(engine: Engine) -> Iterator[Connection]:
    """Give a connection in a transaction that only one process can have."""
    with engine.execution_options(immediate=True).connect() as connection:
        name = engine.dialect.name
        if name == "sqlite":
            # Through the driver: here nothing may begin a transaction yet. Making a
            # table anew drops the old one, and would cascade.
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA foreign_keys=OFF")
        with waiting(UPGRADE_TIMEOUT), connection.begin():
            if name != "sqlite":
                wait_for(connection, UPGRADE_TIMEOUT)
            if name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(720251123)"))
            elif name in ("mysql", "mariadb"):
                lock = text("SELECT GET_LOCK('holdfast_upgrade', :seconds)")
                if not connection.scalar(lock, {"seconds": UPGRADE_TIMEOUT}):
                    raise RefusedToStart("Another process upgrades the database.")
            yield connection
        connection.invalidate()


def _is_new(connection: Connection, tables: MetaData) -> bool:
    present = inspect(connection).get_table_names()
    return not {"alembic_version", *tables.tables}.intersection(present)


def make_tables(connection: Connection, tables: MetaData) -> None:
    """Make what all migrations would, as Alembic's cookbook has it.

    A process that loads Alembic keeps its 10 MB.
    """
    if connection.dialect.name in PARTIAL:
        _make_indexes_partial(tables, connection.dialect.name)
    tables.create_all(connection)
    VERSION.create(connection)
    connection.execute(VERSION.insert().values(version_num=REVISION))


def _make_indexes_partial(tables: MetaData, dialect: str) -> None:
    """Say it in the words of one database; those of `Index` load all dialects."""
    for table in tables.tables.values():
        for index in table.indexes:
            if "where" in index.info:
                index.dialect_options[dialect]["where"] = index.info["where"]


def drop_tables(engine: Engine, tables: MetaData) -> None:
    """Take away the tables of this application, of whichever release they are."""
    with engine.begin() as connection:
        wait_for(connection, UPGRADE_TIMEOUT)
        tables.drop_all(connection)
        VERSION.drop(connection, checkfirst=True)


def run_migrations(connection: Connection, place: str) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        command.upgrade(alembic_config(connection), "head")
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
                alembic_config(connection),
                message,
                autogenerate=True,
                rev_id=f"{int(REVISION) + 1:04}",
                process_revision_directives=leave_out_empty,
            )
    except CommandError as error:
        raise RefusedToStart(f"Set REVISION in webapp/schema.py: {error}") from error
    return Path(written.path) if isinstance(written, script.Script) else None


def is_of_models(name: str | None, kind: str, _parents: Any) -> bool:
    """Tell what the models say from what is made beside them, for Alembic."""
    is_beside = {"table": "entry_search", "index": "tg_"}.get(kind)
    return not (is_beside and name and name.startswith(is_beside))


def alembic_config(connection: Connection) -> Any:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config
