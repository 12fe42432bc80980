"""An index of three characters each (trigrams), where the database has one to offer.

It finds what may match; the condition of the search itself decides. So a database
without it gives the same answers, only later: MariaDB, a PostgreSQL whose owner may
not make `pg_trgm`, a SQLite that was built without FTS5.
"""

import logging

from sqlalchemy import Connection, Select, column, select, table, text
from sqlalchemy.exc import DBAPIError

# Bytes of an entry beyond which its value is left out of SQLite's index: to index
# 256 kB takes 150 ms, in which nobody is served. Such entries are few; a search looks
# through them.
LONGEST = 16_384
SHORTEST_WORD = 3

INDEX = table("entry_search", column("rowid"))
# The person is three ideographs, so that a search reads what is theirs alone: one of
# everybody's entries would take longer the more people there are.
FIRST_IDEOGRAPH, IDEOGRAPHS = 0x4E00, 20_000
PERSON = ", ".join(
    f"{FIRST_IDEOGRAPH} + {{row}}.user_id / {IDEOGRAPHS**digit} % {IDEOGRAPHS}"
    for digit in range(3)
)
# lower() is Python's casefold, as it is for the search.
TEXT = (
    f"char({PERSON}) || char(10) || lower({{row}}.key) || char(10) || "
    f"CASE WHEN {{row}}.encrypted_by IS NULL AND {{row}}.size <= {LONGEST} "
    "THEN lower({row}.value) ELSE '' END"
)
ADD = "INSERT INTO entry_search (rowid, text) VALUES (new.id, {new})"
REMOVE = (
    "INSERT INTO entry_search (entry_search, rowid, text) "
    "VALUES ('delete', old.id, {old})"
)
CHANGED = " OR ".join(
    f"old.{name} IS NOT new.{name}" for name in ("key", "value", "encrypted_by")
)
SQLITE_TRIGGERS = {
    "INSERT": ("", (ADD,)),
    "DELETE": ("", (REMOVE,)),
    "UPDATE": (f"WHEN {CHANGED}", (REMOVE, ADD)),
}
FILL = "INSERT INTO entry_search (rowid, text) SELECT entries.id, {text} FROM entries"
SQLITE_INDEX = (
    "CREATE VIRTUAL TABLE entry_search USING fts5"
    "(text, content='', columnsize=0, detail=none, tokenize='trigram case_sensitive 1')"
)
SQLITE_PARTS = text(
    "SELECT count(*) FROM sqlite_schema "
    "WHERE name = 'entry_search' OR type = 'trigger' AND name LIKE 'entry_search_%'"
)
POSTGRESQL = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX IF NOT EXISTS tg_entries_key ON entries USING gin (key gin_trgm_ops)",
    "CREATE INDEX IF NOT EXISTS tg_entries_value ON entries "
    "USING gin (value gin_trgm_ops) WHERE encrypted_by IS NULL",
)
log = logging.getLogger(__name__)


def make_search_index(connection: Connection) -> None:
    """Make what is missing of it, and fill it; leave it out where it cannot be had."""
    make = {"sqlite": _in_sqlite, "postgresql": _in_postgresql}.get(
        connection.dialect.name
    )
    if make is None:
        return
    try:
        with connection.begin_nested():
            make(connection)
    except DBAPIError as error:
        log.warning("Searching takes longer without an index: %s", error.orig)


def has_sqlite_index(connection: Connection) -> bool:
    """Tell whether there is one, and what keeps it up to date."""
    return bool(connection.scalar(SQLITE_PARTS) == 1 + len(SQLITE_TRIGGERS))


def candidates(user_id: int, words: str) -> Select[int]:
    """Select from SQLite's index the IDs of what may match three or more characters."""
    return select(INDEX.c.rowid).where(
        text("entry_search MATCH :match").bindparams(match=_match(user_id, words))
    )


def _match(user_id: int, words: str) -> str:
    digits = (user_id // IDEOGRAPHS**digit % IDEOGRAPHS for digit in range(3))
    person = "".join(chr(FIRST_IDEOGRAPH + digit) for digit in digits)
    folded = words.casefold()
    parts = [folded[at : at + 3] for at in range(len(folded) - 2)]
    quoted = ('"' + part.replace('"', '""') + '"' for part in (person, *parts))
    return " AND ".join(dict.fromkeys(quoted))


def _in_sqlite(connection: Connection) -> None:
    if has_sqlite_index(connection):
        return
    # A table that a migration made anew has lost its triggers, and the index is old.
    for verb in SQLITE_TRIGGERS:
        connection.exec_driver_sql(
            f"DROP TRIGGER IF EXISTS entry_search_{verb.lower()}"
        )
    connection.exec_driver_sql("DROP TABLE IF EXISTS entry_search")
    connection.exec_driver_sql(SQLITE_INDEX)
    connection.exec_driver_sql(FILL.format(text=TEXT.format(row="entries")))
    for verb, (condition, actions) in SQLITE_TRIGGERS.items():
        statements = "; ".join(actions).format(
            new=TEXT.format(row="new"), old=TEXT.format(row="old")
        )
        connection.exec_driver_sql(
            f"CREATE TRIGGER entry_search_{verb.lower()} AFTER {verb} ON entries "
            f"{condition} BEGIN {statements}; END"
        )


def _in_postgresql(connection: Connection) -> None:
    for statement in POSTGRESQL:
        connection.exec_driver_sql(statement)
