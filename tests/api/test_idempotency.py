"""`Idempotency-Key`: what was done once is not done again, whatever was killed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update

from config.settings import Settings
from tests.api.conftest import Program, problem, program_of, script_of
from tests.browser import Browser
from webapp import create_app
from webapp.api.idempotency import KeptAnswer

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
KEY = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
DAY = timedelta(days=1)
ENCRYPTION_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture
def time(alice: Browser) -> Any:
    with time_machine.travel(START, tick=False) as travel:
        alice.enter("/login")
        yield travel


def kept(app: Flask) -> Any:
    with app.extensions["database"].read() as db:
        return db.scalar(select(func.count()).select_from(KeptAnswer)) or 0


def same(first: Any, again: Any) -> bool:
    names = ("Content-Type", "ETag", "Location")
    headers = [first.headers.get(name) for name in names]
    assert headers == [again.headers.get(name) for name in names]
    return (first.status_code, first.data) == (again.status_code, again.data)


def test_the_same_request_is_done_once(app: Flask, program: Program) -> None:
    requests: dict[str, Callable[[dict[str, str]], Any]] = {
        "increment": lambda key: program.increment("n", 5, headers=key),
        "put": lambda key: program.put("k", '{"a": 1}', headers=key),
        "patch": lambda key: program.patch("k", '{"b": 1}', headers=key),
        "batch": lambda key: program.batch(
            {"op": "increment", "key": "n"}, headers=key
        ),
        "store": lambda key: program.ask(
            "POST", "/store", json={"key": "s", "value": "é"}, headers=key
        ),
        "form": lambda key: program.ask(
            "POST", "/store", data={"key": "s", "value": "é"}, headers=key
        ),
        "delete": lambda key: program.delete("s", headers=key),
        "sessions": lambda key: program.ask("DELETE", "/api/v1/sessions", headers=key),
    }
    for name, send in requests.items():
        key = {"Idempotency-Key": f'"{name}"'}
        first = send(key)
        assert first.status_code < 300, first.text
        etag = program.listed().headers["ETag"]
        assert all(same(first, send(key)) for _ in range(3)), name
        assert program.listed().headers["ETag"] == etag
    assert program.get("n").text == "6"
    assert kept(app) == len(requests)


def test_an_answer_outlives_a_restart(program: Program, settings: Settings) -> None:
    first = program.increment("n", headers=KEY)
    program.client = create_app(settings).test_client()
    assert same(first, program.increment("n", headers=KEY))
    assert program.get("n").text == "1"


def test_an_answer_is_kept_for_a_day(app: Flask, alice: Browser, time: Any) -> None:
    program = program_of(alice)
    program.increment("n", headers=KEY)
    time.shift(DAY - timedelta(seconds=1))
    program.increment("n", headers=KEY)
    assert program.get("n").text == "1"
    time.shift(1)
    program.increment("n", headers=KEY)
    assert program.get("n").text == "2"
    assert kept(app) == 1
    purge = app.extensions["idempotency"].purge
    assert purge(10) == 0
    for number in range(3):
        program.increment("n", headers={"Idempotency-Key": f"k{number}"})
    time.shift(DAY + timedelta(seconds=1))
    assert [purge(2), purge(2), purge(2)] == [2, 2, 0]


def test_the_key_of_another_request_is_refused(program: Program) -> None:
    program.put("k", "1", headers=KEY)
    for answer in (
        program.put("k", "2", headers=KEY),
        program.put("j", "1", headers=KEY),
        program.put("k", "1", "text/plain", headers=KEY),
        program.put("k", "1", headers=KEY | {"If-Match": "*"}),
        program.put("k", "1", query_string={"labels": "a"}, headers=KEY),
        program.delete("k", headers=KEY),
        program.increment("k", headers=KEY),
    ):
        problem(answer, 422, "idempotency-key-reused")
    assert program.get("k").text == "1"


def test_a_refusal_is_an_answer_as_well(program: Program) -> None:
    answer = program.patch("k", '{"a": 1}', headers=KEY)
    problem(answer, 404, "not-found")
    program.put("k", "{}")
    assert same(answer, program.patch("k", '{"a": 1}', headers=KEY))
    match = {"Idempotency-Key": "other", "If-Match": '"0"'}
    refused = program.put("k", "1", headers=match)
    problem(refused, 412, "precondition-failed")
    assert same(refused, program.put("k", "1", headers=match))
    assert program.get("k").text == "{}"


def test_a_failure_of_ours_can_be_tried_again(
    app: Flask, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with monkeypatch.context() as patch:

        def fail(*_given: Any) -> None:
            raise RuntimeError("after the write")

        patch.setattr(app.extensions["idempotency"], "keep", fail)
        problem(program.increment("n", headers=KEY), 500, "failed")
    problem(program.get("n"), 404, "not-found")
    assert program.increment("n", headers=KEY).json == {"value": 1}
    assert program.get("n").text == "1"


def test_keys_of_two_who_ask_are_two(alice: Browser, bob: Browser) -> None:
    first, second = program_of(alice), program_of(alice, name="second")
    for asker in (first, second, script_of(alice), program_of(bob)):
        assert asker.increment("n", headers=KEY).status_code < 300
    assert first.get("n").text == "3"


def test_it_is_of_no_account_for_what_is_safe(app: Flask, program: Program) -> None:
    program.put("k", "1")
    for _ in range(2):
        assert program.get("k", headers=KEY).text == "1"
    assert kept(app) == 0


WRONG = ["", " ", '""', '"a', 'a"', "a b", "é", '"a", "b"', "a,b", "x" * 256, '"\t"',
         '"' + "x" * 256 + '"', "key;a=b", '"\x7f"']  # fmt: skip
RIGHT = ["8e03-97.x_1:~+/=", '"8e03"', '"a b"', '"a\\"b"', "x" * 255]


@pytest.mark.parametrize("key", WRONG, ids=range(len(WRONG)))
def test_what_is_no_key_is_refused(program: Program, key: str) -> None:
    answer = program.put("k", "1", headers={"Idempotency-Key": key})
    assert "Idempotency-Key" in problem(answer, 400, "invalid")["errors"]
    problem(program.get("k"), 404, "not-found")


@pytest.mark.parametrize("key", RIGHT)
def test_a_key_with_and_without_quotes(program: Program, key: str) -> None:
    for _ in range(2):
        headers = {"Idempotency-Key": key}
        assert program.increment("n", headers=headers).json == {"value": 1}


def test_while_the_first_is_under_way_the_second_is_told(
    app: Flask, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the first waits for a lock: it has begun, and has no answer yet."""
    begun, go_on = Event(), Event()
    at_once = app.extensions["entries"].at_once

    def wait(user_id: int) -> Any:
        if not begun.is_set():
            begun.set()
            assert go_on.wait(10)
        return at_once(user_id)

    monkeypatch.setattr(app.extensions["entries"], "at_once", wait)
    with ThreadPoolExecutor() as pool:
        own = Program(app.test_client(), program.headers)
        first = pool.submit(own.increment, "n", 1, headers=KEY)
        assert begun.wait(10)
        answer = program.increment("n", 1, headers=KEY)
        problem(answer, 409, "request-in-flight")
        assert answer.headers["Retry-After"] == "1"
        other = program.increment("n", 2, headers=KEY)
        problem(other, 422, "idempotency-key-reused")
        go_on.set()
        done = first.result(10)
    assert done.json == {"value": 1}
    assert same(done, program.increment("n", 1, headers=KEY))


