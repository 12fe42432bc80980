"""The table of `flask state`: every kind of state, where, what it outlives."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from config.platform import Disk
from config.settings import Settings, load_settings
from tests.browser import Browser
from tests.servers import ROOT
from webapp import create_app, lasting
from webapp.database import Database, Model
from webapp.state.census import KINDS
from webapp.state.marks import KEY
from webapp.state.places import Places
from webapp.state.tables import tables

Operator = Callable[..., str]

STATES = [
    "users",
    "session records",
    "tokens",
    "entries",
    "earlier values",
    "imports",
    "history",
    "limits",
    "kept answers",
]


def rows(said: str) -> dict[str, list[str]]:
    """The cells of the table by the kind of state."""
    lines = said.split("\n\n", maxsplit=1)[0].splitlines()[1:]
    cells = [[cell.strip() for cell in line.split("  ") if cell] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_every_table_belongs_to_a_kind_of_state() -> None:
    named = [table for kind in KINDS.values() for table in kind]
    assert sorted(named) == sorted(table.name for table in tables())
    assert {*named, "marks"} == set(Model.metadata.tables)


def test_a_row_for_each_kind_with_its_place_and_its_size(
    app: Flask, alice: Browser, operator: Operator
) -> None:
    alice.keep("note", "x" * 5000).open("/entries").open("/entries")
    found = rows(operator("state"))
    assert list(found) == [*STATES, "session copies", "cached values"]
    places: Places = app.extensions["places"]
    assert found["users"][:2] == [places.database.place, "1"]
    assert found["entries"][1] == "1"
    assert found["session copies"][:2] == [places.stores[0].place, "1"]
    for cells in found.values():
        assert cells[2].endswith(("Bytes", "kB")), cells


def test_the_documents_show_the_same_rows(operator: Operator) -> None:
    document = (ROOT / "docs" / "state.md").read_text("utf-8")
    shown = document.split("$ flask state\n", 1)[1].split("```", 1)[0]
    assert list(rows(shown)) == list(rows(operator("state")))


@pytest.mark.embedded
def test_a_fact_of_the_place_until_it_is_proven(
    app: Flask, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Disk(restart=True, redeploy=False, why="this platform throws it away")
    monkeypatch.setattr(lasting, "disk_of", lambda _folder: gone)
    places: Places = app.extensions["places"]
    places.begin()
    said = operator("state")
    assert rows(said)["users"][3:] == ["yes", "yes", "no"]
    assert "records: this platform throws it away" in said
    places.begin()
    said = operator("state")
    assert rows(said)["users"][3:] == ["proven", "proven", "no"]
    assert "records: restart 20" in said


@pytest.mark.embedded
def test_what_was_lost_is_said_in_the_log_and_in_the_table(
    app: Flask, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    places: Places = app.extensions["places"]
    places.begin()
    places.stores[0].delete(KEY)
    places.begin()
    assert any("SESSION DATA: what was in" in line for line in caplog.messages)
    said = operator("state")
    assert "LOST: nothing of session data was left at 20" in said
    assert rows(said)["session copies"][3:5] == ["yes", "yes"]


def test_records_that_cannot_be_read_are_not_known_to_outlive_anything(
    app: Flask, alice: Browser, operator: Operator
) -> None:
    """The database answers, and is damaged further on."""
    app.extensions["places"].begin()
    app.extensions["places"].begin()
    database: Database = app.extensions["database"]
    with database.write() as db:
        db.execute(text("ALTER TABLE limits RENAME TO damaged"))
    try:
        said = operator("state", status=1)
    finally:
        with database.write() as db:
            db.execute(text("ALTER TABLE damaged RENAME TO limits"))
    assert rows(said)["records"] == [database.place, "?", "?", "?", "?", "?"]
    assert "session copies" in rows(said)
    last = said.strip().splitlines()[-1]
    assert last.startswith(f"Error: The records cannot be read. {database.place}: ")


@pytest.mark.embedded
def test_a_password_is_not_shown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://me:secret@127.0.0.1:1/0")
    app = create_app(load_settings(data_dir=settings.data_dir))
    said = app.test_cli_runner().invoke(args=["state"]).output
    assert "redis://127.0.0.1:1/0" in said
    assert "secret" not in said
    assert rows(said)["session copies"][1:] == ["?", "?", "?", "?", "?"]
