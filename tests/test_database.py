"""Records change together or not at all, and the tables are those of the code."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from redis.connection import Connection as RedisConnection
from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError

from config.mistakes import RefusedToStart
from config.settings import Settings
from tests.browser import Browser
from tests.servers import ROOT
from webapp import create_app, schema, sqlite
from webapp.accounts.models import User
from webapp.database import Database, Model
from webapp.ops import upkeep
from webapp.schema import REVISION

SCRIPTS = ScriptDirectory(str(ROOT / "webapp" / "migrations"))
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()]
NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, UTC)
# What the first release already had.
ROWS = {
    "users": "id name name_key password_hash created_at",
    "entries": "user_id key kind value size version created_at updated_at",
    "sessions": "user_id id_hash address user_agent created_at last_seen_at expires_at",
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'made' / 'holdfast.db'}"


@pytest.fixture
def database(url: str) -> Database:
    database = Database(url)
    assert database.upgrade()
    return database


@pytest.fixture(params=["new", "migrated"])
def any_database(url: str, request: pytest.FixtureRequest) -> Database:
    """Made at once, or by every migration there is."""
    database = Database(url)
    if request.param == "migrated":
        with database.engine.begin() as connection:
            command.upgrade(schema.alembic_config(connection), REVISIONS[-1])
    assert database.upgrade()
    return database


@pytest.fixture
def other(database: Database, url: str, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The same file in another process, which is not patient."""
    monkeypatch.setattr(sqlite, "PATIENCE", 0.02)
    return Database(url)


@pytest.mark.embedded
@pytest.mark.long
def test_processes_that_start_at_once_all_find_the_tables_made(url: str) -> None:
    spawn = get_context("spawn")
    meet = spawn.Barrier(3).wait
    with spawn.Pool(3, initializer=meet, initargs=[60]) as pool:
        pool.map(_upgrade, [url] * 3, chunksize=1)
    assert not Database(url).upgrade(), "nothing is left to do"


def test_a_start_waits_while_another_one_makes_the_file(url: str) -> None:
    maker = Database(url)
    with ThreadPoolExecutor() as pool:
        with sqlite.new_file_only_once(maker.engine.url):
            start = pool.submit(Database(url).upgrade)
            with pytest.raises(TimeoutError):
                start.result(0.1)
            schema.upgrade_tables(maker.engine, Model.metadata, maker.place)
        assert not start.result(10), "nothing is left to do"


def test_a_new_database_is_for_its_owner_only(tmp_path: Path) -> None:
    """The folder may be one that everybody can read."""
    tmp_path.chmod(0o755)
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    database.upgrade()
    database.ping()
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == dict.fromkeys(["new.db", "new.db-wal", "new.db-shm"], 0o600)
    database.engine.dispose()


@pytest.mark.parametrize(("lost", "left"), [("", "empty"), ("-wal", "missing")])
def test_no_new_database_takes_the_place_of_one_that_was_lost(
    url: str, lost: str, left: str
) -> None:
    file = Path(url.removeprefix("sqlite:///"))
    file.parent.mkdir()
    Path(f"{file}{lost}").write_bytes(b"log" if lost else b"")
    with pytest.raises(RefusedToStart, match=left) as refused:
        Database(url).upgrade()
    assert str(file) in str(refused.value)
    assert not file.exists() or not file.stat().st_size


def test_the_tables_are_what_the_models_say(any_database: Database) -> None:
    assert SCRIPTS.get_heads() == [REVISION]
    assert _differences(any_database) == []
    with any_database.read() as connection:
        assert schema.read_revision(connection) == REVISION
    assert not any_database.upgrade()


@pytest.mark.embedded
@pytest.mark.long
@pytest.mark.parametrize("revision", REVISIONS)
def test_upgrading_any_release_keeps_what_was_there(url: str, revision: str) -> None:
    database = Database(url)
    with database.engine.begin() as connection:
        command.upgrade(schema.alembic_config(connection), revision)
        _insert(connection)
    assert Database(url).upgrade() == (revision != REVISION)
    assert _count(database) == [1] * len(ROWS)
    assert _differences(database) == []


