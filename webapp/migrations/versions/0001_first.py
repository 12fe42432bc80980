"""Users, sessions, entries and what each person has."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from webapp.columns import BigId, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.String(200).with_variant(
    mysql.VARCHAR(200, charset="utf8mb4", collation="utf8mb4_nopad_bin"),
    "mysql",
    "mariadb",
)
VALUE = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("name_key", sa.String(32), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("disabled_at", UtcDateTime),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sessions",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("id_hash", sa.String(64), nullable=False, unique=True),
        _user_id(),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("last_seen_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("end_reason", sa.String(20)),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("user_agent", sa.String(300), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(None, "sessions", ["user_id", "ended_at"])
    op.create_index(None, "sessions", ["expires_at"])
    op.create_table(
        "entries",
        sa.Column("id", BigId, primary_key=True),
        _user_id(),
        sa.Column("key", KEY, nullable=False),
        sa.Column("kind", sa.String(4), nullable=False),
        sa.Column("value", VALUE, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("version", BigId, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("user_id", "key"),
        sqlite_autoincrement=True,
    )
    op.create_index(None, "entries", ["user_id", "id"])
    op.create_index(None, "entries", ["user_id", "updated_at"])
    op.create_table(
        "entry_usage",
        _user_id(primary_key=True, autoincrement=False),
        sa.Column("version", BigId, nullable=False),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("size", BigId, nullable=False),
    )


def _user_id(**options: Any) -> sa.Column[int]:
    key = sa.ForeignKey("users.id", ondelete="CASCADE")
    return sa.Column("user_id", BigId, key, nullable=False, **options)
