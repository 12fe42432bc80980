"""SQLite, set up so that it survives a crash and does not hold the loop up for long."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from config.mistakes import RefusedToStart

# Milliseconds that SQLite waits by itself, in which nobody is served: for what takes
# others moments, and to empty the write-ahead log.
BUSY_TIMEOUT, CHECKPOINT_TIMEOUT = 2_000, 200
# Seconds that a write waits for another process: one that somebody asked for, and one
# that can be left for another time. Meanwhile others are served.
PATIENCE, BRIEFLY = 2.0, 0.2
LOOK_AGAIN = 0.01
ROOM = 65_536
HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def create_sqlite_engine(target: URL) -> Engine:
    """Open the file, in a folder that is made; raises RefusedToStart when it cannot."""
    if target.database:
        folder = Path(target.database).parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise RefusedToStart(f"{folder}: {error.strerror}") from error
    # Errors are logged, and what people keep is not.
    engine = create_engine(target, pool_use_lifo=True, hide_parameters=True)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    if target.database:
        _stay_with(engine, Path(target.database))
    return engine


def _stay_with(engine: Engine, file: Path) -> None:
    """Refuse to write to a file that is not at its place any more.

    SQLite would go on in it, and all of it would be gone with the process.
    """

    def note(_connection: Any, record: Any) -> None:
        record.info["file"] = file.stat()

    def check(connection: Connection) -> None:
        if not connection.get_execution_options().get("immediate"):
            return
        try:
            is_there = os.path.samestat(connection.info["file"], file.stat())
        except FileNotFoundError:
            is_there = False
        if not is_there:
            gone = FileNotFoundError(f"{file} was removed or replaced meanwhile")
            raise OperationalError("BEGIN IMMEDIATE", {}, gone)

    event.listen(engine, "connect", note)
    event.listen(engine, "begin", check, insert=True)


def is_locked(error: DBAPIError) -> bool:
    """Tell whether somebody else held the file."""
    return _code(error.orig) in HELD


def is_damaged(error: DBAPIError) -> bool:
    """Tell whether the file is no database, or only a part of one."""
    return _code(error.orig) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_full(error: DBAPIError) -> bool:
    """Tell whether the disk had no room for it."""
    return _code(error.orig) == sqlite3.SQLITE_FULL


def free_room(engine: Engine) -> None:
    """Give back what the write-ahead log takes beside the database, 4 MB at most.

    What was deleted is gone from there as well. While somebody else is in the middle
    of reading or writing the log stays as it is.
    """
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        with _busy_timeout(driver, CHECKPOINT_TIMEOUT):
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def check_room(target: URL) -> None:
    """Raise OSError where nothing can be added in the folder, or not ROOM bytes.

    What is open already can still be written to for a while, and a small write may
    find room in the write-ahead log.
    """
    with TemporaryFile(dir=Path(target.database or "").parent) as file:
        file.write(bytes(ROOM))


@contextmanager
def waiting(seconds: float) -> Iterator[None]:
    """Have writes wait for so long, from now on, while another process writes.

    What waits already waits no longer for it.
    """
    before, deadline = _deadline.get(), time.monotonic() + seconds
    token = _deadline.set(deadline if before is None else min(before, deadline))
    try:
        yield
    finally:
        _deadline.reset(token)


def time_left() -> float | None:
    """Return the seconds that writes here wait at most; None where none were said."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def locked() -> OperationalError:
    """Make what is raised where the file is not to be had."""
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return OperationalError("BEGIN IMMEDIATE", {}, error)


@contextmanager
def _busy_timeout(driver: Any, milliseconds: int) -> Iterator[None]:
    driver.execute(f"PRAGMA busy_timeout={milliseconds}").close()
    try:
        yield
    finally:
        driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}").close()


@contextmanager
def new_file_only_once(target: URL) -> Iterator[None]:
    """Let one process at a time make the file, and none where one was lost.

    It is the owner's alone, and so are the files that SQLite puts beside it, whoever
    may read the folder. Raises RefusedToStart for a file that was cut to nothing, and
    for a write-ahead log without its database: SQLite would begin a new database in
    its place.
    """
    file = Path(target.database or "")
    if not target.database or _size(file):
        yield
        return
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        # Whoever has the lock is the one who makes it: an empty file is nobody's work.
        fcntl.flock(folder, fcntl.LOCK_EX)
        if file.exists() and not _size(file):
            raise RefusedToStart(
                f"{file} is empty. Restore a backup (flask state restore); if there "
                "never was anything in it, delete it."
            )
        if not file.exists() and _size(Path(f"{file}-wal")):
            raise RefusedToStart(
                f"{file} is missing, and {file.name}-wal is there. Restore "
                "a backup (flask state restore); to begin anew, delete the second."
            )
        before = os.umask(0o077)
        try:
            yield
        finally:
            os.umask(before)
    finally:
        os.close(folder)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _code(error: object) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # Transactions are begun by _begin_sqlite; the driver's own way would begin a
    # deferred one, which can fail in the middle when it turns to writing.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        # Debian's default: what was deleted or made secret is overwritten with zeros.
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()
    # SQLite's own lower() knows ASCII only; searching should find É by é.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(value: object) -> object:
    return value.casefold() if isinstance(value, str) else value


def _begin_sqlite(connection: Connection) -> None:
    """Begin to write. Where SQLite would hold the loop, this lets others go on."""
    if not connection.get_execution_options().get("immediate"):
        return
    driver: Any = connection.connection.driver_connection
    deadline = _deadline.get() or time.monotonic() + PATIENCE
    with _busy_timeout(driver, 0):
        while _is_held(driver) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN)
        if not driver.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # Raises as SQLAlchemy does.


def _is_held(driver: Any) -> bool:
    """Begin to write; tell whether another process keeps it from that."""
    try:
        driver.execute("BEGIN IMMEDIATE").close()
    except sqlite3.Error as error:
        return _code(error) in HELD
    return False
