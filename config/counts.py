"""Where several workers keep what each has counted, for /metrics to add up.

prometheus_client wants a folder for that, named in the environment before it is loaded.
"""

import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# What is mapped into memory from a disk that is full ends the process that writes it.
MEMORY = Path("/dev/shm")  # noqa: S108


def open_folder() -> None:
    """Make this process's folder, unless it has one: SIGHUP reads settings again."""
    if not _is_ours():
        memory = MEMORY if MEMORY.is_dir() else None
        os.environ[VARIABLE] = tempfile.mkdtemp(prefix=_prefix(), dir=memory)


def forget(pid: int) -> None:
    """Let what a dead worker held no longer count as held; its totals stay."""
    if _is_ours():
        # Here, because a single worker's master does without these 5 MB.
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

        mark_process_dead(pid)


def remove_folder() -> None:
    if _is_ours():
        shutil.rmtree(os.environ.pop(VARIABLE), ignore_errors=True)


def _is_ours() -> bool:
    # After SIGUSR2 the next master inherits the name of a folder that we remove.
    return _prefix() in os.environ.get(VARIABLE, "")


def _prefix() -> str:
    return f"holdfast-{os.getpid()}-"
