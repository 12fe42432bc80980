"""PostgreSQL's index of pairs is made, is asked, and can be done without."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, insert, select, text

from config.settings import load_settings
from tests.browser import Browser
from tests.databases import DatabaseServer, database_server_of
from webapp import clock, create_app, schema
from webapp.database import Database
from webapp.entries import postgresql_index
from webapp.entries.inputs import ListQuery
from webapp.entries.models import Entry
from webapp.entries.postgresql_index import (
    HAS_PAIRS,
    HAVING_PAIRS,
    make_postgresql_indexes,
)

pytestmark = [pytest.mark.embedded, pytest.mark.long]
ALICE = 1
MANY = 5000
NEEDLE = 17


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseServer]:
    with database_server_of("postgresql") as server:
        yield server


@pytest.fixture
def app(server: DatabaseServer, tmp_path: Any) -> Iterator[Flask]:
    given = {"data_dir": tmp_path, "database_url": server.url}
    app = create_app(load_settings(password_memory_kib=8, password_rounds=1, **given))
    yield app
    engine = app.extensions["database"].engine
    schema.drop_tables(engine, Entry.metadata)
    engine.dispose()


@pytest.fixture
def database(app: Flask, alice: Browser) -> Database:
    """Many entries of hers, one of which has `qz§`, and as many of somebody else."""
    database: Database = app.extensions["database"]
    Browser(app.test_client(), "bob").enter("/signup")
    with database.write() as db:
        rows = [_row(user_id, each) for user_id in (2, ALICE) for each in range(MANY)]
        db.execute(insert(Entry), rows)
        db.execute(text("ANALYZE entries"))
    return database


def _row(user_id: int, number: int) -> dict[str, Any]:
    value = f"sheet {number}" if number != NEEDLE else "has a qz§ in it"
    times = dict.fromkeys(("created_at", "updated_at"), clock.now())
    sizes = {"size": len(value) + 10, "version": number}
    names = {"user_id": user_id, "key": f"k{number}", "kind": "text", "value": value}
    return names | times | sizes


def found(app: Flask, words: str) -> list[str]:
    rows = app.extensions["entries"].page(ALICE, ListQuery(q=words)).rows
    return [row.key for row in rows]


@pytest.mark.parametrize("words", ["q", "qz", "QZ", "§", "z§", "z§ i"])
def test_what_has_no_trigram_is_looked_for_in_it(
    app: Flask, database: Database, words: str
) -> None:
    plans: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def explain(_connection: Any, cursor: Any, said: str, given: Any, *_: Any) -> None:
        if "MATERIALIZED" in said:
            cursor.execute(f"EXPLAIN {said}", given)
            plans.extend(row[0] for row in cursor.fetchall())

    assert found(app, words) == [f"k{NEEDLE}"]
    assert any("Bitmap Index Scan on tg_entries_pairs" in line for line in plans)


def test_it_knows_whose_they_are(database: Database) -> None:
    having = select(Entry.user_id).where(HAVING_PAIRS.bindparams(words="qz"))
    with database.read() as db:
        for user_id in (ALICE, 2):
            assert db.scalars(having, {"user_id": user_id}).all() == [user_id]


def test_it_is_made_by_an_upgrade_and_does_without_meanwhile(
    app: Flask, database: Database
) -> None:
    with database.write() as db:
        db.execute(text("DROP INDEX tg_entries_pairs"))
        db.execute(text("DROP FUNCTION entry_pairs"))
        # What came after that.
        for column in ("code_hash", "code_expires_at"):
            db.execute(text(f"ALTER TABLE users DROP COLUMN {column}"))
        db.execute(text("UPDATE alembic_version SET version_num = '0009'"))
    assert found(app, "qz") == [f"k{NEEDLE}"]
    said = app.test_cli_runner().invoke(args=["db", "upgrade"])
    assert said.exit_code == 0, said.output
    with database.read() as db:
        assert db.scalar(HAS_PAIRS)
    assert found(app, "qz") == [f"k{NEEDLE}"]


def test_a_database_that_cannot_make_it_serves_all_the_same(
    app: Flask,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with database.write() as db:
        db.execute(text("DROP INDEX tg_entries_pairs"))
    monkeypatch.setattr(postgresql_index, "PAIRS", ["CREATE nothing"])
    with schema.upgrading(database.engine) as connection:
        make_postgresql_indexes(connection)
    assert "takes longer without an index" in caplog.text
    assert found(app, "qz") == [f"k{NEEDLE}"]
