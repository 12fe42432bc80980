"""Files of entries that wait to be imported."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from webapp.columns import BigId, UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

VALUE = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "entry_imports",
        sa.Column("id", BigId, primary_key=True),
        _reference("user_id", "users.id", unique=True),
        sa.Column("mode", sa.String(7), nullable=False),
        sa.Column("total", sa.Integer),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("added", sa.Integer, nullable=False),
        sa.Column("changed", sa.Integer, nullable=False),
        sa.Column("forecast", VALUE, nullable=False),
        sa.Column("encrypted_by", sa.String(16)),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(None, "entry_imports", ["created_at"])
    op.create_table(
        "entry_import_parts",
        sa.Column("id", BigId, primary_key=True),
        _reference("import_id", "entry_imports.id"),
        sa.Column("content", VALUE, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(None, "entry_import_parts", ["import_id", "id"])


def _reference(name: str, column: str, *, unique: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey(column, ondelete="CASCADE")
    return sa.Column(name, BigId, key, nullable=False, unique=unique)
