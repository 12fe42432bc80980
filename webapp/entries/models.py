"""The tables of the person's named values."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from webapp.database import BigId, Model, UtcDateTime

KEY_LENGTH = 200

# Two keys are one only when every code point is the same.
Key = String(KEY_LENGTH).with_variant(
    mysql.VARCHAR(KEY_LENGTH, charset="utf8mb4", collation="utf8mb4_nopad_bin"),
    "mysql",
    "mariadb",
)
Value = Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")


class Entry(Model):
    __tablename__ = "entries"
    __table_args__ = (
        UniqueConstraint("user_id", "key"),
        Index(None, "user_id", "id"),
        Index(None, "user_id", "updated_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(Key)
    kind: Mapped[str] = mapped_column(String(4))
    value: Mapped[str] = mapped_column(Value)
    # Bytes of key and value in UTF-8.
    size: Mapped[int]
    # The person's version (see Usage) at the last write of this entry. Never the
    # same for two contents, not even when an entry is deleted and made again.
    version: Mapped[int] = mapped_column(BigId)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Usage(Model):
    """What a person has, kept beside the entries so that no page has to count.

    `version` grows by one with every write of any of the person's entries. It puts
    all writes in one order, and tells a cached value of before from one of after.
    """

    __tablename__ = "entry_usage"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    version: Mapped[int] = mapped_column(BigId, default=0)
    entries: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(BigId, default=0)