def test_an_upgrade_gives_what_people_name_every_character(
    any_database: Database,
) -> None:
    with any_database.engine.begin() as connection:
        if connection.dialect.name in ("mysql", "mariadb"):
            poor = "VARCHAR(300) CHARACTER SET latin1 NOT NULL"
            connection.execute(text(f"ALTER TABLE sessions MODIFY user_agent {poor}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0011'"))
        _insert(connection)
    assert any_database.upgrade()
    assert _differences(any_database) == []
    with any_database.write() as db:
        db.execute(text("UPDATE sessions SET user_agent = '🦀'"))
        assert db.execute(text("SELECT user_agent FROM sessions")).scalar() == "🦀"


@pytest.mark.parametrize("table", ["users", "entries", "sessions"])
def test_a_migration_that_makes_a_table_anew_loses_no_row(
    database: Database, table: str
) -> None:
    """SQLite's way to change a column; the old table is dropped under its children."""
    with database.engine.begin() as connection:
        _insert(connection)
    with schema.upgrading(database.engine) as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table(table, recreate="always"):
            pass
    assert _count(database) == [1] * len(ROWS)


@pytest.mark.parametrize("step", ["make_tables", "run_migrations"])
def test_an_upgrade_that_fails_leaves_nothing_half_done(
    url: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = getattr(schema, step)

    def fail(*arguments: Any) -> None:
        run(*arguments)
        raise OperationalError("", {}, Exception("disk full"))

    if step == "run_migrations":
        with Database(url).engine.begin() as connection:
            command.upgrade(schema.alembic_config(connection), REVISIONS[-1])
    before = inspect(Database(url).engine).get_table_names()
    with monkeypatch.context() as full:
        full.setattr(schema, step, fail)
        with pytest.raises(RefusedToStart, match="disk full"):
            Database(url).upgrade()
    assert inspect(Database(url).engine).get_table_names() == before
    assert Database(url).upgrade()


def test_a_newer_database_is_refused_and_kept(database: Database, url: str) -> None:
    with database.write() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RefusedToStart, match=r"newer than this release.*Deploy"):
        Database(url).upgrade()
    with database.read() as connection:
        assert schema.read_revision(connection) == "9999"


@pytest.mark.parametrize("place", ["garbage", "folder", "garbage/below", "cut"])
def test_what_is_no_database_is_refused_in_one_sentence(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "garbage").write_bytes(b"no database " * 100)
    (tmp_path / "cut").write_bytes(b"SQLite format 3\0" + b"\xff" * 100)
    with pytest.raises(RefusedToStart) as refused:
        Database(f"sqlite:///{tmp_path / place}").upgrade()
    place, _, reason = str(refused.value).partition(": ")
    assert place.startswith(str(tmp_path))
    assert "\n" not in reason
    assert 5 < len(reason) < 80
    is_damaged = place.endswith(("garbage", "cut")) and "exists" not in reason
    assert ("backup" in reason) == is_damaged
    assert (tmp_path / "garbage").read_bytes() == b"no database " * 100


def test_an_error_does_not_say_what_was_to_be_written(app: Flask) -> None:
    writing = text("INSERT INTO nowhere VALUES (:value)")
    with pytest.raises(DBAPIError) as raised, app.extensions["database"].write() as db:
        db.execute(writing, {"value": "a secret"})
    assert "nowhere" in str(raised.value)
    assert "a secret" not in str(raised.value)


def test_every_connection_is_safe_against_a_crash(database: Database) -> None:
    pragmas = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1,
               "busy_timeout": sqlite.BUSY_TIMEOUT}  # fmt: skip
    with database.engine.connect() as one, database.engine.connect() as other:
        for connection in (one, other):
            for name, value in pragmas.items():
                found = connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                assert found == value, name


def test_a_second_writer_waits_and_then_gives_up_instead_of_a_deadlock(
    database: Database, other: Database
) -> None:
    with database.write() as db:
        _add(db, "anna")
        with pytest.raises(OperationalError, match="locked"), other.write() as second:
            _add(second, "bert")
        assert _names(other) == [], "readers go on, and see what was before"
    with other.write() as db:
        _add(db, "bert")
    assert _names(database) == ["anna", "bert"]


