"""The file of a backup: a zip of one SQLite database and a manifest with checksums.

Whatever database the records come from, here they are SQLite: every machine has what
opens it, and it can check itself.
"""

import errno
import hashlib
import os
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import BaseModel, ValidationError

from webapp.errors import HoldfastError

RECORDS, MANIFEST = "records.db", "manifest.json"
CHUNK = 1 << 20
# More than this is no manifest.
LARGEST_MANIFEST = 1 << 20
# What zipfile and zlib raise for a file that is not as it was written.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    struct.error,
    ValueError,
)


class Manifest(BaseModel):
    """What is in a backup: per table how many rows, and a checksum over them."""

    holdfast_backup: Literal[1] = 1
    made_at: datetime
    revision: str
    place: str
    rows: dict[str, int]
    checksums: dict[str, str]
    sha256: str
    size: int


class BadBackup(HoldfastError):
    """The file is no backup, or not as it was when it was made."""


@contextmanager
def scratch(beside: Path) -> Iterator[Path]:
    """Give a folder on the disk of the file, and remove it afterwards."""
    with TemporaryDirectory(
        prefix=".holdfast-", dir=beside.absolute().parent
    ) as folder:
        yield Path(folder)


def write(file: Path, records: Path, manifest: Manifest) -> None:
    """Write the archive beside the file; move it there once it is on the disk."""
    part = records.with_name("archive")
    with zipfile.ZipFile(part, "x", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, manifest.model_dump_json(indent=2))
        archive.write(records, RECORDS)
    part.chmod(0o600)
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(file)


def read(file: Path, folder: Path) -> tuple[Path, Manifest]:
    """Unpack into the folder and check; raises BadBackup in words for the operator."""
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = _read_manifest(archive)
            records = folder / RECORDS
            _unpack(archive, records, manifest.size)
    except ValidationError as error:
        raise BadBackup("Its manifest is not one that this release knows.") from error
    except DAMAGE as error:
        raise BadBackup(f"The file is no backup, or damaged: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # What should be the place of something in the file is none.
        raise BadBackup("The file is no backup, or damaged.") from error
    if sum_up(records) != manifest.sha256:
        raise BadBackup("The file is damaged: the records are not those it had.")
    return records, manifest


def sum_up(file: Path) -> str:
    """Return the SHA-256 of the file in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def check_integrity(records: Path) -> None:
    """Have SQLite look at every page and every index; raises BadBackup."""
    said = "it cannot be opened"
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(records)) as database:
        said = str(database.execute("PRAGMA integrity_check").fetchone()[0])
    if said != "ok":
        raise BadBackup(f"The records are damaged: {said}")


def _read_manifest(archive: zipfile.ZipFile) -> Manifest:
    with archive.open(MANIFEST) as opened:
        return Manifest.model_validate_json(opened.read(LARGEST_MANIFEST))


def _unpack(archive: zipfile.ZipFile, target: Path, size: int) -> None:
    """Take as much as the manifest says: a file can be made to unpack to any size."""
    with archive.open(RECORDS) as packed, target.open("xb") as unpacked:
        while chunk := packed.read(CHUNK):
            unpacked.write(chunk)
            if unpacked.tell() > size:
                raise BadBackup("The records are larger than the manifest says.")
