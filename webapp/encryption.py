"""Text encrypted with the site's keys, and bound to the one place where it is kept.

cryptography's MultiFernet: AES-128 in CBC mode with an HMAC-SHA256 over all of it. Of
several keys the first encrypts and each decrypts.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

FINGERPRINT_LENGTH = 16
# What a text is bound to, like ("entry", 7, "bank").
Place = tuple[str | int, ...]


class Encryption:
    """The keys of this site; with none nothing can be encrypted and nothing read.

    `fingerprints` names the keys without telling anything of them, the first one first.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.fingerprints = [_fingerprint(key) for key in keys]
        self._fernet = _load(keys) if keys else None

    def encrypt(self, text: str, place: Place) -> str:
        """Return a token that only `decrypt` with the same place can read."""
        if self._fernet is None:
            raise LookupError("There is no key to encrypt with.")
        token: bytes = self._fernet.encrypt((_head(place) + text).encode())
        return token.decode()

    def decrypt(self, token: str, place: Place) -> str | None:
        """Return the text; None for what no key opens or was encrypted elsewhere."""
        if self._fernet is None:
            return None
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        try:
            text: str = self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            return None
        head = _head(place)
        return text.removeprefix(head) if text.startswith(head) else None


def _load(keys: Sequence[str]) -> Any:
    # Only a site that has a key pays for the library's memory.
    from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415

    return MultiFernet([Fernet(key) for key in keys])


def _head(place: Place) -> str:
    """Write the place as a line of JSON, which ends at the first line break."""
    return json.dumps(place) + "\n"


def _fingerprint(key: str) -> str:
    # A key is 32 random bytes: no part of its hash helps to find it.
    return hashlib.sha256(b"fingerprint " + key.encode()).hexdigest()[
        :FINGERPRINT_LENGTH
    ]