def test_what_a_writer_has_read_stays_true(database: Database, url: str) -> None:
    with database.write() as db:
        db.execute(text("CREATE TABLE counter AS SELECT 0 AS n"))
    processes = [database, Database(url)]

    def count(number: int) -> None:
        with processes[number % 2].write() as db:
            n = db.execute(text("SELECT n FROM counter")).scalar_one()
            db.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(40)))
    with database.read() as connection:
        assert connection.execute(text("SELECT n FROM counter")).scalar() == 40


@pytest.mark.parametrize("fails", ["inside", "outside", "nowhere"])
def test_joined_writes_are_one_and_what_follows_runs_after_the_commit(
    database: Database, other: Database, fails: str
) -> None:
    seen: list[list[str]] = []
    try:
        with database.write() as db:
            _add(db, "anna")
            database.after_commit(lambda: seen.append(_names(other)))
            with database.write() as joined:
                _add(joined, "bert")
                database.after_commit(lambda: seen.append(_names(other)))
                assert _names(database) == ["anna", "bert"], "its own work is seen"
                _ = 1 // (fails != "inside")
            assert (seen, _names(other)) == ([], [])
            _ = 1 // (fails != "outside")
    except ZeroDivisionError:
        with database.write() as db:
            _add(db, "carl")
        assert (seen, _names(other)) == ([], ["carl"])
    else:
        assert seen == [["anna", "bert"]] * 2


@pytest.mark.parametrize("hours", [-8, 0, 5.5])
def test_a_time_comes_back_aware_in_utc_to_the_microsecond(
    database: Database, hours: float
) -> None:
    there = NOW.astimezone(timezone(timedelta(hours=hours)))
    with database.write() as db:
        _add(db, "anna", there)
    with database.write() as db:
        (anna,) = db.query(User).where(User.created_at == there)
        assert (anna.created_at, anna.created_at.tzinfo) == (NOW, UTC)


def test_an_id_is_never_given_twice(any_database: Database) -> None:
    for expected in (1, 2, 3):
        with any_database.write() as db:
            user = _add(db, "anna")
            assert user.id == expected
            db.delete(user)
    with any_database.read() as connection:
        made = connection.execute(text("SELECT name, sql FROM sqlite_master")).all()
    statements = {row.name: row.sql for row in made}
    for name, table in Model.metadata.tables.items():
        assert ("AUTOINCREMENT" in statements[name]) == ("id" in table.columns), name


def test_a_page_that_was_opened_before_asks_no_database(
    settings: Settings, real_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PAUSE", 3600)
    app = create_app(settings.model_copy(update={"redis_url": real_redis}))
    alice = Browser(app.test_client(), "alice").sign_up().keep("k", "value")
    alice.open("/entries")
    asked: list[str] = []
    send = RedisConnection.send_command

    def note(connection: RedisConnection, *command: Any, **options: Any) -> None:
        asked.append(command[0])
        send(connection, *command, **options)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(RedisConnection, "send_command", note)
    engine = app.extensions["database"].engine
    event.listen(engine, "before_cursor_execute", lambda *_: asked.append("SQL"))
    for path, last in {"/": "MGET", "/entries": "MGET", "/entries/k": "SQL"}.items():
        assert "k" in alice.open(path).text
        assert asked == ["MGET", last]
        asked.clear()


def _upgrade(url: str) -> bool:
    return Database(url).upgrade()


def _add(db: Any, name: str, at: datetime = NOW) -> User:
    user = User(name=name, name_key=name, password_hash="", created_at=at)
    db.add(user)
    db.flush()
    return user


def _insert(connection: Connection) -> None:
    for table, columns in ROWS.items():
        names = columns.split()
        values = tuple("7" if name[-3:] != "_at" else "2026-01-01" for name in names)
        sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES {values}"  # noqa: S608
        connection.exec_driver_sql(sql)


def _count(database: Database) -> list[int]:
    with database.read() as connection:
        tables = [Model.metadata.tables[name] for name in ROWS]
        return [len(connection.execute(table.select()).all()) for table in tables]


def _names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(text("SELECT name FROM users ORDER BY name")))


def _differences(database: Database) -> Any:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": schema.is_of_models}
        )
        return compare_metadata(context, Model.metadata)
