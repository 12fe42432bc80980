"""One-time codes, with which people set their passwords themselves."""

import sqlalchemy as sa
from alembic import op

from webapp.columns import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("code_hash", sa.String(64)))
    op.add_column("users", sa.Column("code_expires_at", UtcDateTime))
