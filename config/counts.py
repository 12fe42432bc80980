"""Where several workers keep what each has counted, for /metrics to add up.

prometheus_client wants a folder for that, named in the environment before it is loaded.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
PREFIX = "holdfast"
# What is mapped into memory from a disk that is full ends the process that writes it.
MEMORY = Path("/dev/shm")  # noqa: S108


def open_folder() -> None:
    """Make this process's folder, unless it has one: SIGHUP reads settings again."""
    if not _is_ours():
        place = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())
        _remove_what_is_left(place)
        folder = os.environ[VARIABLE] = tempfile.mkdtemp(prefix=_prefix(), dir=place)
        # Until this process and all its workers have ended, however they do.
        with suppress(OSError):
            _lock(folder, fcntl.LOCK_SH)


def forget(pid: int) -> None:
    """Let what a dead worker held no longer count as held; its totals stay."""
    if _is_ours():
        # Here, because a single worker's master does without these 5 MB.
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

        mark_process_dead(pid)


def remove_folder() -> None:
    if _is_ours():
        shutil.rmtree(os.environ.pop(VARIABLE), ignore_errors=True)


def _remove_what_is_left(place: Path) -> None:
    """Remove what servers that were killed could not: 0.2 MB for each worker."""
    for folder in place.glob(f"{PREFIX}-*-*"):
        with suppress(OSError):  # It is another user's, or in use.
            held = _lock(folder, fcntl.LOCK_EX)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def _lock(folder: str | Path, kind: int) -> int:
    """Return the folder, open and locked; raises OSError where that cannot be."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise
    return held


def _is_ours() -> bool:
    # After SIGUSR2 the next master inherits the name of a folder that we remove.
    return _prefix() in os.environ.get(VARIABLE, "")


def _prefix() -> str:
    return f"{PREFIX}-{os.getpid()}-"
