"""On MariaDB and MySQL what people and browsers call things has every character.

Before, the character set was that of the database, which may be one of few letters.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Table, column, its length, and what it has where nothing is said.
COLUMNS = [
    ("account_events", "user_agent", 300, None),
    ("account_events", "about", 60, ""),
    ("tokens", "name", 60, None),
    ("tokens", "key_prefix", 200, None),
    ("tokens", "user_agent", 300, None),
    ("sessions", "user_agent", 300, None),
    ("entries", "written_by", 200, ""),
    ("past_values", "written_by", 200, ""),
    ("past_values", "deleted_by", 200, ""),
]


def upgrade() -> None:
    if op.get_context().dialect.name not in ("mysql", "mariadb"):
        return
    for table, column, length, default in COLUMNS:
        op.alter_column(
            table,
            column,
            type_=mysql.VARCHAR(length, charset="utf8mb4"),
            existing_type=sa.String(length),
            existing_nullable=False,
            existing_server_default=default,
        )
