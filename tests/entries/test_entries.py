"""A person's entries: what is kept, found, changed, refused, and counted."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from sqlalchemy import select

from config.settings import load_settings
from tests.browser import PASSWORD
from webapp import create_app
from webapp.accounts.inputs import NewAccount
from webapp.entries import listing, searching, spans
from webapp.entries.inputs import ListQuery, NewEntry, NewValue
from webapp.entries.models import Entry, Usage
from webapp.entries.service import Changed, Entries
from webapp.entries.spans import PAGE
from webapp.errors import NotFound, QuotaReached, Taken, TooLarge

LIMIT = 256_000
ALICE, BOB = 1, 2


@pytest.fixture
def entries(app: Flask) -> Iterator[Entries]:
    with app.app_context():
        yield _entries_of(app)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Entries]:
    """Entries where a person can keep three, and 100 bytes in all."""
    limits = {"max_entries": 3, "max_entries_size": 100, "max_value_size": 90}
    with (app := _make_app(tmp_path, **limits)).app_context():
        yield _entries_of(app)


@pytest.mark.parametrize("key", ["k", "k" * 200, "🦀" * 200, " ", "é" * 200])
def test_a_key_of_1_to_200_characters_is_kept(entries: Entries, key: str) -> None:
    _keep(entries, key)
    assert entries.get(ALICE, key).key == key


@pytest.mark.parametrize("character", ["a", "é", "€", "🦀"])
@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_value_of_exactly_the_limit_is_kept_and_one_byte_more_is_not(
    entries: Entries, character: str, kind: str
) -> None:
    count, rest = divmod(LIMIT - 2, len(character.encode()))
    value = '"' + character * count + "." * rest + '"'
    new = NewEntry.model_validate({"key": "k", "value": value, "kind": kind})
    assert entries.create(ALICE, new).value == value
    larger = new.model_copy(update={"key": "other", "value": value + " "})
    with pytest.raises(TooLarge, match=r"256,001 bytes; at most 256,000"):
        entries.create(ALICE, larger)
    with pytest.raises(TooLarge):
        entries.change(ALICE, "k", entries.get(ALICE, "k").version, larger)
    assert entries.get(ALICE, "k").value == value
    assert entries.figures(ALICE).entries == 1


def test_the_list_is_stable_while_entries_come_change_and_go(
    entries: Entries,
) -> None:
    keys = [f"{number:02}" for number in range(70)]
    for key in keys:
        _keep(entries, key)
    oldest = iter(keys)
    page = entries.page(ALICE, ListQuery())
    seen = [row.key for row in page.rows]
    while page.older:
        _keep(entries, f"in front of {page.older}")
        for key in (seen[0], keys[25]):
            _change(entries, key, f"changed at {page.older}")
        _delete(entries, next(oldest))
        _delete(entries, seen.pop())  # This page ends with it.
        page = entries.page(ALICE, ListQuery(before=page.older))
        assert len(page.rows) <= PAGE
        seen += [row.key for row in page.rows]
    assert seen == sorted(seen, reverse=True), "newest first"
    assert len(seen) == len(set(seen)), "none twice"
    assert set(seen) == {key for key in keys if _has(entries, key)}, "none missing"
    assert len(seen) == 64


def test_going_back_shows_the_same_pages(entries: Entries) -> None:
    for number in range(2 * PAGE + 5):
        _keep(entries, f"{number}")
    first = entries.page(ALICE, ListQuery())
    second = entries.page(ALICE, ListQuery(before=first.older))
    third = entries.page(ALICE, ListQuery(before=second.older))
    assert (len(first.rows), len(second.rows), len(third.rows)) == (PAGE, PAGE, 5)
    assert (first.newer, third.older) == (None, None)
    assert entries.page(ALICE, ListQuery(after=third.newer)).rows == second.rows
    back = entries.page(ALICE, ListQuery(after=second.newer))
    assert (back.rows, back.newer) == (first.rows, None)


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE])
def test_a_full_last_page_leads_nowhere(entries: Entries, count: int) -> None:
    for number in range(count):
        _keep(entries, f"{number}")
    pages = [entries.page(ALICE, ListQuery())]
    while pages[-1].older:
        pages.append(entries.page(ALICE, ListQuery(before=pages[-1].older)))
    assert sum(len(page.rows) for page in pages) == count
    assert len(pages) == max(1, -(-count // PAGE)), "none of them is empty"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("HARBOUR", "key"), ("harb", "key"), ("ÉCLAIR", "É"), ("éclair", "É"),
        ("%", "%"), ("_", "_"), ("\\", "\\"), ("/", "/"), ("'", "'"), ("[a", "["),
        ("100%", "%"), ("1%0", None), ("a_c", "_"), ("  ", "space"), ("needle", "end"),
        ("привет", "ПРИВЕТ"), ("*", None), ("ΣΑΣ", "Σ"),
    ], ids=range(18),
)  # fmt: skip
def test_search_is_without_case_and_takes_every_character_as_it_is(
    entries: Entries, words: str, found: str | None
) -> None:
    values = {
        "key": "the Harbour", "É": "an Éclair", "%": "100% sure", "_": "a_c",
        "\\": "back", "[": "[a-z]", "/": "forward", "'": "quote", "space": "a  b",
        "b": "abc", "end": "x" * 200_000 + "NEEDLE", "Σ": "ΣΑΣΑ", "ПРИВЕТ": "key",
    }  # fmt: skip
    for key, value in values.items():
        _keep(entries, key, value)
    _keep(entries, "harbour % _ \\ / ' [a ΣΑΣ needle", user_id=BOB)
    rows = entries.page(ALICE, ListQuery(q=words)).rows
    assert [row.key for row in rows] == ([found] if found else [])


@pytest.mark.parametrize(
    ("words", "found"), [("k", "cold"), ("K", "cold"), ("i", "job")]
)
def test_a_letter_of_ascii_finds_its_capitals_beyond_ascii(
    entries: Entries, words: str, found: str
) -> None:
    for key, value in {"cold": "3 \u212a", "job": "\u0130\u015f", "rest": "of"}.items():
        _keep(entries, key, value)
    assert [row.key for row in entries.page(ALICE, ListQuery(q=words)).rows] == [found]


def test_of_two_who_saw_the_same_version_the_second_is_told(entries: Entries) -> None:
    seen = _keep(entries, "k", "first").version
    entries.change(ALICE, "k", seen, NewValue(value="of one tab"))
    with pytest.raises(Changed) as changed:
        entries.change(ALICE, "k", seen, NewValue(value="of the other"))
    assert changed.value.entry
    assert changed.value.entry.value == "of one tab"
    with pytest.raises(Changed):
        entries.delete(ALICE, "k", seen)
    assert entries.get(ALICE, "k").value == "of one tab"
    entries.change(ALICE, "k", changed.value.entry.version, NewValue(value="decided"))
    assert entries.get(ALICE, "k").value == "decided"


@pytest.mark.long
@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("words", ["kept", "often", "rare", "#!", "no such"])
def test_a_search_goes_through_all_pages_both_ways(
    entries: Entries, words: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of the next entries are looked through before an index is asked."""
    for limit in ("STEP_ROWS", "NEAR_ROWS", "PLAIN_ROWS"):
        monkeypatch.setattr(searching, limit, step)
    for each in (listing, searching, spans):
        monkeypatch.setattr(each, "PAGE", 3)
    texts = ["kept", "kept often", "kept rare #!" * 4]
    values = [texts[(n % 2 == 0) + (n % 10 == 0)] for n in range(40)]
    for number, value in enumerate(values):
        _keep(entries, f"{number:02}", value)
        _keep(entries, f"{number:02}", value, user_id=BOB)
    matching = [f"{n:02}" for n in reversed(range(40)) if words in values[n]]
    there, back = [], []
    page = entries.page(ALICE, ListQuery(q=words))
    there += [row.key for row in page.rows]
    while page.older:
        page = entries.page(ALICE, ListQuery(q=words, before=page.older))
        there += [row.key for row in page.rows]
    back += [row.key for row in reversed(page.rows)]
    while page.newer:
        page = entries.page(ALICE, ListQuery(q=words, after=page.newer))
        back += [row.key for row in reversed(page.rows)]
    assert there == back[::-1] == matching


