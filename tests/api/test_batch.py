"""Several writes in one request: all of them, or none."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from tests.api.conftest import JSON, Program, problem, program_of
from tests.browser import Browser


def put(key: str, value: Any = 1, **how: Any) -> dict[str, Any]:
    return {"op": "put", "key": key, "value": value, **how}


def test_several_writes_are_done_in_their_order(program: Program) -> None:
    program.put("old", "1")
    answer = program.batch(
        put("k", {"a": 1}),
        {"op": "put", "key": "t", "text": "Dear diary"},
        {"op": "patch", "key": "k", "patch": {"b": 2}},
        {"op": "increment", "key": "n", "by": 1.5},
        {"op": "increment", "key": "n"},
        {"op": "delete", "key": "old"},
        put("old", None, labels=["red"], expires_at="2099-01-01T00:00:00Z"),
    )
    assert answer.status_code == 200, answer.text
    results = answer.json["results"]
    assert [each["status"] for each in results] == [201, 201, 200, 201, 200, 204, 201]
    assert [each["key"] for each in results] == ["k", "t", "k", "n", "n", "old", "old"]
    values = [each["value"] for each in results]
    assert values == [None, None, {"a": 1, "b": 2}, 1.5, 2.5, None, None]
    assert results[2]["etag"] == program.get("k").headers["ETag"]
    assert results[5]["etag"] is None
    assert program.get("t").content_type == "text/plain; charset=utf-8"
    assert program.get("old").text == "null"
    old = program.listed(label="red").json["entries"][0]
    assert (old["key"], old["expires_at"]) == ("old", "2099-01-01T00:00:00Z")


def test_numbers_stay_as_they_were_typed(program: Program) -> None:
    body = (
        '{"operations": ['
        '{"op": "put", "key": "k", "value": [1.10, 12345678901234567890]},'
        ' {"op": "increment", "key": "n", "by": 12345678901234567890}]}'
    )
    answer = program.ask("POST", "/api/v1/batch", data=body, content_type=JSON)
    assert answer.status_code == 200
    assert '"value": 12345678901234567890' in answer.text
    assert program.get("k").text == "[1.10, 12345678901234567890]"


FAILING: dict[str, tuple[dict[str, Any], int, str]] = {
    "match": (put("a", 2, if_match='"0"'), 412, "precondition-failed"),
    "none match": (put("a", 2, if_none_match="*"), 412, "precondition-failed"),
    "missing": ({"op": "delete", "key": "none"}, 404, "not-found"),
    "text": ({"op": "patch", "key": "t", "patch": {}}, 409, "not-json"),
    "number": ({"op": "increment", "key": "t"}, 409, "not-a-number"),
    "large": ({"op": "put", "key": "b", "text": "x" * 256_001}, 413, "too-large"),
    "secret": (put("b", 1, secret=True), 400, "invalid"),
    "NUL": ({"op": "put", "key": "b", "text": "\0"}, 400, "invalid"),
}


@pytest.mark.parametrize(("step", "status", "kind"), FAILING.values(), ids=FAILING)
def test_when_one_fails_nothing_is_done(
    program: Program, step: dict[str, Any], status: int, kind: str
) -> None:
    program.batch(put("a"), {"op": "put", "key": "t", "text": "x"}, put("gone"))
    etag = program.get("a").headers["ETag"]
    before = program.listed().json
    steps = [put("a", 9), put("new"), {"op": "delete", "key": "gone"}]
    steps += [{"op": "increment", "key": "count"}]
    told = problem(program.batch(*steps, step, put("later")), status, kind)
    assert "operation 4" in told["detail"]
    assert "Nothing is done" in told["detail"]
    assert program.listed().json == before
    assert program.get("a").headers["ETag"] == etag
    account = program.ask("GET", "/api/v1/account").json
    assert account["entries"] == 3


def test_conditions_of_several(program: Program) -> None:
    etags = [program.put(key, "1").headers["ETag"] for key in "ab"]
    steps = [put(key, 2, if_match=etag) for key, etag in zip("ab", etags, strict=True)]
    assert program.batch(*steps).status_code == 200
    problem(program.batch(*steps), 412, "precondition-failed")


WRONG: list[tuple[Any, str]] = [
    ([], "operations"), ({}, "operations"), (None, "operations"), ("x", "operations"),
    ([put("k")] * 101, "operations"), ([1], "operations.0"),
    ([{"op": "drop", "key": "k"}], "operations.0"), ([{"key": "k"}], "operations.0"),
    ([{"op": "put", "key": "k"}], "operations.0"),
    ([{"op": "put", "key": "k", "value": 1, "text": "x"}], "operations.0"),
    ([put("")], "operations.0.key"), ([put("a\tb")], "operations.0.key"),
    ([put("k"), put("k" * 201)], "operations.1.key"), ([put(5)], "operations.0.key"),  # type: ignore[arg-type]
    ([{"op": "put", "key": "k", "text": 5}], "operations.0.text"),
    ([{"op": "patch", "key": "k"}], "operations.0.patch"),
    ([{"op": "increment", "key": "k", "by": "1"}], "operations.0.by"),
    ([put("k", secret="yes")], "operations.0.secret"),
    ([put("k", if_match=5)], "operations.0.if_match"),
    ([put("k", labels=[5])], "operations.0.labels.0"),
    ([put("k", labels=["x" * 41])], "operations.0.labels"),
    ([put("k", expires_at="2000-01-01T00:00:00Z")], "operations.0.expires_at"),
    ([put("k", more=1)], "operations.0.more"),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "field"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_operation_is_named(program: Program, steps: Any, field: str) -> None:
    answer = program.ask("POST", "/api/v1/batch", json={"operations": steps})
    told = problem(answer, 400, "invalid")
    assert field in told["errors"], told
    assert program.keys() == []


def test_100_operations_are_done(program: Program) -> None:
    steps = [put(f"k{number}") for number in range(100)]
    assert program.batch(*steps).status_code == 200
    assert len(program.keys()) == 100


def test_a_batch_is_as_limited_as_its_token(alice: Browser, program: Program) -> None:
    reader = program_of(alice, name="reader", access="read")
    problem(reader.batch(put("k")), 403, "read-only-token")
    of_prefix = program_of(alice, name="prefix", prefix="a/")
    problem(of_prefix.batch(put("a/1"), put("b/1")), 403, "beyond-prefix")
    assert program.keys() == []


def test_batches_at_once_are_done_one_after_the_other(
    app: Flask, program: Program
) -> None:
    """Money moves between two entries, and none is lost or made."""
    program.batch(put("a", 100), put("b", 100))

    def move(number: int) -> Any:
        own = Program(app.test_client(), program.headers)
        steps = [
            {"op": "increment", "key": "a", "by": -number},
            {"op": "increment", "key": "b", "by": number},
        ]
        return own.batch(*(steps if number % 2 else reversed(steps))).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(move, range(24))) == {200}
    total = sum(range(24))
    assert (program.get("a").json, program.get("b").json) == (100 - total, 100 + total)


def test_a_quota_counts_the_batch_as_a_whole(app_with: Callable[..., Flask]) -> None:
    app = app_with(max_entries=2)
    program = program_of(Browser(app.test_client(), "alice").enter("/signup"))
    program.batch(put("a"), put("b"))
    problem(program.batch(put("c"), {"op": "delete", "key": "a"}), 507, "quota-reached")
    answer = program.batch({"op": "delete", "key": "a"}, put("c"))
    assert answer.status_code == 200
    assert program.keys() == ["b", "c"]


def test_a_small_batch_has_no_more_patched_than_it_could_bring(
    app_with: Callable[..., Flask],
) -> None:
    app = app_with(max_value_size=1000)
    program = program_of(Browser(app.test_client(), "alice").sign_up())
    large = f'{{"a": "{"x" * 900}"}}'
    for at in range(7):
        program.put(f"k{at}", large)
    patches = [
        {"op": "patch", "key": f"k{at}", "patch": {"a": None}} for at in range(7)
    ]
    told = problem(program.batch(*patches), 413, "too-large")
    assert "operation 6" in told["detail"]
    assert "6,000 bytes" in told["detail"]
    assert program.get("k0").text == large
    answer = program.batch(*patches[:5])
    assert [each["status"] for each in answer.json["results"]] == [200] * 5
