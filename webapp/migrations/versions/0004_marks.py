"""Marks, by which a start proves what the database outlived."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "marks",
        sa.Column("name", sa.String(30), primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
    )
