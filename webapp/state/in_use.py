"""Whether a server still writes to a database, as far as that can be found out.

Who has a SQLite file open holds a lock on it. A database server tells who is connected;
of an application whose connections it has cut, only the mark is left.
"""

import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import text

from webapp.database import Database
from webapp.state.backup import is_alone
from webapp.state.marks import InDatabase, Mark, Run, this_run

# Seconds in which what was closed a moment ago is no longer among the connected.
CLOSED_WITHIN = 1.0
LOOK_AGAIN = 0.1
# By the same user, as every process of the application is: a monitor has its own.
CONNECTED = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE "
    "datname = current_database() AND usename = session_user "
    "AND pid <> pg_backend_pid()",
    "mysql": "SELECT count(*) FROM information_schema.processlist "
    "WHERE db = DATABASE() AND id <> CONNECTION_ID()",
}


def why_in_use(database: Database) -> str:
    """Say in a sentence why a server may be using it; empty where nothing tells so.

    Only with a SQLite file is that certain. This process has to be done with it: its
    own connections are closed.
    """
    database.engine.dispose()
    if is_in_file(database):
        if is_alone(Path(database.place)):
            return ""
        return f"Another process still has {database.place} open and may write to it."
    if connected := _count_connected(database):
        are = "connection is" if connected == 1 else "connections are"
        return f"{connected} other {are} open to {database.place} and may write to it."
    if run := _find_unended(database):
        began = datetime.fromtimestamp(run.started_at, UTC)
        return (
            f"The server that began on {run.host} at {began:%Y-%m-%d %H:%M} UTC has "
            "not said that it ended; if it is gone, all of it is there."
        )
    return ""


def is_in_file(database: Database) -> bool:
    return database.engine.dialect.name == "sqlite"


def _count_connected(database: Database) -> int:
    name = database.engine.dialect.name
    statement = text(CONNECTED["mysql" if name == "mariadb" else name])
    until = time.monotonic() + CLOSED_WITHIN
    while True:
        with database.read() as connection:
            connected = int(connection.scalar(statement) or 0)
        if not connected or time.monotonic() > until:
            return connected
        time.sleep(LOOK_AGAIN)


def _find_unended(database: Database) -> Run | None:
    """Find the run that began last, unless it has ended or is known to be gone."""
    with suppress(ValidationError):
        mark = Mark.model_validate(InDatabase(database).read())
        if not (mark.has_ended or mark.run.is_gone(this_run(""))):
            return mark.run
    return None
