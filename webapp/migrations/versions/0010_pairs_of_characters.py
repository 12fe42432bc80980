"""PostgreSQL has an index for what has no trigram: one or two characters, signs.

Nothing changes in the tables: whatever stands beside them, and is not there yet, is
made after each upgrade.
"""

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
