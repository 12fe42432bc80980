"""What an index finds is what a look at every entry would, and it is quick to stop."""

from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from sqlalchemy import text

from tests.browser import Browser
from webapp import schema
from webapp.database import Database
from webapp.entries import search_index, searching
from webapp.entries.inputs import ListQuery, NewEntry, NewValue
from webapp.entries.search_index import IDEOGRAPHS, LONGEST, has_sqlite_index
from webapp.entries.service import Entries

pytestmark = pytest.mark.embedded
ALICE, BOB = 1, 2
LONG = "x" * LONGEST


@pytest.fixture
def entries(app: Flask, alice: Browser, bob: Browser) -> Entries:
    return app.extensions["entries"]  # type: ignore[no-any-return]


@pytest.fixture
def database(app: Flask) -> Database:
    return app.extensions["database"]  # type: ignore[no-any-return]


def found(entries: Entries, words: str, **query: Any) -> list[str]:
    rows = entries.page(ALICE, ListQuery(q=words, **query)).rows
    return [row.key for row in rows]


def keep(entries: Entries, key: str, value: str = "", user_id: int = ALICE) -> None:
    entries.create(user_id, NewEntry(key=key, value=value))


def change(entries: Entries, key: str, value: str) -> None:
    version = entries.get(ALICE, key).version
    entries.change(ALICE, key, version, NewValue(value=value))


WORDS = st.text("abAÉé\"'*%_ßΣσς ", min_size=1, max_size=5)


