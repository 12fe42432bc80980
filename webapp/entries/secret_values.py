"""Secret values: encrypted where they are kept, each bound to its person and its key.

Whoever can write the database can swap two of them; neither can be read then.
"""

import logging

from webapp.database import AnyRow
from webapp.encryption import Encryption
from webapp.entries.inputs import NewValue
from webapp.entries.models import Content
from webapp.errors import Invalid

UNREADABLE = "This value cannot be read with the keys that this site has."
NO_KEY = (
    "Nothing was saved: this site cannot keep secret entries, for its operator has not "
    "set this up. Untick it to keep the value as any other."
)
log = logging.getLogger(__name__)


class SecretValues:
    """What is written into `value` and `encrypted_by`, and read from them."""

    def __init__(self, encryption: Encryption) -> None:
        self._encryption = encryption
        self._missing: set[str] = set()

    @property
    def keys(self) -> list[str]:
        """The fingerprints of the keys there are; the first one's encrypts."""
        return self._encryption.fingerprints

    def check(self, new: NewValue) -> None:
        """Raise Invalid when a value should be secret and there is no key for it."""
        if new.secret and not self.keys:
            raise Invalid(secret=NO_KEY)

    def seal(self, user_id: int, key: str, new: NewValue) -> tuple[str, str | None]:
        """Return the value as it is to be kept, and what it is encrypted by."""
        if not new.secret:
            return new.value, None
        return self._encrypt(user_id, key, new.value), self.keys[0]

    def reveal(self, entry: AnyRow | Content) -> str | None:
        """Return the value as it was given; None, and a warning, when it cannot be."""
        if entry.encrypted_by is None:
            return str(entry.value)
        value = self._decrypt(entry)
        if value is None:
            self._warn(entry.id, str(entry.encrypted_by))
        return value

    def renew(self, entry: AnyRow | Content) -> str | None:
        """Encrypt a secret value with the first key; None when it cannot be read."""
        value = self._decrypt(entry)
        return None if value is None else self._encrypt(entry.user_id, entry.key, value)

    def _encrypt(self, user_id: int, key: str, value: str) -> str:
        return self._encryption.encrypt(value, ("entry", user_id, key))

    def _decrypt(self, entry: AnyRow | Content) -> str | None:
        place = ("entry", entry.user_id, entry.key)
        return self._encryption.decrypt(entry.value, place)

    def _warn(self, entry_id: int, encrypted_by: str) -> None:
        if encrypted_by in self.keys:
            log.error("A secret value is damaged or was swapped: entry %s", entry_id)
        elif encrypted_by not in self._missing:  # Entries can be many; once is enough.
            self._missing.add(encrypted_by)
            log.warning(
                "Secret entries need a key that is not in ENCRYPTION_KEYS: %s",
                encrypted_by,
            )
