"""How many there are of each kind of state, and how much room they take."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from webapp.database import Database
from webapp.state.marks import KEY
from webapp.state.tables import count_rows, snapshot
from webapp.stores import Store
from webapp.stores.interface import Json

# The records by what an operator calls them, and the tables that each is kept in. A
# test sees that no table is left out.
KINDS = {
    "users": ("users",),
    "session records": ("sessions",),
    "tokens": ("tokens",),
    "entries": ("entries", "entry_usage", "entry_labels", "entry_days"),
    "earlier values": ("past_values",),
    "imports": ("entry_imports", "entry_import_parts"),
    "history": ("account_events",),
    "limits": ("limits",),
    "kept answers": ("kept_answers",),
}
# Under which /readyz tries whether a store can be written.
PROBE_KEY = "ready"
# Under which a move tries whether it is the same store as another.
SAME_KEY = "same"
OWN_KEYS = (KEY, PROBE_KEY, SAME_KEY)
# Bytes per table, its indexes included.
SIZES = {
    "sqlite": "SELECT tbl_name, sum(pgsize) FROM dbstat "
    "JOIN sqlite_schema USING (name) GROUP BY tbl_name",
    "postgresql": "SELECT relname, pg_total_relation_size(oid) FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace",
    "mysql": "SELECT table_name, data_length + index_length "
    "FROM information_schema.tables WHERE table_schema = DATABASE()",
}


@dataclass(frozen=True)
class Amount:
    """How many, and how many bytes; None for what the place cannot tell."""

    count: int | None
    size: int | None


UNKNOWN = Amount(None, None)


def count_records(database: Database) -> dict[str, Amount]:
    """Count the rows of each kind; `count` is that of the first table."""
    with snapshot(database.engine) as connection:
        rows, sizes = count_rows(connection), _sizes(connection)
    return {
        kind: Amount(rows[tables[0]], _total(sizes, tables))
        for kind, tables in KINDS.items()
    }


def count_values(store: Store) -> Amount:
    """Count what a store holds for people; raises StoreUnavailable.

    What the application keeps there for itself is not counted.
    """
    held = store.measure()
    if held.values is None or held.bytes is None:
        return UNKNOWN
    own = [value for value in store.get_many(*OWN_KEYS) if value is not None]
    size = sum(len(Json().dumps(value)) for value in own)
    return Amount(held.values - len(own), held.bytes - size)


def _sizes(connection: Connection) -> Mapping[str, int]:
    name = connection.dialect.name
    statement = SIZES["mysql" if name == "mariadb" else name]
    try:
        return {row[0]: int(row[1]) for row in connection.execute(text(statement))}
    except OperationalError:
        # SQLite can be built without it.
        return {}


def _total(sizes: Mapping[str, int], tables: tuple[str, ...]) -> int | None:
    return sum(sizes[table] for table in tables) if sizes else None
