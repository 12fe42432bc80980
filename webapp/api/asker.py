"""Who asks through the API, a token or a browser, and what they may do."""

from collections.abc import Callable
from dataclasses import dataclass

from webapp.database import AnyRow
from webapp.errors import BeyondPrefix, ReadOnly, SecretValue
from webapp.sessions.copies import Copy


@dataclass(frozen=True)
class Asker:
    """`by` is what an entry says of who wrote it; `copy` or `token` is None.

    `check_fresh` raises NotFresh for a browser whose password was given long ago.
    """

    user_id: int
    by: str
    check_fresh: Callable[[], None]
    copy: Copy | None = None
    token: AnyRow | None = None

    @property
    def scope(self) -> str:
        """Tell apart who asks, also of one person."""
        if self.token:
            return f"token:{self.token.id}"
        return f"session:{self.copy.record_id}" if self.copy else ""

    @property
    def prefix(self) -> str:
        return self.token.key_prefix if self.token else ""

    def check_write(self) -> None:
        if self.token and not self.token.can_write:
            raise ReadOnly("This token may only read. Make one that may write.")

    def check_key(self, key: str) -> None:
        if not key.startswith(self.prefix):
            raise BeyondPrefix(
                f"This token is only for keys that begin with {self.prefix}"
            )

    def check_everything(self) -> None:
        """Raise BeyondPrefix for what is not about keys, such as sessions."""
        if self.prefix:
            raise BeyondPrefix(
                f"This token is only for keys that begin with {self.prefix}"
            )

    def check_secret(self) -> None:
        """Raise unless a secret value may be seen."""
        self.check_fresh()
        if self.token and not self.token.can_read_secrets:
            raise SecretValue("This token may not read secret values.")
