"""The index for searches ends each text so that two characters are found in it.

Nothing changes in the tables: whatever stands beside them, and is not as this release
has it, is made anew after each upgrade.
"""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
