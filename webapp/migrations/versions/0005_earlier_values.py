"""Earlier values, labels, and entries that end."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from webapp.columns import BigId, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

VALUE = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
SECRET = sa.text("encrypted_by IS NOT NULL")
LARGE = sa.text("size > 16384")
ENDING = sa.text("expires_at IS NOT NULL")
DELETED = sa.text("key_deleted_at IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_entries_user_id_id", "entries")
    op.create_index(None, "entries", ["user_id", "id", "size"])
    _index("entries", ["user_id", "id", "size"], LARGE, "ix_entries_large")
    op.add_column("entries", sa.Column("expires_at", UtcDateTime))
    for column in _who_and_labels():
        op.add_column("entries", column)
    _index("entries", ["expires_at"], ENDING)
    _index("entries", ["user_id", "expires_at"], ENDING)
    past_size = sa.Column("past_size", BigId, nullable=False, server_default="0")
    op.add_column("entry_usage", past_size)
    op.create_table(
        "past_values",
        sa.Column("id", BigId, primary_key=True),
        _user_id(),
        sa.Column("key", _exact(200), nullable=False),
        sa.Column("kind", sa.String(4), nullable=False),
        sa.Column("value", VALUE, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("version", BigId, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("encrypted_by", sa.String(16)),
        *_who_and_labels(),
        sa.Column("key_deleted_at", UtcDateTime),
        sa.Column("deleted_by", sa.String(200), nullable=False, server_default=""),
        sqlite_autoincrement=True,
    )
    op.create_index(None, "past_values", ["user_id", "key", "id"])
    _index("past_values", ["user_id", "key_deleted_at"], DELETED)
    _index("past_values", ["key_deleted_at"], DELETED)
    _index("past_values", ["encrypted_by", "id"], SECRET)
    op.create_table(
        "entry_labels",
        sa.Column("id", BigId, primary_key=True),
        _user_id(),
        sa.Column("label", _exact(40), nullable=False),
        sa.Column(
            "entry_id",
            BigId,
            sa.ForeignKey("entries.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.UniqueConstraint("user_id", "label", "entry_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(None, "entry_labels", ["entry_id"])


def _user_id() -> sa.Column[int]:
    key = sa.ForeignKey("users.id", ondelete="CASCADE")
    return sa.Column("user_id", BigId, key, nullable=False)


def _exact(length: int) -> sa.types.TypeEngine[str]:
    of_mysql = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin")
    return sa.String(length).with_variant(of_mysql, "mysql", "mariadb")


def _who_and_labels() -> list[sa.Column[str]]:
    return [
        sa.Column("labels", _exact(410), nullable=False, server_default=""),
        sa.Column("written_by", sa.String(200), nullable=False, server_default=""),
    ]


def _index(
    table: str, columns: list[str], where: sa.TextClause, name: str | None = None
) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
