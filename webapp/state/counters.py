"""The counters behind IDs: none is given twice, not even by the next database.

The row with the highest ID may have been deleted; the counter still knows it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Table, func, select, text

from webapp.database import Model

# The ID given last, which may be below the highest where rows brought their own.
LAST = {
    "sqlite": "SELECT seq FROM sqlite_sequence WHERE name = '{table}'",
    "postgresql": "SELECT last_value FROM {table}_id_seq WHERE is_called",
    "mysql": "SELECT auto_increment - 1 FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_name = '{table}'",
}
# A table that was never written has no row in SQLite's list of counters.
GO_ON_AFTER = {
    "sqlite": (
        "DELETE FROM sqlite_sequence WHERE name = '{table}'",
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', {last})",
    ),
    "postgresql": ("SELECT setval('{table}_id_seq', {last})",),
    "mysql": ("ALTER TABLE {table} AUTO_INCREMENT = {next}",),
}


def last_ids(connection: Connection) -> dict[str, int]:
    """Return the highest ID each table ever gave, 0 for none."""
    dialect: Any = connection.dialect
    if dialect.name == "mysql" and not dialect.is_mariadb:
        # MySQL would tell what it knew up to a day ago.
        connection.execute(text("SET SESSION information_schema_stats_expiry = 0"))
    statements = {table: _of(LAST, connection) for table in _counted()}
    return {
        table.name: max(
            connection.scalar(select(func.max(table.c.id))) or 0,
            connection.scalar(text(statement.format(table=table.name))) or 0,
        )
        for table, statement in statements.items()
    }


def go_on_after(connection: Connection, last: Mapping[str, int]) -> None:
    """Have each table give only IDs above these, and above those it has."""
    for name, own in last_ids(connection).items():
        highest = max(own, last.get(name, 0))
        if not highest:
            continue
        for statement in _of(GO_ON_AFTER, connection):
            values = {"table": name, "last": highest, "next": highest + 1}
            connection.execute(text(statement.format(**values)))


def _counted() -> Iterator[Table]:
    for table in Model.metadata.sorted_tables:
        if table.autoincrement_column is not None:
            yield table


def _of(statements: Mapping[str, Any], connection: Connection) -> Any:
    name = connection.dialect.name
    return statements["mysql" if name == "mariadb" else name]
