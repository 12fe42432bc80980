"""How much one person can keep."""

from dataclasses import dataclass

from webapp.entries.models import Usage
from webapp.errors import QuotaReached


@dataclass(frozen=True)
class Quota:
    """What one person can keep; sizes in bytes of UTF-8.

    Earlier values may take as much as entries do, beside them.
    """

    entries: int
    size: int
    value_size: int

    def allows(self, usage: Usage) -> bool:
        return usage.entries <= self.entries and usage.size <= self.size

    def check(self, usage: Usage) -> None:
        """Raise QuotaReached, which says of what there is too much."""
        if usage.entries > self.entries:
            raise QuotaReached(
                key=f"You have {self.entries:,} entries, and no more can be "
                "kept. Delete some first."
            )
        if usage.size > self.size:
            raise QuotaReached(
                value=f"Your entries would take {usage.size:,} bytes; "
                f"{self.size:,} are yours. Delete some first."
            )
