"""Back all records up into one file, while people go on writing."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import text

from config.kinds import sqlite_url
from webapp import clock
from webapp.database import Database
from webapp.schema import REVISION
from webapp.sqlite import HELD
from webapp.state import archive
from webapp.state.archive import RECORDS, Manifest
from webapp.state.tables import checksums, copy_in_steps, count_rows, snapshot, writing


def back_up(database: Database, file: Path, made: list[Manifest]) -> Iterator[int]:
    """Write the file; gives how many rows each step took, and `made` what is in it.

    What is in it is the state of one moment. Session data and cached values are not:
    they may vanish.
    """
    with archive.scratch(file) as folder:
        records = folder / RECORDS
        if database.engine.dialect.name == "sqlite":
            _copy_file(database, records)
        else:
            yield from _copy_rows(database, records)
        manifest = describe(records, database.place)
        yield sum(manifest.rows.values())
        archive.write(file, records, manifest)
        made.append(manifest)


def describe(records: Path, place: str) -> Manifest:
    """Sum up a database that nobody writes to; raises BadBackup when it is damaged."""
    database = Database(sqlite_url(records))
    with writing(database.engine) as connection:
        # A mark is about the place where it was left.
        connection.execute(text("DELETE FROM marks"))
        connection.commit()
    with snapshot(database.engine) as connection:
        rows, sums = count_rows(connection), checksums(connection)
    database.engine.dispose()
    make_one_file(records)
    archive.check_integrity(records)
    return Manifest(
        made_at=clock.now(),
        revision=REVISION,
        place=place,
        rows=rows,
        checksums=sums,
        sha256=archive.sum_up(records),
        size=records.stat().st_size,
    )


def make_one_file(records: Path) -> None:
    """Take the write-ahead log into the database; raises OperationalError if in use."""
    with closing(sqlite3.connect(records, timeout=1)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def is_alone(records: Path) -> bool:
    """Take in the write-ahead log; False, and nothing is done, while it is in use."""
    try:
        make_one_file(records)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in HELD:
            raise
        return False
    return True


def _copy_file(database: Database, records: Path) -> None:
    """Copy it by SQLite's own means: as it is at this moment, page by page."""
    with database.engine.connect() as source, closing(sqlite3.connect(records)) as copy:
        driver: Any = source.connection.driver_connection
        # In one step: in several it would begin anew with each write of others.
        driver.backup(copy)


def _copy_rows(database: Database, records: Path) -> Iterator[int]:
    copy = Database(sqlite_url(records))
    copy.upgrade()
    with snapshot(database.engine) as source, writing(copy.engine) as target:
        yield from copy_in_steps(source, target)
    copy.engine.dispose()
