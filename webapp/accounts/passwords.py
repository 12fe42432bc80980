"""Hashing, checking and judging passwords: argon2id, and no common ones.

Parameters are OWASP's first choice for argon2id (Password Storage Cheat Sheet: 19 MiB,
two passes, one lane); 23 ms and no lock on Python meanwhile.
"""

import logging
import secrets
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

from webapp.accounts.hashing import HashingQueue
from webapp.errors import Invalid

LONGEST = 1024
# In the place of a hash; nothing that is typed belongs to it.
NO_PASSWORD = ""
# What a hash from elsewhere or from before may cost to check: 128 MiB, some 100 ms.
MOST_MEMORY_KIB = 131_072
KEYBOARD = "1234567890qwertyuiopasdfghjklzxcvbnm"
BREACHED = (
    "This password is known from a data breach. Choose another, and change it wherever "
    "else you use it."
)
PADDING = "0123456789 !?.,-_*#+"
log = logging.getLogger(__name__)


class Passwords:
    """One policy for every door that sets or checks a password."""

    def __init__(
        self,
        memory_kib: int,
        rounds: int,
        min_length: int,
        queue: HashingQueue,
        is_breached: Callable[[str], bool] | None = None,
    ) -> None:
        self._queue = queue
        self._is_breached = is_breached
        self._hasher = PasswordHasher(
            time_cost=rounds, memory_cost=memory_kib, parallelism=1
        )
        self._min_length = min_length
        # What no password belongs to, as costly to check as any other.
        salt, digest = (b64encode(secrets.token_bytes(16)), b64encode(bytes(32)))
        self._nobody = (
            f"$argon2id$v=19$m={memory_kib},t={rounds},p=1"
            f"${salt.decode().rstrip('=')}${digest.decode().rstrip('=')}"
        )

    def hash_new(self, password: str, source: str, *, is_known: bool = False) -> str:
        """Hash a password that `check_new` let pass; raises Busy as `hash`.

        Raises Invalid for one that is known from a data breach. To be called outside
        of a transaction: it may wait for another server.
        """
        if self._is_breached and self._is_breached(_normalize(password) or ""):
            raise Invalid(password=BREACHED)
        return self.hash(password, source, is_known=is_known)

    def hash(self, password: str, source: str, *, is_known: bool = False) -> str:
        """Hash a password; raises Busy when too many wait. See HashingQueue."""
        text = _normalize(password) or ""
        return self._queue.run(source, self._hasher.hash, text, is_known=is_known)

    def verify(
        self, password: str, stored: str | None, source: str, *, is_known: bool = False
    ) -> bool:
        """Tell whether the password belongs to the hash; raises Busy as `hash`.

        Without a hash (no such user) it takes the same time and says no.
        """
        if stored and not self._is_payable(stored):
            log.error("A stored password hash costs too much to check; refused.")
            stored = None
        text = _normalize(password)
        if text is None or len(text.encode()) > LONGEST:
            # Not one that can be set; it takes the time of one nevertheless.
            stored, text = None, ""
        matches = self._queue.run(
            source, self._matches, stored or self._nobody, text, is_known=is_known
        )
        return matches and bool(stored)

    def needs_rehash(self, stored: str) -> bool:
        return self._hasher.check_needs_rehash(stored)

    def check_new(self, password: str, user_name: str) -> None:
        """Raise Invalid for a password that must not be chosen."""
        text = _normalize(password)
        if text is None:
            raise Invalid(password=f"Use text, and at most {LONGEST:,} bytes.")
        password = text
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

    def _matches(self, stored: str, text: str) -> bool:
        # What is raised on the server's thread is logged there, with its traceback.
        try:
            return self._hasher.verify(stored, text)
        except (Argon2Error, InvalidHashError):
            return False

    def _is_payable(self, stored: str) -> bool:
        # Whoever can write a row must not be able to stop the process with it.
        try:
            found = extract_parameters(stored if stored.isascii() else "")
        except InvalidHashError:
            return False
        ours = self._hasher.memory_cost
        cost = found.memory_cost * found.time_cost * found.parallelism
        return (
            found.memory_cost <= max(4 * ours, MOST_MEMORY_KIB)
            and cost <= 16 * ours * self._hasher.time_cost + MOST_MEMORY_KIB
        )


def _normalize(password: str) -> str | None:
    """Return the password as it is hashed, None for what is no text or far too long.

    NIST SP 800-63B-4, 3.1.1.2: the same characters typed on two keyboards are one
    password.
    """
    # No character has more than 18 in its decomposed form.
    if len(password) > 18 * LONGEST or any("\ud800" <= c <= "\udfff" for c in password):
        return None
    return unicodedata.normalize("NFC", password)


def _is_name(password: str, name: str) -> bool:
    plain, name = password.casefold(), name.casefold()
    return any(
        core in (name, "holdfast") or core == name * (len(core) // len(name))
        for core in _cores(plain)
        if name
    )


def _is_common(password: str) -> bool:
    plain = password.casefold()
    return any(_is_listed(core) or _is_pattern(core) for core in _cores(plain))


def _cores(plain: str) -> set[str]:
    """Return what is left without what people put around and between words."""
    letters = "".join(filter(str.isalnum, plain))
    return {plain, plain.strip(PADDING), letters, letters.strip(PADDING)} - {""}


def _is_pattern(text: str) -> bool:
    """Tell whether it is one short piece again and again, a series, or a key row."""
    period = (text + text).find(text, 1)
    if period < len(text) and (period <= 8 or _is_listed(text[:period])):
        return True
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    if len(text) > 4 and steps in ({1}, {-1}, {1, -9}, {-1, 9}):
        return True
    return len(text) > 4 and (text in KEYBOARD or text in KEYBOARD[::-1])


def _is_listed(text: str) -> bool:
    return f"\n{text}\n" in _common_passwords()


@cache
def _common_passwords() -> str:
    """Return them in lines: a set of them takes ten times the memory, 4 MB."""
    path = Path(__file__).parent / "common_passwords.txt"
    return "\n" + path.read_text("utf-8")
