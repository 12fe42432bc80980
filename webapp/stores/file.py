"""Values as files in one folder."""

import fcntl
import itertools
import os
import re
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cachelib import FileSystemCache

from webapp.errors import StoreUnavailable
from webapp.lasting import Lasting, on_disk
from webapp.stores.interface import LARGEST_VALUE, Json, Measure, add_up, note_trouble
from webapp.stores.unchanged import Stamp, Unchanged, stamp_of

TEMPORARY_FILE_AGE = 60.0
# Files that are looked at, or removed while writers wait, in one step.
STEP = 100
USUAL_VALUE = 65_536
# cachelib names a file by the SHA-256 of the key; others in the folder are not ours.
OUR_FILE = re.compile(r"[0-9a-f]{64}")


class FileStore(FileSystemCache):
    """One file per value, written beside and moved into place.

    Has no threshold: cachelib's evicts live values beyond it. Writers take one lock
    per folder, so that `replace` and `delete` are atomic among processes as well.
    """

    serializer = Json()  # type: ignore[assignment]
    is_shared = True

    def __init__(self, folder: str) -> None:
        self.last_trouble = 0.0
        self._lock = threading.Lock()
        self._unseen: Any = None
        self._unchanged = Unchanged()
        # The parents that mkdir makes by itself are everybody's to look into.
        for each in (Path(folder).parent, Path(folder)):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(folder, threshold=0, default_timeout=0)
        self._lock_path = Path(folder) / ".lock"
        self._lock_file = _open_lock(self._lock_path)

    def __del__(self) -> None:
        if self._unseen:
            self._unseen.close()
        with suppress(AttributeError):  # The folder could not be opened.
            os.close(self._lock_file)

    @property
    def place(self) -> str:
        return str(self._path)

    def lasting(self) -> Lasting:
        return on_disk(Path(self._path))

    def get(self, key: str) -> Any:
        content = self._unchanged.find(key)
        if content is None:
            path = self._get_filename(key)
            try:
                content, stamp = _read(path, LARGEST_VALUE + 5)
            except (FileNotFoundError, IsADirectoryError):
                return None
            except OSError as error:
                raise self._trouble(error) from error
            self._unchanged.keep(key, path, stamp, content)
        if _expired(content) or len(content) > LARGEST_VALUE + 4:
            return None
        return self.serializer.loads(content[4:])

    def set(
        self, key: str, value: Any, timeout: Any = None, mgmt_element: bool = False
    ) -> bool:
        with self._writing():
            self._write(key, value, timeout)
        return True

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        with self._writing():
            if self.get(key) is not None:
                return False
            self._write(key, value, timeout)
        return True

    def replace(self, key: str, value: Any, expected: Any, timeout: int) -> bool:
        with self._writing():
            if self.get(key) != expected:
                return False
            self._write(key, value, timeout)
        return True

    def delete(self, key: str, mgmt_element: bool = False) -> bool:
        with self._writing():
            return _remove(self._get_filename(key))

    def purge(self, limit: int) -> int:
        removed = 0
        try:
            self._unseen = self._unseen or os.scandir(self._path)
            for _ in range(limit):
                entry = next(self._unseen, None)
                if entry is None:
                    self._unseen = None
                    break
                removed += self._purge_one(entry)
        except OSError as error:
            self._unseen = None
            raise self._trouble(error) from error
        return removed

    def measure(self) -> Measure:
        return add_up(map(_sizes, self._in_steps()))

    def clear(self) -> bool:
        for step in self._in_steps():
            # Nobody writes now: a temporary file is one that a crash left.
            with self._writing():
                for entry in step:
                    if self._is_temporary(entry) or OUR_FILE.fullmatch(entry.name):
                        _remove(entry.path)
        return True

    def _in_steps(self) -> Iterator[list[os.DirEntry[str]]]:
        try:
            with os.scandir(self._path) as entries:
                while step := list(itertools.islice(entries, STEP)):
                    yield [each for each in step if each.is_file(follow_symlinks=False)]
        except OSError as error:
            raise self._trouble(error) from error

    def _is_temporary(self, entry: os.DirEntry[str]) -> bool:
        return entry.name.endswith(self._fs_transaction_suffix)

    def _purge_one(self, entry: os.DirEntry[str]) -> bool:
        if not entry.is_file(follow_symlinks=False):
            return False
        if self._is_temporary(entry):
            age = time.time() - entry.stat().st_mtime
            return age > TEMPORARY_FILE_AGE and _remove(entry.path)
        if not OUR_FILE.fullmatch(entry.name):
            return False
        with self._writing():
            # Read under the lock: it may just have been written again.
            try:
                content, _ = _read(entry.path, 4)
            except FileNotFoundError:
                return False
            return _expired(content) and _remove(entry.path)

    def _write(self, key: str, value: Any, timeout: Any) -> None:
        expires = struct.pack("I", self._normalize_timeout(timeout))
        content = expires + self.serializer.dumps(value)
        descriptor, temporary = tempfile.mkstemp(
            suffix=self._fs_transaction_suffix, dir=self._path
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(temporary).replace(self._get_filename(key))
        except OSError:
            with suppress(OSError):
                _remove(temporary)
            raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        # lockf, not flock: its lock belongs to the process and is not shared with
        # a child that inherited the open file.
        with self._lock:
            fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
            try:
                if not self._is_there():
                    self._make_anew()
                yield
            except OSError as error:
                raise self._trouble(error) from error
            finally:
                fcntl.lockf(self._lock_file, fcntl.LOCK_UN)

    def _is_there(self) -> bool:
        """Tell whether the folder is still the one that is locked."""
        try:
            there = self._lock_path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._lock_file))

    def _make_anew(self) -> None:
        """Go on in a folder that somebody removed, under the lock that others take."""
        self._lock_path.parent.mkdir(mode=0o700, exist_ok=True)
        new = _open_lock(self._lock_path)
        os.close(self._lock_file)
        self._lock_file = new
        fcntl.lockf(new, fcntl.LOCK_EX)
        # What was in it may be put back, and is of another time then.
        note_trouble(self, f"{self._path}: somebody removed it; it is made anew")

    def _trouble(self, error: OSError) -> StoreUnavailable:
        reason = f"{self._path}: {error.strerror}"
        if not isinstance(error, IsADirectoryError):
            note_trouble(self, reason)
        return StoreUnavailable(reason)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)


def _read(path: str, limit: int) -> tuple[bytes, Stamp]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # A buffer of the limit's size would cost more than the reading.
        content = os.read(descriptor, min(limit, USUAL_VALUE))
        if len(content) == USUAL_VALUE < limit:
            content += os.read(descriptor, limit - USUAL_VALUE)
        return content, stamp_of(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _sizes(step: list[os.DirEntry[str]]) -> Iterator[int]:
    for entry in step:
        if OUR_FILE.fullmatch(entry.name):
            with suppress(FileNotFoundError):
                yield max(entry.stat().st_size - 4, 0)


def _remove(path: str) -> bool:
    try:
        Path(path).unlink()
    except FileNotFoundError:
        return False
    return True


def _expired(content: bytes) -> bool:
    """Tell from the first four bytes, as cachelib writes them; too short is expired."""
    if len(content) < 4:
        return True
    (expires,) = struct.unpack("I", content[:4])
    return bool(0 < expires < time.time())
