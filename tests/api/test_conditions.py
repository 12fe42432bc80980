"""`If-Match` and `If-None-Match`: of two who write one key, the second is told."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from tests.api.conftest import JSON, Program, problem, program_of
from tests.browser import Browser

MATCH, NONE_MATCH = "If-Match", "If-None-Match"


def writes(program: Program, key: str, headers: dict[str, str]) -> dict[str, Any]:
    """Every way to write a key, as functions."""
    return {
        "put": lambda: program.put(key, "[2]", headers=headers),
        "patch": lambda: program.patch(key, "[2]", headers=headers),
        "delete": lambda: program.delete(key, headers=headers),
        "increment": lambda: program.increment(key, headers=headers),
        "store": lambda: program.ask(
            "POST", "/store", json={"key": key, "value": 2}, headers=headers
        ),
    }


WRITES = list(writes(Program(None), "", {}))


@pytest.mark.parametrize("how", WRITES)
def test_a_write_of_what_was_seen_is_done(program: Program, how: str) -> None:
    for said in ("{}", "*", '"other", {}'):
        etag = program.put("k", "1").headers["ETag"]
        answer = writes(program, "k", {MATCH: said.format(etag)})[how]()
        assert answer.status_code < 300, answer.text


@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize("said", ['"0"', "", "nonsense", '"', "W/*", '"*"'])
def test_a_write_of_what_was_not_seen_is_refused(
    program: Program, how: str, said: str
) -> None:
    program.put("k", "1")
    problem(writes(program, "k", {MATCH: said})[how](), 412, "precondition-failed")
    assert program.get("k").text == "1"


@pytest.mark.parametrize("how", WRITES)
def test_a_weak_etag_matches_no_write(program: Program, how: str) -> None:
    etag = program.put("k", "1").headers["ETag"]
    answer = writes(program, "k", {MATCH: f"W/{etag}"})[how]()
    problem(answer, 412, "precondition-failed")


@pytest.mark.parametrize("how", WRITES)
def test_a_write_of_something_new_only(program: Program, how: str) -> None:
    etag = program.put("k", "1").headers["ETag"]
    for said in ("*", etag, f"W/{etag}"):
        answer = writes(program, "k", {NONE_MATCH: said})[how]()
        problem(answer, 412, "precondition-failed")
    assert program.get("k").text == "1"
    if how in ("put", "increment", "store"):
        assert writes(program, "fresh", {NONE_MATCH: "*"})[how]().status_code < 300
        problem(
            writes(program, "none", {MATCH: "*"})[how](), 412, "precondition-failed"
        )
    else:
        problem(writes(program, "none", {MATCH: "*"})[how](), 404, "not-found")


def test_a_write_that_had_been_seen_before_a_delete_is_refused(
    program: Program,
) -> None:
    etag = program.put("k", "1").headers["ETag"]
    program.delete("k")
    program.put("k", "1")
    answer = program.put("k", "2", headers={MATCH: etag})
    problem(answer, 412, "precondition-failed")


@pytest.mark.parametrize("path", ["/api/v1/entries/k", "/retrieve?key=k"])
def test_what_the_client_has_is_not_sent_again(program: Program, path: str) -> None:
    etag = program.put("k", "1").headers["ETag"]
    for method in ("GET", "HEAD"):
        for said in (etag, f"W/{etag}", "*", f'"0", {etag}'):
            same = program.ask(method, path, headers={NONE_MATCH: said})
            assert (same.status_code, same.text) == (304, "")
            assert same.headers["ETag"] == etag
        assert program.ask(method, path, headers={NONE_MATCH: '"0"'}).status_code == 200
        assert program.ask(method, path, headers={MATCH: etag}).status_code == 200
    answer = program.ask("GET", path, headers={MATCH: '"0"'})
    problem(answer, 412, "precondition-failed")


@pytest.mark.parametrize("path", ["account", "sessions", "entries"])
def test_lists_and_the_account_have_etags_too(program: Program, path: str) -> None:
    path = f"/api/v1/{path}"
    etag = program.ask("GET", path).headers["ETag"]
    same = program.ask("GET", path, headers={NONE_MATCH: etag})
    assert same.status_code == 304
    answer = program.ask("GET", path, headers={MATCH: '"0"'})
    problem(answer, 412, "precondition-failed")


def test_where_it_is_needed_a_blind_write_is_refused(
    app_with: Callable[..., Flask],
) -> None:
    app = app_with(api_if_match="needed")
    program = program_of(Browser(app.test_client(), "alice").enter("/signup"))
    problem(program.put("k", "1"), 428, "precondition-required")
    problem(program.put("k", "1", headers={NONE_MATCH: '"x"'}), 428,
            "precondition-required")  # fmt: skip
    etag = program.put("k", "1", headers={NONE_MATCH: "*"}).headers["ETag"]
    for how in ("put", "patch", "delete", "store"):
        answer = writes(program, "k", {})[how]()
        problem(answer, 428, "precondition-required")
    step = {"op": "put", "key": "k", "value": 2}
    problem(program.batch(step), 428, "precondition-required")
    assert program.batch(step | {"if_match": etag}).status_code == 200
    # It loses nobody's write.
    assert program.increment("k").text == '{"value": 3}'


def test_of_two_who_write_what_they_saw_one_is_told(
    app: Flask, program: Program
) -> None:
    for round_ in range(5):
        etag = program.put("k", f"{round_}").headers["ETag"]

        def write(value: int, seen: str = etag) -> Any:
            own = Program(app.test_client(), program.headers)
            return own.put("k", str(value), headers={MATCH: seen}).status_code

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(write, range(8)))
        assert sorted(statuses) == [204, *[412] * 7]


def test_of_many_who_make_one_key_one_does(app: Flask, program: Program) -> None:
    def write(value: int) -> Any:
        own = Program(app.test_client(), program.headers)
        how = {"headers": {NONE_MATCH: "*"}}
        return own.put("fresh", str(value), JSON, **how).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(write, range(8)))
    assert sorted(statuses) == [201, *[412] * 7]


def test_increments_at_once_all_count(app: Flask, program: Program) -> None:
    def add(_number: int) -> Any:
        own = Program(app.test_client(), program.headers)
        return own.increment("n", 1).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(add, range(40)))
    assert statuses == [*[200] * 39, 201]
    assert program.get("n").text == "40"


def test_patches_at_once_all_stay(app: Flask, program: Program) -> None:
    program.put("k", "{}")

    def patch(number: int) -> Any:
        own = Program(app.test_client(), program.headers)
        return own.patch("k", f'{{"{number}": {number}}}').status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(patch, range(20))) == {200}
    assert program.get("k").json == {str(number): number for number in range(20)}
