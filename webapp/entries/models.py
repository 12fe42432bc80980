"""The tables of the person's named values."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from webapp.columns import BigId, Differing, UtcDateTime, Words
from webapp.database import Model
from webapp.encryption import FINGERPRINT_LENGTH
from webapp.entries.postgresql_index import make_postgresql_indexes
from webapp.entries.search_index import LONGEST, make_search_index

KEY_LENGTH = 200
LABEL_LENGTH, MOST_LABELS = 40, 10
# Of the browser's or the token's name.
WRITER_LENGTH = 200

# Most entries are not secret and have no end, and most earlier values were not deleted:
# they need no place in an index of those that are.
SECRET = text("encrypted_by IS NOT NULL")
ENDING = text("expires_at IS NOT NULL")
LARGE = text(f"size > {LONGEST}")
DELETED = text("key_deleted_at IS NOT NULL")


class Exact(Words):
    """Two are one only when every code point is the same; `length` in characters."""

    cache_ok = True

    def on_mariadb(self, types: Any) -> TypeEngine[Any]:
        return types.VARCHAR(  # type: ignore[no-any-return]
            self.length, charset="utf8mb4", collation="utf8mb4_nopad_bin"
        )


class Value(Differing):
    """Text of up to 16 MB."""

    impl = Text
    cache_ok = True

    def on_mariadb(self, types: Any) -> TypeEngine[Any]:
        return types.MEDIUMTEXT(charset="utf8mb4")  # type: ignore[no-any-return]


class Content:
    """What is the same of an entry and of its earlier values."""

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(Exact(KEY_LENGTH))
    kind: Mapped[str] = mapped_column(String(4))
    # As it was typed; a token where it is secret.
    value: Mapped[str] = mapped_column(Value)
    # Bytes of key and value in UTF-8, as they were typed.
    size: Mapped[int]
    # The person's version (see Usage) at the write that made this value. Never the
    # same for two contents, not even when an entry is deleted and made again.
    version: Mapped[int] = mapped_column(BigId)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # The fingerprint of the key that the value is encrypted with; None: not secret.
    encrypted_by: Mapped[str | None] = mapped_column(String(FINGERPRINT_LENGTH))
    # One in each line; what finds an entry by them is `Label`.
    labels: Mapped[str] = mapped_column(
        Exact(MOST_LABELS * (LABEL_LENGTH + 1)), server_default=""
    )
    # Who made this value: a browser as it calls itself, or a token's name.
    written_by: Mapped[str] = mapped_column(Words(WRITER_LENGTH), server_default="")


class Entry(Content, Model):
    __tablename__ = "entries"
    __table_args__ = (
        UniqueConstraint("user_id", "key"),
        # With the size, so that a search knows how far one step of it may go.
        Index(None, "user_id", "id", "size"),
        Index(None, "user_id", "updated_at"),
        Index("ix_entries_large", "user_id", "id", "size", info={"where": LARGE}),
        Index(None, "encrypted_by", "id", info={"where": SECRET}),
        Index(None, "expires_at", info={"where": ENDING}),
        Index(None, "user_id", "expires_at", info={"where": ENDING}),
        {"sqlite_autoincrement": True},
    )

    # From then on it is not there for anybody; None: it has no end.
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


made_beside = Model.metadata.info.setdefault("made_beside", [])
made_beside += [make_search_index, make_postgresql_indexes]


class PastValue(Content, Model):
    """A value that was replaced or deleted, as the entry had it."""

    __tablename__ = "past_values"
    __table_args__ = (
        Index(None, "user_id", "key", "id"),
        Index(None, "user_id", "key_deleted_at", info={"where": DELETED}),
        Index(None, "key_deleted_at", info={"where": DELETED}),
        Index(None, "encrypted_by", "id", info={"where": SECRET}),
        {"sqlite_autoincrement": True},
    )

    # Set where the entry was deleted with this value: such are what the bin shows.
    key_deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_by: Mapped[str] = mapped_column(Words(WRITER_LENGTH), server_default="")


class Label(Model):
    """A label of an entry, to find the entry by."""

    __tablename__ = "entry_labels"
    __table_args__ = (
        UniqueConstraint("user_id", "label", "entry_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(Exact(LABEL_LENGTH))
    entry_id: Mapped[int] = mapped_column(
        ForeignKey("entries.id", ondelete="CASCADE"), index=True
    )


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
    # Bytes that earlier values take, the deleted ones included.
    past_size: Mapped[int] = mapped_column(BigId, default=0, server_default="0")

    # No columns: what `days.counting` knows of the transaction that is open.
    changes = 0
    is_counted = False


class Day(Model):
    """What became of a person's entries on one day; days without a change have none."""

    __tablename__ = "entry_days"
    __table_args__ = (
        UniqueConstraint("user_id", "day"),
        Index(None, "day"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # In UTC.
    day: Mapped[date]
    # How often an entry was made, changed or deleted; one twice on a day counts twice.
    writes: Mapped[int]
    # Bytes that entries took at its end. None: before this was written down.
    size: Mapped[int | None] = mapped_column(BigId)


def labels_of(content: Any) -> list[str]:
    """Return the labels of an entry or an earlier value, or of a row of either."""
    return content.labels.split("\n") if content.labels else []


class EntryImport(Model):
    """A file of a person's that was uploaded and waits, or is being imported."""

    __tablename__ = "entry_imports"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), unique=True
    )
    # What becomes of keys that are there: "replace" or "leave".
    mode: Mapped[str] = mapped_column(String(7))
    # Lines, how many of them are done, and what came of these. None: the parts are
    # still being written.
    total: Mapped[int | None]
    done: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    # What would come of it, as it was when the file was uploaded: JSON.
    forecast: Mapped[str] = mapped_column(Value)
    # The fingerprint of the key that this and the parts are encrypted with; None: the
    # site has none.
    encrypted_by: Mapped[str | None] = mapped_column(String(FINGERPRINT_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class EntryImportPart(Model):
    """Some lines of an import, as many as one step does: JSON. It goes when done."""

    __tablename__ = "entry_import_parts"
    __table_args__ = (
        Index(None, "import_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    import_id: Mapped[int] = mapped_column(
        ForeignKey("entry_imports.id", ondelete="CASCADE")
    )
    content: Mapped[str] = mapped_column(Value)
