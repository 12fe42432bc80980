"""The list of entries by HTTP: which, in what order, and one part after the other."""

import re
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest
import time_machine

from tests.api.conftest import ENTRIES, KEY, TEXT, Program, problem, program_of
from tests.browser import Browser

START = datetime(2099, 1, 1, 12, tzinfo=UTC)


def parts(program: Program, first: str) -> list[list[str]]:
    """Follow `next` to the end; return the keys of each part."""
    found, path = [], first
    while path:
        answer = program.ask("GET", path)
        assert answer.status_code == 200, answer.text
        found.append([entry["key"] for entry in answer.json["entries"]])
        path = answer.json["next"]
        link = answer.headers.get("Link")
        assert link == (path and f'<{path}>; rel="next"')
    return found


def fill(program: Program, *keys: str) -> None:
    for key in keys:
        assert program.batch({"op": "put", "key": key, "value": key}).status_code == 200


def test_an_entry_in_the_list(program: Program) -> None:
    etag = program.put("k", '"é"', query_string={"labels": "a,b"}).headers["ETag"]
    (entry,) = program.listed().json["entries"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+Z", entry.pop("created_at"))
    assert entry.pop("updated_at")
    assert entry == {
        "key": "k",
        "type": "application/json",
        "secret": False,
        "size": 5,
        "etag": etag,
        "labels": ["a", "b"],
        "expires_at": None,
    }


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_the_parts_together_are_the_list(program: Program, limit: int) -> None:
    keys = [f"k{number}" for number in range(7)]
    fill(program, *reversed(keys))
    found = parts(program, f"{ENTRIES}?limit={limit}")
    assert [len(part) for part in found[:-1]] == [limit] * (len(found) - 1)
    assert list(chain(*found)) == keys


def test_what_changes_meanwhile_shifts_nothing(program: Program) -> None:
    fill(program, *"bdfhjl")
    first = program.listed(limit=2).json
    fill(program, "a", "c", "i", "b")
    program.delete("d")
    program.delete("f")
    fill(program, "d")
    rest = parts(program, first["next"])
    assert [entry["key"] for entry in first["entries"]] == ["b", "d"]
    assert list(chain(*rest)) == ["h", "i", "j", "l"]


def test_the_parts_of_a_filtered_list(program: Program) -> None:
    fill(program, "a/1", "a/2", "a/3", "b/1", "A/1", "a")
    found = parts(program, f"{ENTRIES}?prefix=a/&limit=1")
    assert found == [["a/1"], ["a/2"], ["a/3"]]


@pytest.mark.parametrize("prefix", ["a%", "a_", "é", "a\\", "🦀", "A", " "])
def test_a_prefix_is_taken_to_the_letter(program: Program, prefix: str) -> None:
    decoys = ["ab", "aX1", "e", "é", "a\\", "b", "a"]
    expected = sorted({f"{prefix}1", f"{prefix}2", *decoys})
    fill(program, *expected)
    under = {key for key in expected if key.startswith(prefix)}
    assert set(program.keys(prefix=prefix)) == under


def test_a_search_looks_into_keys_and_values(program: Program) -> None:
    program.put("harbour", "1")
    program.put("diary", "The quiet Harbour", TEXT)
    program.put("other", "x", TEXT)
    assert program.keys(q="harbour") == ["diary", "harbour"]
    assert program.keys(q="harbour", prefix="d") == ["diary"]
    assert program.keys(q="100%") == []


def test_a_label_finds_its_entries(program: Program) -> None:
    for key, labels in (("a", "red,blue"), ("b", "red"), ("c", "")):
        program.put(key, "1", query_string={"labels": labels})
    assert program.keys(label="red") == ["a", "b"]
    assert program.keys(label="blue") == ["a"]
    assert program.keys(label="green") == []


def test_what_changed_since_a_moment(alice: Browser) -> None:
    with time_machine.travel(START, tick=False) as time:
        alice.enter("/login")
        program = program_of(alice)
        fill(program, "a", "b")
        time.shift(60)
        fill(program, "c", "a")
        since = START + timedelta(seconds=60)
        for written in (since.isoformat(), "2099-01-01T12:01:00Z",
                        "2099-01-01T14:01:00+02:00"):  # fmt: skip
            assert program.keys(changed_since=written) == ["a", "c"]
        assert program.keys(changed_since="2099-01-01T12:01:01Z") == []


def test_what_has_ended_is_not_listed(alice: Browser) -> None:
    with time_machine.travel(START, tick=False) as time:
        alice.enter("/login")
        program = program_of(alice)
        end = (START + timedelta(minutes=1)).isoformat()
        program.put("a", "1", query_string={"expires_at": end})
        program.put("b", "1")
        assert program.keys() == ["a", "b"]
        time.shift(61)
        assert program.keys() == ["b"]
        problem(program.get("a"), 404, "not-found")
        assert program.put("a", "2").status_code == 201


def test_a_token_sees_only_what_is_under_its_prefix(
    alice: Browser, program: Program
) -> None:
    fill(program, "a/1", "a/2", "b/1", "A/3")
    of_prefix = program_of(alice, name="other", prefix="a/")
    assert of_prefix.keys() == ["a/1", "a/2"]
    assert of_prefix.keys(prefix="a/2") == ["a/2"]
    assert of_prefix.keys(prefix="b") == []
    assert of_prefix.keys(q="1") == ["a/1"]


@pytest.mark.embedded
def test_a_secret_is_in_no_list_and_no_search(carol: Browser) -> None:
    program = program_of(carol, secrets="yes")
    program.put("s", "treasure", TEXT, query_string={"secret": "true"})
    assert program.keys(q="treasure") == []
    answer = program.listed()
    assert answer.json["entries"][0]["secret"] is True
    assert "treasure" not in answer.text
    assert KEY not in answer.text


WRONG: list[dict[str, Any]] = [
    {"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"limit": "1e1"}, {"limit": ""},
    {"cursor": ""}, {"cursor": "!"}, {"cursor": "é"}, {"cursor": "x" * 3000},
    {"cursor": "AA"}, {"changed_since": "yesterday"}, {"changed_since": ""},
    {"changed_since": "2099-01-01T00:00:00"}, {"prefix": "x" * 201}, {"q": "\0"},
    {"changed_since": "0001-01-01T00:00:00+14:00"}, {"label": "\0"}, {"prefix": "\0"},
    {"changed_since": "9999-12-31T23:59:59-14:00"}, {"nothing": "1"}, {"self": "1"},
    {"limit": ["1", "2"]},
]  # fmt: skip


@pytest.mark.parametrize("query", WRONG, ids=range(len(WRONG)))
def test_a_wrong_parameter_is_named(program: Program, query: dict[str, Any]) -> None:
    told = problem(program.listed(**query), 400, "invalid")
    assert set(told["errors"]) == set(query)


def test_a_list_that_is_the_same_is_not_sent_again(program: Program) -> None:
    fill(program, "a")
    etag = program.listed().headers["ETag"]
    same = program.ask("GET", ENTRIES, headers={"If-None-Match": etag})
    assert (same.status_code, same.text) == (304, "")
    fill(program, "a")
    other = program.ask("GET", ENTRIES, headers={"If-None-Match": etag})
    assert other.status_code == 200


@pytest.mark.parametrize("words", ["harbour", "ha", "Hafen\u00df"])
@pytest.mark.parametrize("limit", [1, 4, 100])
def test_a_search_finds_all_of_it_part_by_part(
    program: Program, words: str, limit: int
) -> None:
    """Some values are too large for an index, and several are more than one step."""
    expected = []
    for number in range(12):
        key = f"k{number:02}"
        long = "x" * 240_000 if number % 4 == 0 else ""
        program.put(key, f"{long} {words} " if number % 3 else long + "nothing", TEXT)
        expected += [key] if number % 3 else []
    found = parts(program, f"{ENTRIES}?q={words}&limit={limit}")
    assert list(chain(*found)) == expected
