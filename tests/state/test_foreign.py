"""A database of another application is no place for a backup, whatever it is told."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from flask import Flask
from sqlalchemy import inspect

from config.settings import load_settings
from tests.browser import Browser
from tests.databases import DatabaseServer
from tests.test_database import REVISIONS
from webapp.database import Database
from webapp.schema import alembic_config, upgrading
from webapp.state.backup import back_up
from webapp.state.foreign import foreign_tables
from webapp.state.restore import Refused, restore
from webapp.stores.memory import MemoryStore

pytestmark = pytest.mark.embedded

USERS = "CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(99))"
SESSIONS = "CREATE TABLE sessions (session_id VARCHAR(99) PRIMARY KEY, data TEXT)"
ORDERS = "CREATE TABLE orders (id INTEGER PRIMARY KEY)"
VERSION = "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"
REVISION = "INSERT INTO alembic_version VALUES ('{}')"


@pytest.fixture
def file(app: Flask, alice: Browser, tmp_path: Path) -> Path:
    file = tmp_path / "backup.zip"
    list(back_up(app.extensions["database"], file, []))
    return file


@pytest.fixture
def other(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'other.db'}")


@pytest.fixture
def on_server(each_server: DatabaseServer) -> Iterator[Database]:
    each_server.make_database()
    database = Database(load_settings(database_url=each_server.url).database)
    yield database
    database.engine.dispose()


def run(database: Database, *statements: str) -> None:
    with database.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    database.engine.dispose()


def refused(file: Path, database: Database, *, force: bool) -> str:
    """Try to restore there; return why that is not done."""
    url = database.engine.url.render_as_string(hide_password=False)
    with pytest.raises(Refused) as raised:
        restore(file, url, [MemoryStore()], force=force)
    said = str(raised.value)
    assert database.place in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("statements", "named"),
    [
        ([USERS], "users"),
        ([USERS, VERSION, REVISION.format("ae1027a6acf")], "users"),
        ([USERS, VERSION, REVISION.format("0001")], "users"),
        ([SESSIONS, ORDERS], "sessions"),
        ([ORDERS], "orders"),
    ],
)
def test_a_file_of_another_application_stays(
    file: Path, other: Database, statements: list[str], named: str, force: bool
) -> None:
    run(other, *statements)
    before = set(inspect(other.engine).get_table_names())
    assert f"of another application: {named}." in refused(file, other, force=force)
    assert set(inspect(other.engine).get_table_names()) == before


@pytest.mark.long
@pytest.mark.parametrize(
    ("statements", "named"),
    [
        ([USERS, "INSERT INTO users VALUES (1, 'a@example.org')"], "users"),
        ([USERS, SESSIONS, VERSION, REVISION.format("0001")], "users, sessions"),
        ([ORDERS, VERSION, REVISION.format("ae1027a6acf")], "alembic_version"),
    ],
)
def test_tables_of_another_application_stay(
    file: Path, on_server: Database, statements: list[str], named: str
) -> None:
    run(on_server, *statements)
    before = set(inspect(on_server.engine).get_table_names())
    for force in (False, True):
        said = refused(file, on_server, force=force)
        assert f"of another application: {named}." in said
    assert set(inspect(on_server.engine).get_table_names()) == before


@pytest.mark.long
def test_a_table_of_another_name_is_no_obstacle(
    file: Path, on_server: Database
) -> None:
    run(on_server, ORDERS)
    url = on_server.engine.url.render_as_string(hide_password=False)
    restore(file, url, [MemoryStore()], force=False)
    assert {"orders", "users"} <= set(inspect(on_server.engine).get_table_names())


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_tables_of_every_release_are_ours(other: Database, revision: str) -> None:
    with upgrading(other.engine) as connection:
        command.upgrade(alembic_config(connection), revision)
        assert foreign_tables(connection) == []


def test_many_tables_are_not_all_named(file: Path, other: Database) -> None:
    run(other, *(f"CREATE TABLE t{number} (id INTEGER)" for number in range(9)))
    assert "t0, t1, t2, t3, t4, …." in refused(file, other, force=True)


def test_the_operator_reads_a_line(
    app: Flask, alice: Browser, operator: Callable[..., str], file: Path
) -> None:
    database: Database = app.extensions["database"]
    run(database, "ALTER TABLE tokens RENAME COLUMN token_hash TO secret")
    said = operator(f"state restore {file} --force", status=1)
    assert said.startswith("Error: ")
    assert "of another application: tokens." in said