def test_what_a_killed_process_began_can_be_tried_again(
    app: Flask, alice: Browser, time: Any
) -> None:
    program = program_of(alice)
    program.increment("n", headers=KEY)
    with app.extensions["database"].write() as db:
        db.execute(update(KeptAnswer).values(answer=None))
    time.shift(59)
    problem(program.increment("n", headers=KEY), 409, "request-in-flight")
    time.shift(1)
    assert program.increment("n", headers=KEY).json == {"value": 2}


def test_many_at_once_with_one_key_do_it_once(app: Flask, program: Program) -> None:
    meet = Barrier(8)

    def send(_number: int) -> Any:
        own = Program(app.test_client(), program.headers)
        meet.wait(10)
        return own.increment("n", 1, headers=KEY)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    done = [each.data for each in answers if each.status_code == 201]
    told = [each for each in answers if each.status_code != 201]
    assert set(done) == {b'{"value": 1}'}
    for each in told:
        problem(each, 409, "request-in-flight")
    assert program.get("n").text == "1"


def test_a_deleted_account_leaves_no_answer(app: Flask, alice: Browser) -> None:
    program_of(alice).put("k", "1", headers=KEY)
    assert kept(app) == 1
    alice.open("/account/delete").send("/account/delete")
    assert kept(app) == 0


def test_no_kept_answer_tells_what_became_secret(settings: Settings) -> None:
    keyed = settings.model_copy(update={"encryption_keys": (ENCRYPTION_KEY,)})
    app = create_app(keyed)
    program = program_of(Browser(app.test_client(), "alice").sign_up())
    program.put("k", '{"pin": 1}')
    first = program.patch("k", '{"tide": "at noon"}', headers=KEY)
    with app.extensions["database"].read() as db:
        text = db.scalar(select(KeptAnswer.answer))
    assert "noon" not in text
    assert same(first, program.patch("k", '{"tide": "at noon"}', headers=KEY))
    # The key was taken away: it is not done again, and not told.
    program.client = create_app(settings).test_client()
    again = program.patch("k", '{"tide": "at noon"}', headers=KEY)
    problem(again, 409, "unreadable-value")