def test_an_entry_made_again_is_another_one(entries: Entries) -> None:
    seen = _keep(entries, "k", "value").version
    _delete(entries, "k")
    with pytest.raises(Changed) as changed:
        entries.change(ALICE, "k", seen, NewValue(value="late"))
    assert changed.value.entry is None
    _keep(entries, "k", "value")
    with pytest.raises(Changed):
        entries.delete(ALICE, "k", seen)
    assert entries.get(ALICE, "k").value == "value"


def test_nobody_reaches_somebody_elses_entry(entries: Entries) -> None:
    version = _keep(entries, "k", "of alice").version
    with pytest.raises(NotFound):
        entries.get(BOB, "k")
    with pytest.raises(Changed) as refused:
        entries.change(BOB, "k", version, NewValue(value="of bob"))
    assert refused.value.entry is None, "not even that there is one"
    with pytest.raises(Changed):
        entries.delete(BOB, "k", version)
    assert entries.page(BOB, ListQuery(q="alice")).rows == []
    assert _keep(entries, "k", "of bob", user_id=BOB).value == "of bob"
    assert entries.get(ALICE, "k").value == "of alice"
    assert entries.figures(ALICE).entries == entries.figures(BOB).entries == 1


def test_of_many_who_take_one_key_at_once_one_wins_and_the_others_are_told(
    app: Flask, entries: Entries
) -> None:
    def create(number: int) -> str:
        with app.app_context():
            try:
                return _keep(entries, "k", f"of {number}").value
            except Taken as error:
                return str(error)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(create, range(8)))
    assert told.count("You have an entry with this key already.") == 7
    assert entries.get(ALICE, "k").value in told
    assert entries.figures(ALICE).entries == 1


