"""API tokens, their names in the history, and answers kept for `Idempotency-Key`."""

import sqlalchemy as sa
from alembic import op

from webapp.columns import BigId, UtcDateTime
from webapp.entries.models import Value

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "account_events",
        sa.Column("about", sa.String(60), nullable=False, server_default=""),
    )
    op.create_table(
        "tokens",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        _user(),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("can_write", sa.Boolean, nullable=False),
        sa.Column("can_read_secrets", sa.Boolean, nullable=False),
        sa.Column("key_prefix", sa.String(200), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("last_used_at", UtcDateTime),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("user_agent", sa.String(300), nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("end_reason", sa.String(30)),
        sqlite_autoincrement=True,
    )
    op.create_index(None, "tokens", ["user_id", "id"])
    op.create_index(None, "tokens", ["ended_at"])
    op.create_index(None, "tokens", ["expires_at"])
    op.create_table(
        "kept_answers",
        sa.Column("id", BigId, primary_key=True),
        _user(),
        sa.Column("key_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("claim", sa.String(32), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("answer", Value),
        sqlite_autoincrement=True,
    )
    op.create_index(None, "kept_answers", ["user_id"])
    op.create_index(None, "kept_answers", ["created_at"])


def _user() -> sa.Column[int]:
    key = sa.ForeignKey("users.id", ondelete="CASCADE")
    return sa.Column("user_id", BigId, key, nullable=False)
