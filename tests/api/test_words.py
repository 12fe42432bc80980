"""What is wrong is told in words that say what to do; nothing is dropped in silence."""

from typing import Any

import pytest

from tests.api.conftest import JSON, MERGE_PATCH, Program, problem, program_of
from tests.browser import Browser

BATCH = "/api/v1/batch"
KEY = {"key": "k"}


def test_a_slash_in_a_key_is_told_how_it_is_written(program: Program) -> None:
    told = problem(program.put("sensors/attic", "1"), 404, "not-found")
    assert "~2F" in told["detail"]
    assert "~2F" not in problem(program.get("nothing"), 404, "not-found")["detail"]


def test_a_condition_on_what_never_was_is_not_called_a_change(program: Program) -> None:
    answer = program.put("k", "1", headers={"If-Match": '"17"'})
    assert "not there" in problem(answer, 412, "precondition-failed")["detail"]


def test_a_browser_without_its_form_token_is_told_of_the_header(
    script: Program,
) -> None:
    del script.headers["X-Form-Token"]
    told = problem(script.put("k", "1"), 403, "forbidden")
    assert "X-Form-Token" in told["detail"]


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"operations": []}, "operations", "at least 1 item"),
        ({"operations": [], "more": 1}, "more", "no such field"),
        ({"operations": 1}, "operations", "a list"),
        ([], "value", "an object"),
        ({"operations": [KEY]}, "operations.0", "Say op"),
        ({"operations": [KEY | {"op": "move"}]}, "operations.0", "increment"),
    ],
)
def test_each_mistake_of_a_batch_is_told_in_words(
    program: Program, body: Any, field: str, words: str
) -> None:
    told = problem(program.ask("POST", BATCH, json=body), 400, "invalid")
    assert words in told["errors"][field]
    assert "nput should" not in told["detail"]


@pytest.mark.parametrize(
    ("parameter", "given", "words"),
    [
        ("nothing", "1", "no such field"),
        ("cursor", "x" * 3000, "too long"),
        ("changed_since", "2027-01-01T00:00:00", "time zone"),
    ],
)
def test_a_wrong_parameter_is_told_in_words(
    program: Program, parameter: str, given: str, words: str
) -> None:
    told = problem(program.listed(**{parameter: given}), 400, "invalid")
    assert words in told["errors"][parameter]


TWICE = '{"a": 1, "b": [{"c": 1, "c": 2}]}'


def test_a_value_with_a_name_twice_is_kept_and_given_as_it_is(program: Program) -> None:
    assert program.put("k", TWICE).status_code == 201
    assert program.get("k").text == TWICE
    assert TWICE in program.ask("GET", "/retrieve?key=k").text


def test_a_patch_drops_neither_of_two_names(program: Program) -> None:
    program.put("k", TWICE)
    told = problem(program.patch("k", '{"d": 1}'), 409, "not-json")
    assert '"c"' in told["detail"]
    problem(program.increment("k"), 409, "not-a-number")
    assert program.get("k").text == TWICE


@pytest.mark.parametrize(
    ("method", "path", "content_type", "body"),
    [
        ("PATCH", "/api/v1/entries/k", MERGE_PATCH, '{"a": 1, "a": 2}'),
        ("POST", "/api/v1/entries/k/increment", JSON, '{"by": 1, "by": 2}'),
        ("POST", "/store", JSON, f'{{"key": "k", "value": {TWICE}}}'),
        (
            *("POST", BATCH, JSON),
            f'{{"operations": [{{"op": "put", "key": "k", "value": {TWICE}}}]}}',
        ),
    ],
)
def test_of_a_name_that_is_sent_twice_neither_is_dropped(
    program: Program, method: str, path: str, content_type: str, body: str
) -> None:
    program.put("k", "1")
    answer = program.ask(method, path, data=body, content_type=content_type)
    assert "twice" in problem(answer, 400, "invalid")["detail"]
    assert program.get("k").text == "1"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/entries/k"),
        ("DELETE", "/api/v1/entries/k"),
        ("POST", "/api/v1/entries/k/increment"),
        ("GET", "/api/v1/account"),
    ],
)
def test_a_parameter_that_does_nothing_is_told(
    program: Program, method: str, path: str
) -> None:
    program.put("k", "1")
    answer = program.ask(method, f"{path}?by=5", json={})
    assert "no such field" in problem(answer, 400, "invalid")["errors"]["by"]
    assert program.get("k").text == "1"


def test_a_form_with_two_keys_stores_neither(program: Program) -> None:
    form = {"key": ["a", "b"], "value": "1"}
    told = problem(program.ask("POST", "/store", data=form), 400, "invalid")
    assert "once" in told["errors"]["key"]
    assert program.keys() == []


@pytest.mark.parametrize("end", [False, [], 0, 4_102_444_800, {}])
def test_only_a_time_is_an_end(program: Program, end: Any) -> None:
    put = {"op": "put", "text": "x", "expires_at": end} | KEY
    told = problem(program.batch(put), 400, "invalid")
    assert "2027-01-31" in told["errors"]["operations.0.expires_at"]


def test_a_browser_cannot_call_itself_a_token(alice: Browser) -> None:
    alice.client.environ_base["HTTP_USER_AGENT"] = "token:somebody else's"
    alice.keep("k", "1").submit("/entries/k/edit", value="2")
    assert "the token" not in alice.open("/entries/k/history").text
    assert "by token" in alice.text


def test_a_token_may_be_called_anything(alice: Browser) -> None:
    name = "🦀 ночь"
    crab = program_of(alice, name=name, prefix=name)
    assert crab.put(name, "1").status_code == 201
    assert crab.put(name, "2").status_code == 204
    assert f"the token “{name}”" in alice.open(f"/entries/{name}/history").text
    assert name in alice.open("/account/history").text
