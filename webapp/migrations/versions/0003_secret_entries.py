"""Which key an entry's value is encrypted with."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SECRET = sa.text("encrypted_by IS NOT NULL")


def upgrade() -> None:
    op.add_column("entries", sa.Column("encrypted_by", sa.String(16)))
    op.create_index(
        None,
        "entries",
        ["encrypted_by", "id"],
        sqlite_where=SECRET,
        postgresql_where=SECRET,
    )
