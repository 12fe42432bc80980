"""Files of entries: checked as a whole, told what they would do, and done in steps.

All of 10,000 lines in one transaction would hold up everybody for half a minute. So a
file waits in the database, in parts; each step does one of them, and notes how far it
is in the same transaction. It can be cut off at any moment and goes on from there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp import clock
from webapp.database import AnyRow, Database
from webapp.encryption import Encryption, Place
from webapp.entries.checking import FileCheck, Line
from webapp.entries.foretelling import WRITTEN, Coming, Forecast, Mode
from webapp.entries.import_check import ImportCheck
from webapp.entries.import_parts import (
    PARTS,
    in_batches,
    in_parts,
    read_part,
    write_part,
)
from webapp.entries.inputs import NewEntry
from webapp.entries.models import EntryImport, EntryImportPart, Usage
from webapp.entries.service import Entries
from webapp.entries.writing import USER, Writing
from webapp.errors import Invalid, NotFound, Taken
from webapp.pace import let_others_go

LIFETIME = timedelta(days=1)
UNREADABLE = (
    "What was uploaded cannot be read any more: the keys of this site have changed. "
    "Upload the file again."
)
OVERTAKEN = "Another file of yours came at the same time. Look which of them is there."

ONE = select(EntryImport).where(
    EntryImport.user_id == USER,
    EntryImport.id == bindparam("import_id"),
    EntryImport.total.is_not(None),
)
SHOWN = select(*EntryImport.__table__.c).where(
    EntryImport.user_id == USER,
    EntryImport.total.is_not(None),
    EntryImport.created_at > bindparam("since"),
)
ID_OF_PERSON = select(EntryImport.id).where(EntryImport.user_id == USER)
OVER = select(EntryImport.id).where(EntryImport.created_at <= bindparam("until"))
NEXT_PARTS = (
    select(EntryImportPart)
    .where(EntryImportPart.import_id == bindparam("import_id"))
    .order_by(EntryImportPart.id)
    .limit(bindparam("limit"))
)


@dataclass(frozen=True)
class Progress:
    """How far an import is, in lines."""

    total: int
    done: int
    added: int
    changed: int

    @property
    def is_done(self) -> bool:
        return self.done >= self.total


@dataclass(frozen=True)
class Waiting:
    """A file that was uploaded: what it would do when it was, and how far it is."""

    id: int
    mode: str
    created_at: datetime
    progress: Progress
    # None: it cannot be read with the keys that this site has now.
    forecast: Forecast | None


class Imports:
    """What people have uploaded, at most one file each; every verb says whose."""

    def __init__(
        self,
        database: Database,
        entries: Entries,
        writing: Writing,
        encryption: Encryption,
    ) -> None:
        self._database = database
        self._writing = writing
        self._encryption = encryption
        self._check = ImportCheck(entries, writing)
        quota = writing.quota
        self._files = FileCheck(
            self._check.check_value, largest=quota.value_size, most=quota.entries
        )

    def upload(self, user_id: int, data: bytes, mode: Mode) -> None:
        """Check a file and let it wait, in the place of one before.

        Raises WrongLines with all that is wrong; then nothing has changed.
        """
        lines = self._files.read(data)
        parts = list(in_parts(lines))
        forecast = self._check.foretell(user_id, parts, mode)
        self.drop(user_id)
        try:
            self._keep(user_id, parts, mode, forecast)
        except IntegrityError as error:
            raise Taken(file=OVERTAKEN) from error

    def waiting(self, user_id: int) -> Waiting | None:
        """Return what the person has uploaded within the last day, if anything."""
        row = self._find(user_id)
        if row is None:
            return None
        text = self._open(row.forecast, row)
        forecast = None if text is None else Forecast.model_validate_json(text)
        return Waiting(row.id, row.mode, row.created_at, _progress(row), forecast)

    def look_again(self, user_id: int) -> Forecast:
        """Return what a file would do now; for one that has begun, nothing more.

        Raises WrongLines where the room was taken or an end has passed meanwhile, and
        Invalid for what cannot be read any more. Nothing changes.
        """
        row = self._find(user_id)
        if row is None or row.done:
            return Forecast()
        return self._check.foretell(user_id, self._lines(row), row.mode)

    def step(self, user_id: int, import_id: int, *, by: str) -> Progress:
        """Do the next few lines in one transaction; the last step ends the import.

        Raises NotFound where this import is over or dropped, QuotaReached, and Invalid
        for what cannot be read any more. What was done before stays done.
        """
        with self._writing.begin(user_id) as (db, usage):
            given = {"user_id": user_id, "import_id": import_id}
            found = db.execute(ONE.with_for_update(), given).scalar()
            if found is None:
                raise NotFound("There is nothing left to import.")
            given = {"import_id": found.id, "limit": 1}
            for part in db.scalars(NEXT_PARTS, given).all():
                lines = self._read_part(found, part.content)
                for coming in self._check.comings(user_id, lines, found.mode):
                    self._do(db, usage, coming, by)
                    found.added += coming.outcome == "new"
                    found.changed += coming.outcome == "changed"
                found.done += len(lines)
                db.delete(part)
                db.flush()
            progress = _progress(found)
            if progress.is_done:
                db.delete(found)
            return progress

    def drop(self, user_id: int) -> None:
        """Forget what was uploaded, in steps; what was imported of it stays."""
        with self._database.read() as db:
            import_id = db.execute(ID_OF_PERSON, {"user_id": user_id}).scalar()
        while import_id and self._clear_away(import_id):
            let_others_go()

    def purge(self, _limit: int) -> int:
        """Take away some of what has waited for too long."""
        with self._database.read() as db:
            until = clock.now() - LIFETIME
            import_id = db.execute(OVER.limit(1), {"until": until}).scalar()
        return self._clear_away(import_id) if import_id else 0

    def _keep(
        self, user_id: int, parts: list[list[Line]], mode: Mode, forecast: Forecast
    ) -> None:
        place = ("import", user_id)
        keys = self._encryption.fingerprints
        # So that each step finds the row of the person that it locks.
        with self._writing.at_once(user_id), self._database.write() as db:
            waits = EntryImport(
                user_id=user_id,
                mode=mode,
                forecast=self._seal(forecast.model_dump_json(), place),
                encrypted_by=keys[0] if keys else None,
                created_at=clock.now(),
            )
            db.add(waits)
            db.flush()
            import_id = waits.id
        contents = (self._seal(write_part(part), place) for part in parts)
        for batch in in_batches(contents):
            with self._database.write() as db:
                db.add_all(
                    EntryImportPart(import_id=import_id, content=content)
                    for content in batch
                )
            let_others_go()
        total = sum(map(len, parts))
        with self._database.write() as db:
            of_this = update(EntryImport).where(EntryImport.id == import_id)
            is_ready = db.connection().execute(of_this.values(total=total))
            if not is_ready.rowcount:
                raise Taken(file=OVERTAKEN)

    def _do(self, db: Session, usage: Usage, coming: Coming, by: str) -> None:
        """Write one line, as `Entries.create` and `change` would each by itself."""
        if coming.outcome not in WRITTEN:
            return
        new = coming.new
        self._writing.check(new)
        # Each write has a version of its own, and a lock of its own costs 2 ms.
        usage.version += 1
        # What has ended since is cleared away, and the line makes it anew.
        if entry := self._writing.find(db, usage, new.key):
            self._writing.replace(db, usage, entry, new, by)
        else:
            self._writing.make(db, usage, new, by)

    def _clear_away(self, import_id: int) -> int:
        """Delete some parts, or the last trace; return how many rows that were."""
        with self._database.write() as db:
            # Whoever has it open is not to go on with what is left. First, as a step
            # locks it first: the other way round each would wait for the other.
            halted = update(EntryImport).where(EntryImport.id == import_id)
            db.execute(halted.values(total=None))
            parts = _ids_of_parts(db, import_id)
            if parts:
                gone = delete(EntryImportPart).where(EntryImportPart.id.in_(parts))
                db.execute(gone)
                return len(parts)
            gone = delete(EntryImport).where(EntryImport.id == import_id)
            return db.connection().execute(gone).rowcount

    def _find(self, user_id: int) -> AnyRow | None:
        given = {"user_id": user_id, "since": clock.now() - LIFETIME}
        with self._database.read() as db:
            return db.execute(SHOWN, given).first()

    def _lines(self, row: AnyRow) -> Iterator[list[Line]]:
        """Read all of a file that waits, with its entries numbered from 1."""
        number, after = count(1), 0
        given = {"import_id": row.id, "limit": PARTS}
        while True:
            following = NEXT_PARTS.where(EntryImportPart.id > after)
            with self._database.read() as db:
                parts = db.execute(following, given).all()
            for part in parts:
                news = self._read_part(row, part.content)
                yield [Line(f"Entry {next(number)}", new) for new in news]
            if not parts:
                return
            after = parts[-1].id

    def _read_part(self, found: AnyRow | EntryImport, part: str) -> list[NewEntry]:
        text = self._open(part, found)
        if text is None:
            raise Invalid(file=UNREADABLE)
        return read_part(text)

    def _seal(self, text: str, place: Place) -> str:
        """Encrypt what may have secret values in it, where the site has keys."""
        keys = self._encryption.fingerprints
        return self._encryption.encrypt(text, place) if keys else text

    def _open(self, text: str, found: AnyRow | EntryImport) -> str | None:
        if found.encrypted_by is None:
            return text
        return self._encryption.decrypt(text, ("import", found.user_id))


def _progress(row: AnyRow | EntryImport) -> Progress:
    return Progress(row.total or 0, row.done, row.added, row.changed)


def _ids_of_parts(db: Session, import_id: int) -> Sequence[int]:
    ids = NEXT_PARTS.with_only_columns(EntryImportPart.id)
    return db.scalars(ids, {"import_id": import_id, "limit": PARTS}).all()
