"""Put a backup in the place of the records there are, on any database, in one step.

Until then everything is done beside them: unpacked, checked, brought to this release.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import (
    Connection,
    delete,
    func,
    inspect,
    make_url,
    select,
    table,
)
from sqlalchemy.exc import DatabaseError, DBAPIError

from config.kinds import sqlite_url
from config.mistakes import RefusedToStart
from webapp.accounts.models import User
from webapp.database import Database, Model
from webapp.errors import HoldfastError, StoreUnavailable
from webapp.schema import REVISION, drop_tables, read_revision
from webapp.state import archive, counters
from webapp.state.archive import BadBackup, Manifest
from webapp.state.backup import is_alone, make_one_file
from webapp.state.copied import is_partial
from webapp.state.foreign import foreign_tables
from webapp.state.known import Known, keep_openers, read_known
from webapp.state.marks import MarkRecord
from webapp.state.tables import checksums, copy_tables, snapshot, tables, writing
from webapp.stores import Store

# Of another application's tables.
MOST_NAMED = 5


class Refused(HoldfastError):
    """Something is there that a restore would take the place of."""


@dataclass
class Restored:
    """What came of it: what was in the file, how many sessions were known later.

    `place` is where the records are now. `not_emptied` names the stores that went away
    before they were emptied for good.
    """

    manifest: Manifest
    place: str
    sessions_kept: int = 0
    not_emptied: list[str] = field(default_factory=list)


def restore(file: Path, url: str, stores: Sequence[Store], *, force: bool) -> Restored:
    """Make the records at the URL those of the file; empties the stores.

    A session or token that began, ended or got a new ID since the backup stays as the
    replaced records know it. Raises Refused when there are people already, or something
    that cannot be read, unless forced; where tables are another application's, also if
    forced; BadBackup, and StoreUnavailable before anything
    is changed.
    """
    path = sqlite_file(url)
    if path:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with archive.scratch(path or file) as folder:
        records, manifest = archive.read(file, folder)
        archive.check_integrity(records)
        staged = _stage(records, manifest)
        place = Database(url).place
        people = _count_people(url, path)
        if people != 0 and not force:
            raise Refused(_why(people, place))
        known = None if people is None else _look(url, path)
        kept = keep_openers(staged, known or Known())
        restored = Restored(manifest, place, kept)
        for store in stores:
            store.clear()
        if path:
            _put_file(staged, records, path)
        else:
            _put_rows(staged, Database(url), is_readable=known is not None)
        for store in stores:
            # Who read meanwhile may have kept something of before.
            try:
                store.clear()
            except StoreUnavailable:
                restored.not_emptied.append(store.place)
    return restored


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite database, where it really is; None for others."""
    target = make_url(url)
    is_file = target.get_backend_name() == "sqlite"
    return Path(target.database or "").resolve() if is_file else None


def _stage(records: Path, manifest: Manifest) -> Database:
    """Open what was unpacked, checked and brought to this release."""
    staged = Database(sqlite_url(records))
    with snapshot(staged.engine) as connection:
        _check(connection, manifest)
    try:
        staged.upgrade()
    except RefusedToStart as reason:
        if not isinstance(reason.__cause__, DBAPIError):
            raise  # It is of a newer release.
        raise BadBackup(f"The backup is bad: {reason.__cause__.orig}") from reason
    return staged


def _check(connection: Connection, manifest: Manifest) -> None:
    """Compare what was unpacked with the manifest, which may be wrong or incomplete."""
    revision = read_revision(connection)
    present = set(inspect(connection).get_table_names())
    ours = {each.name for each in tables()}
    wanted = manifest.rows.keys() | (ours if revision == REVISION else {"users"})
    if missing := sorted(wanted - present):
        raise BadBackup(f"The backup is bad: it has no table {', '.join(missing)}.")
    if revision != manifest.revision:
        raise BadBackup(
            f"The backup is bad: its manifest tells of revision {manifest.revision}, "
            f"its tables are of {revision}."
        )
    # What a table of an earlier or later release is for is its own business.
    counted = {
        name: connection.scalar(select(func.count()).select_from(table(name)))
        for name in manifest.rows.keys() | (ours & present)
    }
    if counted != manifest.rows:
        raise BadBackup("The rows are not as many as the manifest says.")
    if revision == REVISION and checksums(connection) != manifest.checksums:
        raise BadBackup("The rows are not those that the manifest sums up.")


def _count_people(url: str, path: Path | None) -> int | None:
    """Count the accounts there are, and change nothing; None for what is not read.

    Raises Refused where what is there is not ours.
    """
    if path and not path.exists():
        # A write-ahead log without its database is what is left of one.
        return None if Path(f"{path}-wal").exists() else 0
    if path and not path.stat().st_size:
        return None
    database = Database(url)
    try:
        with database.read() as connection:
            _refuse_foreign(connection, database.place)
            if not inspect(connection).has_table(User.__tablename__):
                return 0
            return connection.scalar(select(func.count()).select_from(User)) or 0
    except DatabaseError:
        if path:
            return None
        raise
    finally:
        database.engine.dispose()


def _refuse_foreign(connection: Connection, place: str) -> None:
    names = foreign_tables(connection)
    if names:
        more = ["…"] if len(names) > MOST_NAMED else []
        raise Refused(
            f"{place} has tables of another application: "
            f"{', '.join(names[:MOST_NAMED] + more)}. It stays as it is, also with "
            "--force: the records need a database of their own."
        )


def _look(url: str, path: Path | None) -> Known | None:
    """Read what will be replaced, of which nobody may have made a newer one."""
    if path and not path.exists():
        return Known()
    if path:
        _require_alone(path)
    database = Database(url)
    try:
        database.upgrade()
        with snapshot(database.engine) as connection:
            # Of a move that was not finished only a part is there, if anything.
            return Known() if is_partial(connection) else read_known(connection)
    except RefusedToStart:
        return None  # Of a newer release, or damaged further on.
    finally:
        database.engine.dispose()


def _require_alone(path: Path) -> None:
    """Raise Refused while a server has the file open; take in its write-ahead log."""
    if not is_alone(path):
        raise Refused(f"{path} is in use. Stop the application, then run this again.")


def _why(people: int | None, place: object) -> str:
    if people is None:
        return f"{place} cannot be read. With --force the backup takes its place."
    there = "There is an account" if people == 1 else f"There are {people:,} accounts"
    return f"{there} already. With --force the backup takes the place of all."


def _put_file(staged: Database, records: Path, path: Path) -> None:
    """Move the file into place, with nothing beside it that belonged to the other."""
    staged.engine.dispose()
    make_one_file(records)
    records.chmod(0o600)
    with records.open("rb") as written:
        os.fsync(written.fileno())
    for end in ("-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            Path(f"{path}{end}").unlink()
    records.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _put_rows(staged: Database, target: Database, *, is_readable: bool) -> None:
    """Make the tables as the backup's in one transaction: all of it, or nothing.

    Tables that this release cannot read are made anew before.
    """
    if not is_readable:
        drop_tables(target.engine, Model.metadata)
    target.upgrade()
    with snapshot(staged.engine) as before, writing(target.engine) as after:
        for _ in copy_tables(before, after):
            pass
        # What the other records knew of the stores is of another time.
        after.execute(delete(MarkRecord))
        if checksums(before) != checksums(after):
            raise BadBackup(
                "What was written is not what was read; nothing is changed."
            )
        after.commit()
        counters.go_on_after(after, counters.last_ids(before))
        after.commit()
    target.engine.dispose()
    staged.engine.dispose()
