"""Who gets in, how often, and how everything that fails is told."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy.exc import OperationalError

from config.kinds import Rate
from tests.api.conftest import (
    JSON,
    TEXT,
    Program,
    new_token,
    problem,
    program_of,
    script_of,
)
from tests.browser import PASSWORD, Browser
from webapp.api.operations import OPERATIONS
from webapp.programs import PROBLEMS

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
ACCOUNT = "/api/v1/account"
PATHS = [
    ("GET", ACCOUNT), ("GET", "/api/v1/entries"), ("GET", "/api/v1/entries/k"),
    ("PUT", "/api/v1/entries/k"), ("PATCH", "/api/v1/entries/k"),
    ("DELETE", "/api/v1/entries/k"), ("POST", "/api/v1/entries/k/increment"),
    ("POST", "/api/v1/batch"), ("GET", "/api/v1/sessions"),
    ("DELETE", "/api/v1/sessions"), ("DELETE", "/api/v1/sessions/1"),
    ("POST", "/store"), ("GET", "/retrieve?key=k"),
]  # fmt: skip
UNSAFE = [each for each in PATHS if each[0] != "GET"]
NO_TOKENS = [
    "Bearer", "Bearer ", "Bearer x", "bearer hf_" + "x" * 43, "Bearer hf_" + "x" * 44,
    "Bearer " + "x" * 5000, "Bearer hf_\xe9", "Bearer a, Bearer b", "BEARER  ",
]  # fmt: skip


def test_every_operation_is_tried_here() -> None:
    tried = {(method, path.partition("?")[0]) for method, path in PATHS}
    there = {
        (each.method, each.path.replace("<any_key:key>", "k").partition("<")[0])
        for each in OPERATIONS.values()
    }
    assert {(method, path.removesuffix("1") if "sessions/" in path else path)
            for method, path in tried} == there  # fmt: skip
    assert all(each.summary for each in OPERATIONS.values())


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_visitor_is_told_to_log_in(app: Flask, method: str, path: str) -> None:
    answer = app.test_client().open(path, method=method)
    problem(answer, 401, "not-authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "Location" not in answer.headers


@pytest.mark.parametrize("given", NO_TOKENS, ids=range(len(NO_TOKENS)))
def test_what_is_no_token_is_refused(app: Flask, alice: Browser, given: str) -> None:
    """Also beside a cookie that would open a session."""
    for client in (app.test_client(), alice.client):
        for path in (ACCOUNT, "/api/v1/nothing", "/retrieve?key=k"):
            answer = client.get(path, headers={"Authorization": given})
            problem(answer, 401, "invalid-token")
            challenge = answer.headers["WWW-Authenticate"]
            assert challenge == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("given", ["Basic YTpi", "", "hf_x", "Token x", "Bearerx"])
def test_other_schemes_are_left_aside(alice: Browser, given: str) -> None:
    answer = alice.client.get(ACCOUNT, headers={"Authorization": given})
    assert answer.status_code == 200


def test_a_token_opens_no_session_and_sets_no_cookie(
    app: Flask, alice: Browser, bob: Browser
) -> None:
    program = program_of(alice)
    # Beside the cookie of another person.
    program.client = bob.client
    for method, path in PATHS:
        answer = program.ask(method, path, json={})
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")
    assert program.ask("GET", ACCOUNT).json["name"] == "alice"
    fresh = Program(app.test_client(), program.headers)
    page = fresh.ask("GET", "/entries")
    assert (page.status_code, page.location[:6]) == (303, "/login")


def test_a_token_needs_no_form_token_and_no_origin(program: Program) -> None:
    for headers in (
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://elsewhere.example"},
    ):
        assert program.put("k", "1", headers=headers).status_code < 300


@pytest.mark.parametrize(("method", "path"), UNSAFE)
def test_a_browser_needs_its_form_token_as_on_pages(
    alice: Browser, bob: Browser, method: str, path: str
) -> None:
    alice.keep("k", "1")
    of_bob = script_of(bob).headers["X-Form-Token"]
    for headers in ({}, {"X-Form-Token": "x"}, {"X-Form-Token": of_bob}):
        answer = alice.client.open(path, method=method, json={}, headers=headers)
        problem(answer, 403, "forbidden")
    right = script_of(alice).headers
    for more in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "", "Origin": "https://elsewhere.example"},
    ):
        headers = right | more
        answer = alice.client.open(path, method=method, json={}, headers=headers)
        problem(answer, 403, "forbidden")
    assert alice.is_logged_in
    assert alice.value("k") == "1"


def test_a_browsers_session_does_all_of_it(alice: Browser, script: Program) -> None:
    assert script.put("k", "[1]").status_code == 201
    assert script.patch("k", '{"a": 1}').json == {"a": 1}
    assert script.get("k").json == {"a": 1}
    assert script.increment("n").json == {"value": 1}
    assert script.batch({"op": "delete", "key": "k"}).status_code == 200
    assert script.keys() == ["n"]
    stored = script.ask("POST", "/store", json={"key": "k", "value": "v"})
    assert stored.json == {"message": "Stored."}
    assert script.ask("GET", "/retrieve?key=k").json == {"value": "v"}
    assert script.ask("GET", ACCOUNT).json["token"] is None
    assert "k" in alice.open("/entries").links()


def test_a_form_is_stored_as_the_article_has_it(
    alice: Browser, script: Program
) -> None:
    token = script.headers["X-Form-Token"]
    form = {"key": "k", "value": "dear diary", "form_token": token}
    answer = alice.client.post("/store", data=form)
    assert answer.json == {"message": "Stored."}
    assert alice.value("k") == "dear diary"
    del form["form_token"]
    problem(alice.client.post("/store", data=form), 403, "forbidden")


@pytest.mark.parametrize(
    ("value", "shown"),
    [("text", '"text"'), (1, "1"), (None, "null"), ([1.5, {}], "[1.5, {}]"),
     (12345678901234567890, "12345678901234567890"), ("", '""'), ("é", '"é"')],
)  # fmt: skip
def test_store_and_retrieve(program: Program, value: Any, shown: str) -> None:
    answer = program.ask("POST", "/store", json={"key": "a/b", "value": value})
    assert answer.json == {"message": "Stored."}
    found = program.ask("GET", "/retrieve?key=a/b")
    assert found.text == f'{{"value": {shown}}}'
    assert found.headers["ETag"] == answer.headers["ETag"]
    assert program.ask("HEAD", "/retrieve?key=a/b").status_code == 200


@pytest.mark.parametrize(("method", "path"), UNSAFE)
def test_a_token_to_read_writes_nothing(alice: Browser, method: str, path: str) -> None:
    alice.keep("k", "1")
    reader = program_of(alice, access="read")
    answer = reader.ask(method, path, json={"key": "k", "value": "2"})
    problem(answer, 403, "read-only-token")
    assert reader.get("k").text == "1"
    assert alice.open("/").is_logged_in


def test_a_token_of_a_prefix_reaches_nothing_else(
    alice: Browser, program: Program
) -> None:
    for key in ("a/1", "b"):
        program.batch({"op": "put", "key": key, "value": 1})
    limited = program_of(alice, name="limited", prefix="a/")
    assert limited.get("a~2F1").text == "1"
    assert limited.put("a~2F2", "1").status_code == 201
    assert limited.ask("GET", "/retrieve?key=a/1").json == {"value": 1}
    for answer in (
        limited.get("b"), limited.get("none"), limited.put("b", "2"),
        limited.patch("b", "2"), limited.delete("b"), limited.increment("b"),
        limited.put("A~2F1", "2"), limited.ask("GET", "/retrieve?key=b"),
        limited.ask("POST", "/store", json={"key": "b", "value": 1}),
        limited.ask("GET", "/api/v1/sessions"),
        limited.ask("DELETE", "/api/v1/sessions"),
        limited.ask("DELETE", "/api/v1/sessions/1"),
    ):  # fmt: skip
        problem(answer, 403, "beyond-prefix")
    assert limited.ask("GET", ACCOUNT).json["token"]["prefix"] == "a/"
    assert program.get("b").text == "1"
    assert alice.open("/").is_logged_in


MISSING = ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/entries/",
           "/api/v1/entries/a/b", "/store/", "/retrieve/", "/retrieve/x",
           "/api/v1/sessions/x", "/api/v1/account/", "/api/v1//entries"]  # fmt: skip


@pytest.mark.parametrize("path", MISSING)
def test_what_is_not_there_is_a_problem(program: Program, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        problem(program.ask(method, path), 404, "not-found")


def test_a_method_that_does_not_work_is_told(program: Program) -> None:
    for method, path in (
        ("POST", ACCOUNT), ("GET", "/store"), ("POST", "/retrieve"),
        ("FOO", "/api/v1/entries"), ("PUT", "/api/v1/batch"),
        ("GET", "/api/v1/entries/k/increment"),
    ):  # fmt: skip
        answer = program.ask(method, path)
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["Allow"]


def test_a_failure_of_ours_is_a_problem(
    app: Flask, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: Any, **_named: Any) -> None:
        raise error

    monkeypatch.setattr(app.extensions["api_door"], "read", fail)
    error: Exception = RuntimeError("something secret")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    told = problem(program.get("k"), 500, "failed")
    assert "secret" not in str(told)
    error = OperationalError("SELECT 1", {}, Exception("disk full"))
    answer = program.get("k")
    told = problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"]
    assert "disk" not in str(told)


def test_what_no_server_should_decode_is_a_problem(program: Program) -> None:
    how = {"environ_overrides": {"QUERY_STRING": "key=\xff"}}
    answer = program.ask("GET", "/retrieve", **how)
    problem(answer, 400, "invalid")


def test_every_kind_of_problem_has_a_status_and_a_title() -> None:
    assert len({kind.title for kind in PROBLEMS.values()}) == len(PROBLEMS)
    assert all(kind.status >= 400 for kind in PROBLEMS.values())


def test_how_many_requests_are_left_is_told(app_with: Callable[..., Flask]) -> None:
    app = app_with(api_limit=Rate(3, timedelta(seconds=60)))
    with time_machine.travel(START, tick=False) as time:
        alice = Browser(app.test_client(), "alice").enter("/signup")
        one, two = program_of(alice), program_of(alice, name="two")
        for left, seconds in ((2, 20), (1, 40), (0, 60)):
            answer = one.ask("GET", ACCOUNT)
            assert answer.status_code == 200
            assert answer.headers["RateLimit-Policy"] == '"api";q=3;w=60'
            assert answer.headers["RateLimit"] == f'"api";r={left};t={seconds}'
        refused = one.ask("GET", ACCOUNT)
        problem(refused, 429, "too-many-requests")
        assert refused.headers["Retry-After"] == "20"
        assert refused.headers["RateLimit"] == '"api";r=0;t=20'
        # Each token has its own, and so has the browser.
        assert two.ask("GET", ACCOUNT).status_code == 200
        assert alice.client.get(ACCOUNT).status_code == 200
        assert alice.open("/entries").is_logged_in
        time.shift(20)
        assert one.ask("GET", ACCOUNT).status_code == 200
        problem(one.ask("GET", ACCOUNT), 429, "too-many-requests")


def test_it_is_told_on_every_answer(program: Program, app: Flask) -> None:
    visitor = Program(app.test_client())
    for asks in (program, visitor):
        for method, path in [*PATHS, ("GET", "/api/v1/x"), ("OPTIONS", ACCOUNT)]:
            headers = asks.ask(method, path).headers
            assert headers["RateLimit-Policy"] == '"api";q=600;w=60'
            assert headers["RateLimit"].startswith('"api";r=')


def test_pages_tell_nothing_of_it(alice: Browser) -> None:
    assert "RateLimit" not in alice.open("/entries").page.headers


def test_those_who_guess_tokens_are_slowed_down(app_with: Callable[..., Flask]) -> None:
    app = app_with(api_limit=Rate(2, timedelta(seconds=60)))
    program = program_of(Browser(app.test_client(), "alice").enter("/signup"))
    guesser = Program(app.test_client(), {"Authorization": "Bearer hf_" + "x" * 43})
    statuses = [guesser.ask("GET", ACCOUNT).status_code for _ in range(3)]
    assert statuses == [401, 401, 429]
    assert program.ask("GET", ACCOUNT).status_code == 200


def test_sessions_are_listed_and_ended_by_a_token(
    alice: Browser, browser_of: Callable[[str], Browser], bob: Browser
) -> None:
    phone, program = browser_of("alice"), program_of(alice)
    sessions = program.ask("GET", "/api/v1/sessions").json["sessions"]
    assert [each["current"] for each in sessions] == [False, False]
    assert sessions[0]["address"] == "127.0.0.1"
    assert sessions[0]["ends_at"].endswith("Z")
    ids = {each["id"] for each in sessions}
    theirs = next(iter({1, 2, 3} - ids))
    problem(program.ask("DELETE", f"/api/v1/sessions/{theirs}"), 404, "not-found")
    problem(program.ask("DELETE", f"/api/v1/sessions/{2**70}"), 404, "not-found")
    newest = max(ids)
    answer = program.ask("DELETE", f"/api/v1/sessions/{newest}")
    assert (answer.status_code, answer.text) == (204, "")
    problem(program.ask("DELETE", f"/api/v1/sessions/{newest}"), 404, "not-found")
    assert not phone.open("/entries").is_logged_in
    assert alice.open("/entries").is_logged_in
    assert program.ask("DELETE", "/api/v1/sessions").json == {"ended": 1}
    assert not alice.open("/entries").is_logged_in
    assert bob.open("/entries").is_logged_in
    assert program.ask("GET", ACCOUNT).status_code == 200
    assert "ended by a program" in alice.log_in().open("/sessions").text


def test_sessions_are_ended_only_while_the_list_is_what_was_seen(
    alice: Browser, browser_of: Callable[[str], Browser]
) -> None:
    program = program_of(alice)
    path = "/api/v1/sessions"
    seen = program.ask("GET", path)
    one = f"{path}/{seen.json['sessions'][0]['id']}"
    phone = browser_of("alice")
    for which in (path, one):
        headers = {"If-Match": seen.headers["ETag"]}
        answer = program.ask("DELETE", which, headers=headers)
        problem(answer, 412, "precondition-failed")
    assert phone.open("/entries").is_logged_in
    headers = {"If-Match": program.ask("GET", path).headers["ETag"]}
    assert program.ask("DELETE", one, headers=headers).status_code == 204
    assert program.ask("DELETE", path, headers={"If-Match": "*"}).json == {"ended": 1}
    assert not phone.open("/entries").is_logged_in


def test_a_browser_ends_the_others(
    alice: Browser, browser_of: Callable[[str], Browser], script: Program
) -> None:
    phone = browser_of("alice")
    sessions = script.ask("GET", "/api/v1/sessions").json["sessions"]
    own = [each["id"] for each in sessions if each["current"]]
    assert len(sessions) == 2
    assert len(own) == 1
    assert script.ask("DELETE", "/api/v1/sessions").json == {"ended": 1}
    assert not phone.open("/entries").is_logged_in
    assert script.ask("DELETE", f"/api/v1/sessions/{own[0]}").status_code == 204
    problem(script.ask("GET", ACCOUNT), 401, "not-authenticated")


def test_a_browser_ends_sessions_only_after_the_password(
    alice: Browser, browser_of: Callable[[str], Browser]
) -> None:
    with time_machine.travel(START, tick=False) as time:
        alice.enter("/login")
        script, token = script_of(alice), program_of(alice)
        phone = browser_of("alice")
        time.shift(timedelta(minutes=16))
        for path in ("/api/v1/sessions", "/api/v1/sessions/1"):
            problem(script.ask("DELETE", path), 403, "not-fresh")
        assert phone.open("/entries").is_logged_in
        alice.submit("/confirm", confirm_password=PASSWORD)
        ended = script_of(alice).ask("DELETE", "/api/v1/sessions").json["ended"]
        assert ended >= 1
        time.shift(timedelta(minutes=16))
        assert token.ask("DELETE", "/api/v1/sessions").json["ended"] == 1


def test_the_account(program: Program, alice: Browser) -> None:
    program.put("key", "é", TEXT)
    told = program.ask("GET", ACCOUNT).json
    assert told["name"] == "alice"
    assert (told["entries"], told["size"]) == (1, 5)
    assert (told["max_entries"], told["max_size"]) == (10_000, 50_000_000)
    assert told["max_value_size"] == 256_000
    assert set(told) == {"name", "created_at", "entries", "max_entries", "size",
                         "max_size", "max_value_size", "token"}  # fmt: skip


def test_a_session_that_ended_is_a_problem(alice: Browser, script: Program) -> None:
    program_of(alice).ask("DELETE", "/api/v1/sessions")
    for answer in (script.ask("GET", ACCOUNT), script.put("k", "1")):
        problem(answer, 401, "not-authenticated")


@pytest.mark.embedded
def test_a_secret_stays_secret_and_is_read_by_few(carol: Browser) -> None:
    writer = program_of(carol, name="writer")
    reader = program_of(carol, name="reader", access="read", secrets="yes")
    both = program_of(carol, name="both", secrets="yes")
    secret: dict[str, Any] = {"query_string": {"secret": "true"}}
    assert writer.put("s", '{"pin": 1}', **secret).status_code == 201
    assert writer.put("s", '{"pin": 2}').status_code == 204
    assert writer.listed().json["entries"][0]["secret"] is True
    for answer in (
        writer.get("s"), writer.patch("s", "{}"), writer.increment("s"),
        writer.ask("GET", "/retrieve?key=s"),
        writer.batch({"op": "patch", "key": "s", "patch": {}}),
    ):  # fmt: skip
        problem(answer, 403, "secret-value")
    assert reader.get("s").json == {"pin": 2}
    patched = both.patch("s", '{"pin": 3}')
    assert (patched.status_code, patched.text) == (204, "")
    assert reader.ask("GET", "/retrieve?key=s").json == {"value": {"pin": 3}}
    both.put("n", "1", **secret)
    counted = both.increment("n")
    assert (counted.status_code, counted.text) == (204, "")
    assert reader.get("n").text == "2"
    result = both.batch({"op": "increment", "key": "n"}).json["results"][0]
    assert result["value"] is None
    writer.ask("POST", "/store", json={"key": "s", "value": "x"})
    assert writer.listed().json["entries"][1]["secret"] is True
    writer.put("s", "1", query_string={"secret": "false"})
    assert writer.get("s").text == "1"


@pytest.mark.embedded
def test_a_browser_reads_secrets_only_after_the_password(carol: Browser) -> None:
    with time_machine.travel(START, tick=False) as time:
        carol.enter("/login")
        script = script_of(carol)
        script.put("s", "1", query_string={"secret": "true"})
        assert script.get("s").text == "1"
        time.shift(timedelta(minutes=16))
        for answer in (script.get("s"), script.put("s", "2"), script.patch("s", "2"),
                       script.increment("s")):  # fmt: skip
            problem(answer, 403, "not-fresh")
        assert script.put("open", "1").status_code == 201
        carol.submit("/confirm", confirm_password=PASSWORD)
        assert script_of(carol).get("s").text == "1"


def test_without_a_key_nothing_can_be_secret(program: Program) -> None:
    answer = program.put("s", "1", query_string={"secret": "true"})
    assert "secret" in problem(answer, 400, "invalid")["errors"]
    problem(program.get("s"), 404, "not-found")


@pytest.mark.parametrize(
    "query",
    [{"secret": "maybe"}, {"labels": "x" * 41}, {"labels": ",".join("abcdefghijk")},
     {"expires_at": "2000-01-01T00:00:00Z"}, {"expires_at": "soon"}, {"more": "1"}],
    ids=range(6),
)  # fmt: skip
def test_a_wrong_parameter_of_a_put_is_named(
    program: Program, query: dict[str, str]
) -> None:
    told = problem(program.put("k", "1", query_string=query), 400, "invalid")
    assert set(told["errors"]) == set(query)


def test_a_token_that_is_revoked_while_the_body_arrives_writes_nothing(
    alice: Browser,
) -> None:
    class Slow(BytesIO):
        def readinto(self, buffer: Any) -> Any:
            alice.open("/account/tokens").send("/account/tokens/1/revoke")
            return super().readinto(buffer)

    token = new_token(alice)
    program = Program(
        alice.client.application.test_client(), {"Authorization": f"Bearer {token}"}
    )
    environ = {"wsgi.input": Slow(b"1"), "CONTENT_LENGTH": "1"}
    how: dict[str, Any] = {"environ_overrides": environ}
    answer = program.ask("PUT", "/api/v1/entries/k", content_type=JSON, **how)
    problem(answer, 401, "invalid-token")
    assert "k" not in alice.open("/entries").links()
