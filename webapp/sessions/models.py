"""The table of sessions: the authority on who is logged in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from webapp.columns import BigId, UtcDateTime, Words
from webapp.database import Model

# What `active_hours` begins with: the hour of the log-in.
FIRST_HOUR = "1"


class SessionRecord(Model):
    """One login of one browser. Stays after its end, as history."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index(None, "user_id", "ended_at"),
        Index(None, "user_id", "device_hash"),
        Index(None, "expires_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    # SHA-256 of the session ID in hexadecimal; the ID itself is only in the cookie.
    id_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When the password was last given in this session.
    confirmed_at: Mapped[datetime] = mapped_column(
        UtcDateTime, server_default="2000-01-01 00:00:00.000000"
    )
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    end_reason: Mapped[str | None] = mapped_column(String(30))
    # Whether "Keep me logged in" was ticked: other timeouts, a cookie that stays.
    kept: Mapped[bool] = mapped_column(server_default=false())
    address: Mapped[str] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(Words(300))
    # SHA-256 of the cookie that tells a browser that has logged in before.
    device_hash: Mapped[str] = mapped_column(String(64), server_default="")
    # When it was active, of the last week (see activity.py). Empty: not written down.
    active_hours: Mapped[str] = mapped_column(
        String(42), default=FIRST_HOUR, server_default=""
    )


@dataclass(frozen=True)
class Timeouts:
    """When a session ends: unused for `idle`, or `lifetime` after its log-in."""

    idle: timedelta
    lifetime: timedelta