@pytest.mark.long
@bounded(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(values=st.lists(st.text("abAÉé\"'*%_ßΣσς ", max_size=12), max_size=6), q=WORDS)
def test_it_finds_what_a_look_at_every_entry_finds(
    entries: Entries, values: list[str], q: str
) -> None:
    for row in entries.page(ALICE, ListQuery()).rows:
        entries.delete(ALICE, row.key, entries.get(ALICE, row.key).version)
    for number, value in enumerate(values):
        keep(entries, f"{number}", value)
    expected = [
        f"{number}"
        for number, value in enumerate(values)
        if q.casefold() in value.casefold() or q in f"{number}"
    ]
    assert found(entries, q) == expected[::-1]


def test_it_follows_every_change(entries: Entries, database: Database) -> None:
    keep(entries, "k", "harbour")
    keep(entries, "bobs", "harbour", BOB)
    assert found(entries, "harb") == ["k"]
    change(entries, "k", "mountain")
    assert found(entries, "harb") == []
    assert found(entries, "MOUNT") == ["k"]
    change(entries, "k", f"harbour {LONG}")
    assert found(entries, "harbour x") == ["k"]
    change(entries, "k", "valley")
    entries.delete(ALICE, "k", entries.get(ALICE, "k").version)
    assert found(entries, "valley") == []
    with database.read() as db:
        left = "SELECT count(*) FROM entry_search WHERE entry_search MATCH :word"
        for word in ("har", "mou", "val"):
            count = db.execute(text(left), {"word": word}).scalar()
            assert count == (word == "har"), "only bob's"


def test_a_secret_value_is_in_no_index(
    app: Flask, entries: Entries, database: Database
) -> None:
    keep(entries, "pin of the bank", "3141592653")
    with database.write() as db:
        db.execute(text("UPDATE entries SET encrypted_by = 'x', value = 'token'"))
    assert found(entries, "314159") == found(entries, "token") == []
    assert found(entries, "bank") == ["pin of the bank"]
    with database.read() as db:
        match = "SELECT count(*) FROM entry_search WHERE entry_search MATCH :word"
        assert db.execute(text(match), {"word": "314"}).scalar() == 0


def test_pages_of_a_search_go_on_through_long_values_and_short_ones(
    entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("STEP_ROWS", "NEAR_ROWS", "PLAIN_ROWS"):
        monkeypatch.setattr(searching, limit, 3)
    keys = [f"key {number:02}" for number in range(50)]
    for number, key in enumerate(keys):
        keep(entries, key, f"{LONG} needle" if number % 7 == 0 else "a needle")
        keep(entries, f"other {number}", LONG if number % 5 == 0 else "hay")
    for words in ("needle", "ne"):
        seen: list[str] = []
        before: int | None = None
        while True:
            page = entries.page(ALICE, ListQuery(q=words, before=before))
            seen += [row.key for row in page.rows]
            if (before := page.older) is None:
                break
        assert seen == keys[::-1]
        back = entries.page(ALICE, ListQuery(q=words, after=page.newer))
        assert [row.key for row in back.rows] == keys[10:30][::-1]


@pytest.mark.parametrize("most", [0, 100], ids=["by oneself", "by the index"])
@pytest.mark.parametrize("words", ["ab", "AB", "§", "ẞ", "\U0010ffff"])
def test_one_or_two_characters_are_found_wherever_they_stand(
    entries: Entries, monkeypatch: pytest.MonkeyPatch, words: str, most: int
) -> None:
    monkeypatch.setattr(searching, "NEAR_ROWS", 1)
    monkeypatch.setattr(search_index, "MOST_TRIGRAMS", most)
    keep(entries, f"{words} first", "in a key")
    keep(entries, f"last {words}", "in a key")
    keep(entries, words)
    for number, value in enumerate((f"{words}b", f"a{words}", words, LONG + words)):
        keep(entries, f"value {number}", value)
    keep(entries, "bobs", words, BOB)
    keep(entries, "nothing", "of the kind")
    assert found(entries, words) == [
        *("value 3", "value 2", "value 1", "value 0"),
        *(words, f"last {words}", f"{words} first"),
    ]


@pytest.mark.parametrize(("most", "steps"), [(100, 1), (-1, 10)])
def test_two_characters_that_few_have_are_looked_for_in_the_index(
    entries: Entries, monkeypatch: pytest.MonkeyPatch, most: int, steps: int
) -> None:
    rests: list[str] = []
    pace = SimpleNamespace(tick=lambda: rests.append("theirs"))
    monkeypatch.setattr(searching, "Pace", lambda: pace)
    for limit in ("NEAR_ROWS", "PLAIN_ROWS"):
        monkeypatch.setattr(searching, limit, 3)
    monkeypatch.setattr(search_index, "MOST_TRIGRAMS", most)
    for number in range(30):
        keep(entries, f"{number}", "nothing of the kind")
    assert found(entries, "#!") == []
    assert len(rests) == steps


def test_others_go_on_while_everything_is_looked_through(
    entries: Entries, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[str] = []
    pace = SimpleNamespace(tick=lambda: rests.append("theirs"))
    monkeypatch.setattr(searching, "Pace", lambda: pace)
    for number in range(8):
        keep(entries, f"{number}", "x" * 200_000)
    assert found(entries, "nowhere") == []
    assert len(rests) == 3, "three of them in each step"


def test_a_database_without_it_finds_the_same(
    entries: Entries, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(entries, "k", "harbour")
    with database.write() as db:
        db.execute(text("DROP TRIGGER entry_search_update"))
    with database.read() as connection:
        assert not has_sqlite_index(connection)
    change(entries, "k", "a Mountain")
    assert found(entries, "mount") == ["k"]
    assert found(entries, "harb") == []


def test_it_is_made_anew_where_it_was_lost(
    app: Flask, entries: Entries, database: Database
) -> None:
    keep(entries, "k", "harbour")
    with database.write() as db:
        db.execute(text("DROP TRIGGER entry_search_delete"))
        db.execute(text("DELETE FROM entry_search_data"))
    said = app.test_cli_runner().invoke(args=["db", "upgrade"])
    assert said.exit_code == 0, said.output
    with database.read() as connection:
        assert has_sqlite_index(connection)
    assert found(entries, "harb") == ["k"]


def test_a_sqlite_without_it_serves_all_the_same(
    entries: Entries,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keep(entries, "k", "harbour")
    monkeypatch.setattr(search_index, "SQLITE_INDEX", "CREATE nothing")
    with database.write() as db:
        db.execute(text("DROP TRIGGER entry_search_insert"))
    with schema.upgrading(database.engine) as connection:
        search_index.make_search_index(connection)
    assert "takes longer without an index" in caplog.text
    keep(entries, "other", "harbours")
    assert found(entries, "harb") == ["other", "k"]


@pytest.mark.parametrize("user_id", [1, IDEOGRAPHS - 1, IDEOGRAPHS, 2**40])
def test_each_person_has_a_mark_of_their_own(database: Database, user_id: int) -> None:
    with database.write() as db:
        db.execute(text("PRAGMA defer_foreign_keys = ON"))
        row = {"user_id": user_id}
        sql = search_index.PERSON.format(row="given")
        mark = db.execute(
            text(f"SELECT char({sql}) FROM (SELECT :user_id AS user_id) AS given"),  # noqa: S608
            row,
        ).scalar()
    assert mark == search_index._mark(user_id)
