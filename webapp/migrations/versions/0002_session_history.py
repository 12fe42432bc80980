"""Kept sessions, confirmations, devices, limits and the history of an account."""

import sqlalchemy as sa
from alembic import op

from webapp.columns import BigId, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Nobody has confirmed a password before there was a need to.
NEVER = "2000-01-01 00:00:00.000000"


def upgrade() -> None:
    # SQLite makes the table anew, and would forget that IDs are never given twice.
    kept = {"sqlite_autoincrement": True}
    with op.batch_alter_table("sessions", table_kwargs=kept) as sessions:
        sessions.alter_column(
            "end_reason", existing_type=sa.String(20), type_=sa.String(30)
        )
        for name, kind, default in (
            ("confirmed_at", UtcDateTime, NEVER),
            ("kept", sa.Boolean, sa.false()),
            ("device_hash", sa.String(64), ""),
        ):
            column = sa.Column(name, kind, nullable=False, server_default=default)
            sessions.add_column(column)
    op.create_index(None, "sessions", ["user_id", "device_hash"])
    key = sa.ForeignKey("users.id", ondelete="CASCADE")
    op.create_table(
        "account_events",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("user_id", BigId, key, nullable=False),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("user_agent", sa.String(300), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(None, "account_events", ["user_id", "created_at"])
    op.create_index(None, "account_events", ["created_at"])
    op.create_table(
        "limits",
        sa.Column("key_hash", sa.String(64), primary_key=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("free_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )
    op.create_index(None, "limits", ["expires_at"])
