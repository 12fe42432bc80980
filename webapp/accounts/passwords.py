"""Hashing, checking and judging passwords: argon2id, and no common ones.

Parameters are OWASP's first choice for argon2id (Password Storage Cheat Sheet: 19 MiB,
two passes, one lane); 23 ms and no lock on Python meanwhile.
"""

import logging
import sys
import unicodedata
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

from webapp.errors import Invalid

LONGEST = 1024
KEYBOARD = "1234567890qwertyuiopasdfghjklzxcvbnm"
PADDING = "0123456789 !?.,-_*#+"
log = logging.getLogger(__name__)


class Passwords:
    """One policy for every door that sets or checks a password."""

    def __init__(self, memory_kib: int, rounds: int, min_length: int) -> None:
        self._hasher = PasswordHasher(
            time_cost=rounds, memory_cost=memory_kib, parallelism=1
        )
        self._min_length = min_length

    def hash(self, password: str) -> str:
        return str(_beside_the_loop(self._hasher.hash, _normalize(password)))

    def verify(self, password: str, stored: str | None) -> bool:
        """Tell whether the password belongs to the hash.

        Without a hash (no such user) it takes the same time and says no.
        """
        if stored and not self._is_payable(stored):
            log.error("A stored password hash costs too much to check; refused.")
            stored = None
        if len(password) > LONGEST:
            # Longer than any that can be set: not worth the time to hash it.
            stored, password = None, ""
        try:
            matches = _beside_the_loop(
                self._hasher.verify, stored or self._nobody, _normalize(password)
            )
        except (Argon2Error, InvalidHashError):
            return False
        return bool(stored and matches)

    def needs_rehash(self, stored: str) -> bool:
        return self._hasher.check_needs_rehash(stored)

    def check_new(self, password: str, user_name: str) -> None:
        """Raise Invalid for a password that must not be chosen."""
        password = _normalize(password)
        if len(password) < self._min_length:
            raise Invalid(
                password=f"Use at least {self._min_length} characters. "
                "A few words in a row are easy to remember."
            )
        if len(password.encode()) > LONGEST:
            raise Invalid(password=f"Use at most {LONGEST:,} bytes.")
        if _is_name(password, user_name):
            raise Invalid(password="Use something else than your user name.")  # noqa: S106
        if _is_common(password):
            raise Invalid(password="Too many people use this one. Choose another.")  # noqa: S106

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash("nobody has this password")

    def _is_payable(self, stored: str) -> bool:
        # Whoever can write a row must not be able to stop the process with it.
        try:
            found = extract_parameters(stored)
        except InvalidHashError:
            return False
        cost = found.memory_cost * found.time_cost * found.parallelism
        return cost <= 16 * self._hasher.memory_cost * self._hasher.time_cost + 2**20


def _normalize(password: str) -> str:
    # NIST SP 800-63B-4, 3.1.1.2: the same characters typed on two keyboards are one
    # password.
    return unicodedata.normalize("NFC", password)


def _is_name(password: str, name: str) -> bool:
    plain, name = password.casefold(), name.casefold()
    return any(
        core in (name, "holdfast") or core == name * (len(core) // len(name))
        for core in (plain, plain.strip(PADDING))
        if core and name
    )


def _is_common(password: str) -> bool:
    plain = password.casefold()
    return any(
        core in _common_passwords() or _is_pattern(core)
        for core in (plain, plain.strip(PADDING))
        if core
    )


def _is_pattern(text: str) -> bool:
    """Tell whether it is one short piece again and again, a series, or a key row."""
    period = (text + text).find(text, 1)
    if period < len(text) and (period <= 4 or text[:period] in _common_passwords()):
        return True
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    if len(text) > 4 and steps in ({1}, {-1}, {1, -9}, {-1, 9}):
        return True
    return len(text) > 4 and (text in KEYBOARD or text in KEYBOARD[::-1])


@cache
def _common_passwords() -> frozenset[str]:
    path = Path(__file__).parent / "common_passwords.txt"
    return frozenset(path.read_text("utf-8").splitlines())


def _beside_the_loop(function: Any, *arguments: Any) -> Any:
    """Call it on a thread of its own where the server is a gevent loop."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return function(*arguments)
    return _hashing_thread().apply(function, arguments)


@cache
def _hashing_thread() -> Any:
    # Here, because other servers run without it.
    from gevent.threadpool import ThreadPool  # noqa: PLC0415

    # One: two would use the second core, and twice the memory, for attackers too.
    return ThreadPool(1)
