"""PostgreSQL's indexes for searches: trigrams of words, and pairs of characters.

The extension `pg_trgm` knows letters and digits, three in a row; what is a letter
beyond ASCII depends on the database's locale. Words without such three (one or two
characters, signs, two ideographs, which can be all of a word) are found by pairs.
"""

import re
from collections.abc import Iterable
from functools import partial

from sqlalchemy import Connection, TextClause, text

from webapp.database_server import wait_for
from webapp.entries.search_index import LONGEST, make_or_tell

# Seconds for each index.
BUILT_WITHIN = 3600
# What `pg_trgm` surely has an index for.
TRIGRAM = re.compile(r"[A-Za-z0-9]{3}")

TRIGRAMS = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX IF NOT EXISTS tg_entries_key ON entries USING gin (key gin_trgm_ops)",
    "CREATE INDEX IF NOT EXISTS tg_entries_value ON entries "
    "USING gin (value gin_trgm_ops) WHERE encrypted_by IS NULL",
)
# Each character as a number of 21 bits, alone and with the next. Before them is whose
# they are, also of 21 bits, so that one's search need not read what is others'. Where
# two persons have them in common, the condition of the search tells them apart.
PAIRS_OF = """
    CREATE OR REPLACE FUNCTION entry_pairs(user_id bigint, words text)
    RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 10000 AS $$
      DECLARE
        characters text[] := string_to_array(lower(words), NULL);
        person bigint := mod(user_id, 1 << 21) << 42;
      BEGIN
        RETURN (
          SELECT array_agg(person | (ascii(a)::bigint << 21) | coalesce(ascii(b), 0))
              || array_agg(person | (ascii(a)::bigint << 21))
          FROM unnest(characters, characters[2:]) AS pair(a, b)
        );
      END
    $$
"""
PAIRS_OF_ENTRY = (
    "entry_pairs(entries.user_id, entries.key || chr(10) || CASE "
    f"WHEN entries.encrypted_by IS NULL AND entries.size <= {LONGEST} "
    "THEN entries.value ELSE '' END)"
)
PAIRS = (
    PAIRS_OF,
    "CREATE INDEX IF NOT EXISTS tg_entries_pairs ON entries "
    f"USING gin ({PAIRS_OF_ENTRY})",
)
HAS_PAIRS = text("SELECT to_regclass('tg_entries_pairs') IS NOT NULL")
HAVING_PAIRS = text(
    f"({PAIRS_OF_ENTRY} @> entry_pairs(:user_id, :words) "
    f"OR entries.user_id = :user_id AND entries.size > {LONGEST})"
)


def make_postgresql_indexes(connection: Connection) -> None:
    """Make what is missing of them."""
    if connection.dialect.name != "postgresql":
        return
    # Of what is there already it takes a minute for each million entries.
    wait_for(connection, BUILT_WITHIN)
    make_or_tell(connection, partial(_execute, TRIGRAMS))
    # In others a character need not have a number, and could then not be kept.
    if connection.scalar(text("SHOW server_encoding")) == "UTF8":
        make_or_tell(connection, partial(_execute, PAIRS))


def _execute(statements: Iterable[str], connection: Connection) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def may_have(connection: Connection, words: str) -> TextClause | None:
    """Say which of the entries of `:user_id` may have words without a trigram.

    None where trigrams find them, and where there is no index of pairs.
    """
    if TRIGRAM.search(words) or not connection.scalar(HAS_PAIRS):
        return None
    return HAVING_PAIRS.bindparams(words=words)
