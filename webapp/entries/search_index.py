"""SQLite's index for searches, of three characters each (trigrams).

It finds what may match; the condition of the search itself decides. So a database
without it gives the same answers, only later: MariaDB, a SQLite that was built without
FTS5. PostgreSQL's are in postgresql_index.py.
"""

import logging
from collections.abc import Callable

from sqlalchemy import Connection, Select, column, select, table, text
from sqlalchemy.exc import DBAPIError

# Bytes of an entry beyond which its value is left out of an index: for 256 kB SQLite
# takes 150 ms, in which nobody is served, and PostgreSQL's pairs take 140. Such entries
# are few; a search looks through them.
LONGEST = 16_384
TRIGRAM = 3
# What one or two characters that few have can go on as; beyond so many, many have them.
MOST_TRIGRAMS = 100

INDEX = table("entry_search", column("rowid"))
# The person is three ideographs, so that a search reads what is theirs alone: one of
# everybody's entries would take longer the more people there are.
FIRST_IDEOGRAPH, IDEOGRAPHS = 0x4E00, 20_000
PERSON = ", ".join(
    f"{FIRST_IDEOGRAPH} + {{row}}.user_id / {IDEOGRAPHS**digit} % {IDEOGRAPHS}"
    for digit in range(3)
)
# lower() is Python's casefold, as it is for the search. Two lines end it, so that the
# last character too begins a trigram.
TEXT = (
    f"char({PERSON}) || char(10) || lower({{row}}.key) || char(10) || "
    f"CASE WHEN {{row}}.encrypted_by IS NULL AND {{row}}.size <= {LONGEST} "
    "THEN lower({row}.value) ELSE '' END || char(10, 10)"
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
# The trigrams there are. The first beyond another is found at once, where to go through
# them would be to read every entry of each.
SQLITE_TRIGRAMS = (
    "CREATE VIRTUAL TABLE entry_search_trigrams USING fts5vocab(entry_search, instance)"
)
TRIGRAMS = text(
    """
    WITH RECURSIVE found(term) AS (
      SELECT (
        SELECT term FROM entry_search_trigrams
        WHERE term >= :start ORDER BY term LIMIT 1
      )
      UNION ALL
      SELECT (
        SELECT term FROM entry_search_trigrams
        WHERE term >= found.term || char(0) ORDER BY term LIMIT 1
      )
      FROM found WHERE substr(found.term, 1, :length) = :start
      LIMIT :most
    )
    SELECT term FROM found WHERE substr(term, 1, :length) = :start
    """
)
SQLITE_PARTS = text(
    "SELECT count(*) FROM sqlite_schema "
    "WHERE name IN ('entry_search', 'entry_search_trigrams') "
    "OR type = 'trigger' AND name LIKE 'entry_search_%'"
)
log = logging.getLogger(__name__)


def make_search_index(connection: Connection) -> None:
    """Make what is missing of SQLite's, and fill it."""
    if connection.dialect.name == "sqlite":
        make_or_tell(connection, _in_sqlite)


def make_or_tell(connection: Connection, make: Callable[[Connection], None]) -> None:
    """Make an index; leave it out where it cannot be had."""
    try:
        with connection.begin_nested():
            make(connection)
    except DBAPIError as error:
        log.warning("Searching takes longer without an index: %s", error.orig)


def has_sqlite_index(connection: Connection) -> bool:
    """Tell whether there is one, and what keeps it up to date."""
    return bool(connection.scalar(SQLITE_PARTS) == 2 + len(SQLITE_TRIGGERS))


def candidates(connection: Connection, user_id: int, words: str) -> Select[int] | None:
    """Select from SQLite's index the IDs of what may match.

    None where there is no index, or where it is no help: for one or two characters that
    go on in many ways.
    """
    if not has_sqlite_index(connection):
        return None
    folded = words.casefold()
    if len(folded) < TRIGRAM:
        trigrams = _beginning_with(connection, folded)
        if len(trigrams) > MOST_TRIGRAMS:
            return None
        missing = folded.ljust(TRIGRAM)
        matches = " OR ".join(map(_quote, trigrams or [missing]))
    else:
        ends = range(TRIGRAM, len(folded) + 1)
        parts = dict.fromkeys(folded[end - TRIGRAM : end] for end in ends)
        matches = " AND ".join(map(_quote, parts))
    match = f"{_quote(_mark(user_id))} AND ({matches})"
    return select(INDEX.c.rowid).where(
        text("entry_search MATCH :match").bindparams(match=match)
    )


def _beginning_with(connection: Connection, start: str) -> list[str]:
    """Return the trigrams of everybody that begin so, one more than MOST_TRIGRAMS."""
    given = {"start": start, "length": len(start), "most": MOST_TRIGRAMS + 1}
    return list(connection.scalars(TRIGRAMS, given))


def _mark(user_id: int) -> str:
    digits = (user_id // IDEOGRAPHS**digit % IDEOGRAPHS for digit in range(3))
    return "".join(chr(FIRST_IDEOGRAPH + digit) for digit in digits)


def _quote(part: str) -> str:
    return '"' + part.replace('"', '""') + '"'


def _in_sqlite(connection: Connection) -> None:
    if has_sqlite_index(connection):
        return
    # A table that a migration made anew has lost its triggers, and the index is old.
    for verb in SQLITE_TRIGGERS:
        connection.exec_driver_sql(
            f"DROP TRIGGER IF EXISTS entry_search_{verb.lower()}"
        )
    for name in ("entry_search_trigrams", "entry_search"):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    connection.exec_driver_sql(SQLITE_INDEX)
    connection.exec_driver_sql(SQLITE_TRIGRAMS)
    connection.exec_driver_sql(FILL.format(text=TEXT.format(row="entries")))
    for verb, (condition, actions) in SQLITE_TRIGGERS.items():
        statements = "; ".join(actions).format(
            new=TEXT.format(row="new"), old=TEXT.format(row="old")
        )
        connection.exec_driver_sql(
            f"CREATE TRIGGER entry_search_{verb.lower()} AFTER {verb} ON entries "
            f"{condition} BEGIN {statements}; END"
        )
