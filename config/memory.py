"""How much freed memory glibc keeps: little, but that of one hash for the next.

A hash takes 19 MiB. Taken anew from the kernel they cost 5,000 page faults, half as
much time again as the hash itself; kept for good they are 20 to 30 MB resident that
nobody uses. So they are kept while others wait to be hashed. See mallopt(3); elsewhere
than on glibc there is none, and nothing is done.
"""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# The most that glibc allows: what is larger is mapped by itself, and unmapped at once.
HEAP = 32 * 1024 * 1024
LITTLE = 128 * 1024


def keep_little() -> None:
    """Give freed memory back, rather than by how much was ever taken at once."""
    _set(M_MMAP_THRESHOLD, HEAP)
    _set(M_TRIM_THRESHOLD, LITTLE)


def keep_hash(for_next: bool) -> None:
    """Say whether what is freed next should stay; any thread's."""
    _set(M_TRIM_THRESHOLD, 2 * HEAP if for_next else LITTLE)


def _set(name: int, value: int) -> None:
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(name, value)
