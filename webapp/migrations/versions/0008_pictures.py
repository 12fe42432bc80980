"""Changes and space by day, and the hours in which a session was active."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

from webapp.columns import BigId, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

YEAR = timedelta(weeks=53)


def upgrade() -> None:
    op.add_column(
        "sessions",
        sa.Column("active_hours", sa.String(42), nullable=False, server_default=""),
    )
    user = sa.ForeignKey("users.id", ondelete="CASCADE")
    days = op.create_table(
        "entry_days",
        sa.Column("id", BigId, primary_key=True),
        sa.Column("user_id", BigId, user, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("writes", sa.Integer, nullable=False),
        sa.Column("size", BigId),
        sa.UniqueConstraint("user_id", "day"),
        sqlite_autoincrement=True,
    )
    op.create_index(None, "entry_days", ["day"])
    _fill(days)


def _fill(days: sa.Table) -> None:
    """Count what is still known: each value that there was, and each deletion.

    How much room entries took is known of today only.
    """
    today = datetime.now(UTC).date()
    changes = sa.union_all(
        _changes("entries", "updated_at", today),
        _changes("past_values", "updated_at", today),
        _changes("past_values", "key_deleted_at", today),
        _room(today),
    ).subquery()
    sums = sa.select(
        changes.c.user_id,
        changes.c.day,
        sa.func.sum(changes.c.writes),
        sa.func.max(changes.c.size),
    ).group_by(changes.c.user_id, changes.c.day)
    op.execute(days.insert().from_select(["user_id", "day", "writes", "size"], sums))


def _changes(table: str, column: str, today: date) -> Any:
    since = datetime.combine(today - YEAR, time(), UTC)
    rows = sa.table(table, sa.column("user_id"), sa.column(column, UtcDateTime))
    when = rows.columns[column]
    return sa.select(
        rows.columns["user_id"],
        sa.func.date(when, type_=sa.Date).label("day"),
        sa.literal_column("1").label("writes"),
        sa.literal_column("CAST(NULL AS DECIMAL)").label("size"),
    ).where(when >= since)


def _room(today: date) -> Any:
    rows = sa.table("entry_usage", sa.column("user_id"), sa.column("size"))
    user_id, size = rows.columns["user_id"], rows.columns["size"]
    nothing: Any = sa.literal_column("0")
    day = sa.literal(today, sa.Date)
    return sa.select(user_id, day, nothing, size).where(size > 0)