def test_the_number_of_entries_has_a_limit_and_deleting_makes_room(
    small: Entries,
) -> None:
    for key in "abc":
        _keep(small, key)
    with pytest.raises(QuotaReached, match=r"You have 3 entries.*Delete some first"):
        _keep(small, "d")
    _change(small, "a", "needs no more entries")
    _keep(small, "d", user_id=BOB)
    _delete(small, "b")
    _keep(small, "d")


def test_space_has_a_limit_to_the_byte_and_shortening_makes_room(
    small: Entries,
) -> None:
    _keep(small, "é", "x" * 50)
    _keep(small, "b", "x" * 47)
    assert small.figures(ALICE).size == 100
    for verb, key, value in ((_keep, "c", ""), (_change, "b", "x" * 48)):
        with pytest.raises(QuotaReached, match="would take 101 bytes; 100 are yours"):
            verb(small, key, value)
    assert small.figures(ALICE).size == 100
    _change(small, "é", "x" * 49)
    _keep(small, "c", "")


@pytest.mark.parametrize("limit", ["max_entries", "max_entries_size"])
def test_who_is_over_a_lowered_limit_can_still_shorten(
    tmp_path: Path, limit: str
) -> None:
    with (before := _make_app(tmp_path)).app_context():
        for key in "abc":
            _keep(_entries_of(before), key, "x" * 50)
    with (lowered := _make_app(tmp_path, **{limit: 2})).app_context():
        _change(_entries_of(lowered), "a", "shorter")


@pytest.mark.long
@bounded(
    max_examples=40, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("aé🦀b"),
                          st.text("aé🦀\n", max_size=25)), max_size=12))  # fmt: skip
def test_the_figures_are_right_after_any_verbs(
    small: Entries, verbs: list[tuple[int, str, str]]
) -> None:
    for key in filter(partial(_has, small), "aé🦀b"):
        _delete(small, key)
    for verb, key, value in verbs:
        before = small.version(ALICE)
        try:
            (_keep, _change, _delete)[verb](small, key, value)
            assert small.version(ALICE) == before + 1
        except (Taken, NotFound, QuotaReached, TooLarge):
            assert small.version(ALICE) == before, "what was refused left nothing"
        with small._database.read() as db:
            usage = db.execute(select(Usage.entries, Usage.size)).first() or (0, 0)
            rows = db.execute(select(Entry.key, Entry.value)).all()
        sizes = [len(f"{row.key}{row.value}".encode()) for row in rows]
        assert tuple(usage) == (len(rows), sum(sizes))


def test_changed_this_week_is_a_week_from_now(entries: Entries) -> None:
    with time_machine.travel("2096-03-01T12:00:00Z", tick=False) as clock:
        _keep(entries, "a")
        _keep(entries, "b")
        clock.shift(7 * 24 * 3600)
        assert entries.figures(ALICE).changed_this_week == 2
        clock.shift(1)
        assert entries.figures(ALICE).changed_this_week == 0
        _change(entries, "a", "again")
        assert entries.figures(ALICE).changed_this_week == 1


def _make_app(folder: Path, **limits: int) -> Flask:
    cheap = {"password_memory_kib": 8, "password_rounds": 1}
    return create_app(load_settings(data_dir=folder / "data", **cheap, **limits))


def _entries_of(app: Flask) -> Entries:
    accounts = app.extensions["accounts"]
    for name in ("alice", "bob")[len(accounts.list_all()) :]:
        accounts.create(NewAccount(name=name, password=PASSWORD))
    found: Entries = app.extensions["entries"]
    return found


def _keep(entries: Entries, key: str, value: str = "", user_id: int = ALICE) -> Entry:
    return entries.create(user_id, NewEntry(key=key, value=value))


def _change(entries: Entries, key: str, value: str) -> None:
    version = entries.get(ALICE, key).version
    entries.change(ALICE, key, version, NewValue(value=value))


def _delete(entries: Entries, key: str, _value: str = "") -> None:
    entries.delete(ALICE, key, entries.get(ALICE, key).version)


def _has(entries: Entries, key: str) -> bool:
    return key in [row.key for row in entries.page(ALICE, ListQuery(q=key)).rows]
