"""Whether tables in a database are another application's, however they are named."""

from sqlalchemy import Connection, Table, inspect

from webapp.database import Model
from webapp.schema import VERSION, read_revision

# Our revisions are numbers; Alembic gives others hexadecimal ones.
DIGITS = 4


def foreign_tables(connection: Connection) -> list[str]:
    """Name those that a restore would take away, and that no release of ours made.

    A SQLite file goes as a whole; elsewhere tables of other names stay.
    """
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    own = [table for table in Model.metadata.sorted_tables if table.name in present]
    foreign = [
        table.name
        for table in own
        if _needed(table)
        - {column["name"] for column in inspector.get_columns(table.name)}
    ]
    if own:
        return foreign
    if connection.dialect.name == "sqlite":
        return sorted(present)
    is_theirs = VERSION.name in present and not _is_ours(read_revision(connection))
    return [VERSION.name] if is_theirs else []


def _needed(table: Table) -> set[str]:
    """Name the columns that it has in every release: one that came later is optional.

    Rows that were there before it have to have something in it.
    """
    return {
        column.name
        for column in table.columns
        if not column.nullable and column.server_default is None
    }


def _is_ours(revision: str | None) -> bool:
    return revision is not None and len(revision) == DIGITS and revision.isdecimal()
