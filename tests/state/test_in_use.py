"""Whether a server may still use a database: what tells it, and what does not."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import load_settings
from tests.databases import DatabaseServer
from tests.servers import Gunicorn
from tests.state.test_marks import GONE_PID, run
from webapp.database import Database
from webapp.state.in_use import why_in_use
from webapp.state.marks import InDatabase, Marks, Run
from webapp.state.moving import Moved, check_target, move_records

pytestmark = pytest.mark.embedded


@pytest.fixture
def on_server(each_server: DatabaseServer) -> Iterator[Database]:
    each_server.make_database()
    each_server.leave()
    database = Database(load_settings(database_url=each_server.url).database)
    database.upgrade()
    yield database
    database.engine.dispose()


def begin(database: Database, run: Run) -> Marks:
    marks = Marks({"records": InDatabase(database)}, run)
    assert marks.begin()
    return marks


def test_whoever_has_the_file_open_is_told_of(database: Database) -> None:
    database.upgrade()
    assert why_in_use(database) == ""
    other = Database(str(database.engine.url))
    with other.read() as connection:
        connection.exec_driver_sql("SELECT name FROM marks")
    # Its connection waits in the pool for the next request.
    assert database.place in why_in_use(database)
    other.engine.dispose()
    assert why_in_use(database) == ""


def test_a_file_that_nobody_has_open_needs_no_word_of_a_server(
    database: Database,
) -> None:
    database.upgrade()
    begin(database, run(host="elsewhere"))
    assert why_in_use(database) == ""


@pytest.mark.long
def test_a_move_beside_a_server_is_not_done_before_that_has_stopped(
    server: Gunicorn, tmp_path: Path
) -> None:
    """It keeps its file open also where nobody ever came."""
    server.start()
    command = ("state", "move", "records", f"sqlite:///{tmp_path / 'new.db'}")
    assert "open and may write to it. Stop" in server.flask(*command, status=2)
    server.stop()
    assert "All of it is there" in server.flask(*command)


@pytest.mark.long
def test_whoever_is_connected_is_told_of(
    on_server: Database, each_server: DatabaseServer
) -> None:
    assert why_in_use(on_server) == ""
    other = Database(load_settings(database_url=each_server.url).database)
    with other.read() as connection:
        connection.exec_driver_sql("SELECT name FROM marks")
    said = why_in_use(on_server)
    assert said.startswith("1 other connection is open to ")
    assert on_server.place in said
    other.engine.dispose()
    assert why_in_use(on_server) == ""


@pytest.mark.long
@pytest.mark.parametrize("each_server", ["postgresql"], indirect=True)
def test_a_move_is_not_told_of_itself(
    on_server: Database, each_server: DatabaseServer
) -> None:
    """To another schema of one database, where both ends are connected to it."""
    with on_server.engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA other")
    url = f"{each_server.url}?options=-csearch_path%3Dother"
    target, moved = Database(load_settings(database_url=url).database), Moved()
    target.upgrade()
    check_target(on_server, target)
    list(move_records(on_server, target, moved))
    assert (moved.differing, moved.in_use, moved.is_behind) == ([], "", False)


@pytest.mark.long
@pytest.mark.parametrize(
    ("changed", "is_said"),
    [
        ({"host": "elsewhere"}, True),
        ({"pid": os.getppid()}, True),
        ({"pid": GONE_PID}, False),
        ({"boot": "before", "pid": os.getppid()}, False),
    ],
)
def test_a_server_that_is_not_known_to_be_gone_may_come_back(
    on_server: Database, changed: dict[str, Any], is_said: bool
) -> None:
    """Its connections may have been cut: some servers do that when nobody asks."""
    marks = begin(on_server, run(**changed))
    assert ("has not said that it ended" in why_in_use(on_server)) == is_said
    marks.end()
    assert why_in_use(on_server) == ""
