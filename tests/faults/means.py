"""The means of a fault: small disks, disks that can only be read, an older database."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from alembic import command

from tests.faults.people import wait_until
from tests.servers import Gunicorn
from webapp import schema
from webapp.database import Database

TABLES = """SELECT name FROM main.sqlite_schema WHERE type = 'table'
    AND name NOT LIKE 'sqlite%' AND name != 'alembic_version'"""


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Give a folder on a disk of its own; where none can be had the row is not run."""
    folder.mkdir()
    size = f"size={kilobytes}k,mode=700"
    if reason := _mount("-t", "tmpfs", "-o", size, "tmpfs", folder):
        pytest.skip(f"not run: no disk can be mounted here ({reason})")
    try:
        yield folder
    finally:
        # Lazily: a server that was killed may not have let go of its files yet.
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)  # noqa: S603


@contextmanager
def only_readable(folder: Path) -> Iterator[None]:
    """Let nothing be written there, once no server has a file of it open."""
    wait_until(lambda: not _is_in_use(folder), 10, f"let go of {folder}")
    # What a process had open is closed a moment after it has left the list.
    wait_until(lambda: not _mount("-o", "remount,ro", folder), 10, "only readable")
    try:
        yield
    finally:
        assert not _mount("-o", "remount,rw", folder)


@contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """Let no file be made there or replaced by who obeys permissions."""
    folders = [folder, *(each for each in folder.rglob("*") if each.is_dir())]
    for each in folders:
        each.chmod(0o500)
    try:
        yield
    finally:
        for each in folders:
            each.chmod(0o700)


class Obedient(Gunicorn):
    """The application without root's right to ignore permissions."""

    def command(self) -> list[str]:
        rights = "-dac_override,-dac_read_search"
        wrapper = ["/usr/bin/setpriv", "--bounding-set", rights]
        return [*(wrapper if os.geteuid() == 0 else []), *super().command()]


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Leave not a byte on its disk."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    try:
        yield
    finally:
        filler.unlink()


def _is_in_use(folder: Path) -> bool:
    """Tell whether a process that was killed has not let go of its files yet."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if link.readlink().is_relative_to(folder):
                return True
    return False


def make_older(file: Path) -> None:
    """Make the database as the first release did; what is in the file is kept in it."""
    newer = file.with_suffix(".newer")
    if file.exists():
        file.rename(newer)
    older = Database(f"sqlite:///{file}")
    with older.engine.begin() as connection:
        command.upgrade(schema.alembic_config(connection), "0001")
    older.engine.dispose()
    if newer.exists():
        _copy_rows(newer, file)


def _copy_rows(newer: Path, older: Path) -> None:
    with closing(sqlite3.connect(older)) as db, db:
        db.execute("ATTACH ? AS newer", [str(newer)])
        for (table,) in db.execute(TABLES).fetchall():
            named = db.execute("SELECT name FROM pragma_table_info(?)", [table])
            columns = ", ".join(name for (name,) in named)
            rows = f"SELECT {columns} FROM newer.{table}"  # noqa: S608
            db.execute(f"INSERT INTO main.{table} ({columns}) {rows}")


def _mount(*arguments: str | Path) -> str:
    """Return why it cannot be done; nothing when it is."""
    command = ["/bin/mount", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stderr.strip() or "no reason given" if done.returncode else ""
