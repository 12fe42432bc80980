"""The tables of people, their tokens, and what happened to them."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.columns import BigId, UtcDateTime, Words
from webapp.database import Model

TOKEN_NAME_LENGTH = 60
TOKEN_PREFIX_LENGTH = 200
# A user who has no one-time code.
NO_CODE = {"code_hash": None, "code_expires_at": None}


class User(Model):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(32))
    # The name without case; two people cannot be Anna and anna.
    name_key: Mapped[str] = mapped_column(String(32), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # SHA-256 of the one-time code in hexadecimal; the code itself is shown once.
    code_hash: Mapped[str | None] = mapped_column(String(64))
    code_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Event(Model):
    """What happened to an account, besides its sessions: for the person's history."""

    __tablename__ = "account_events"
    __table_args__ = (
        Index(None, "user_id", "created_at"),
        Index(None, "created_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(30))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    address: Mapped[str] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(Words(300))
    # What it happened to: the name of a token.
    about: Mapped[str] = mapped_column(Words(TOKEN_NAME_LENGTH), server_default="")


class Token(Model):
    """What a program sends instead of a password. Stays after its end, as history."""

    __tablename__ = "tokens"
    __table_args__ = (
        Index(None, "user_id", "id"),
        Index(None, "ended_at"),
        Index(None, "expires_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    # SHA-256 of the token in hexadecimal; the token itself is shown once.
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Words(TOKEN_NAME_LENGTH))
    can_write: Mapped[bool]
    can_read_secrets: Mapped[bool]
    # Empty: all keys. Compared in Python only, where no case and no accent is lost.
    key_prefix: Mapped[str] = mapped_column(Words(TOKEN_PREFIX_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Where it was used last.
    address: Mapped[str] = mapped_column(String(45), default="")
    user_agent: Mapped[str] = mapped_column(Words(300), default="")
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    end_reason: Mapped[str | None] = mapped_column(String(30))
