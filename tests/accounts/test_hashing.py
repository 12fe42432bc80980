"""Passwords are hashed one at a time, sources take turns, and nobody waits for ever."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from flask import Flask
from werkzeug.test import TestResponse

from config.settings import Settings
from tests.browser import PASSWORD, Browser
from webapp import create_app
from webapp.accounts.hashing import HashingQueue
from webapp.accounts.passwords import Passwords
from webapp.errors import Busy

SOON = 10.0
WRONG = "noisy-harbour-seven-boats"


class Visitors:
    """People who come to a queue one after the other while somebody is at work."""

    def __init__(self, queue: HashingQueue) -> None:
        self.queue = queue
        self.served: list[str] = []
        self.turned_away: list[str] = []
        self._gate = threading.Event()
        self._threads: list[threading.Thread] = []
        begun = threading.Event()
        self._start(lambda: self.queue.run("first", self._hold, begun))
        assert begun.wait(SOON)

    def come(self, *names: str) -> None:
        """Let them come in this order; the letter of a name is the source."""
        for name in names:
            self.go(partial(self._enter, name))

    def open_gate(self) -> list[str]:
        """Let the work go on to its end; return who was served, in order."""
        self._gate.set()
        for thread in self._threads:
            thread.join(SOON)
        assert not any(thread.is_alive() for thread in self._threads), "somebody hangs"
        return self.served

    def _enter(self, name: str) -> None:
        try:
            self.queue.run(name[0], self.served.append, name)
        except Busy:
            self.turned_away.append(name)

    def _hold(self, begun: threading.Event) -> None:
        begun.set()
        assert self._gate.wait(SOON)

    def go(self, function: Callable[[], object]) -> None:
        """Call it on a thread; return when it waits in the queue or is over."""
        before = self._settled()
        self._start(function)
        end = time.monotonic() + SOON
        while self._settled() == before:
            assert time.monotonic() < end, "nothing happened"

    def _settled(self) -> int:
        """Say how many wait or were turned away."""
        lines = [line for line in vars(self.queue).values() if isinstance(line, dict)]
        waiting = sum(len(places) for line in lines for places in list(line.values()))
        return waiting + len(self.turned_away)

    def _start(self, function: Callable[[], object]) -> None:
        thread = threading.Thread(target=function, daemon=True)
        self._threads.append(thread)
        thread.start()


@pytest.fixture
def visitors() -> Iterator[Callable[..., Visitors]]:
    made: list[Visitors] = []

    def make(length: int = 0, queue: HashingQueue | None = None) -> Visitors:
        made.append(Visitors(queue or HashingQueue(length)))
        return made[-1]

    yield make
    for each in made:
        each.open_gate()


def test_what_the_function_returns_is_returned() -> None:
    assert HashingQueue(1).run("a", divmod, 7, 2) == (3, 1)


def test_one_at_a_time(visitors: Any) -> None:
    queue = visitors(20)
    queue.come("a1", "b1", "c1")
    assert queue.served == [], "the first is still at work"
    assert queue.open_gate() == ["a1", "b1", "c1"]


@pytest.mark.parametrize(
    ("order", "served"),
    [
        ("a1 a2 a3", "a1 a2 a3"),
        ("a1 a2 a3 b1 c1", "a1 b1 c1 a2 a3"),
        ("a1 b1 a2 b2 a3 b3", "a1 b1 a2 b2 a3 b3"),
        ("a1 a2 b1 b2 c1 c2", "a1 b1 c1 a2 b2 c2"),
        ("a1 a2 a3 a4 a5 a6 a7 z1", "a1 z1 a2 a3 a4 a5 a6 a7"),
    ],
    ids=["one", "three", "in turn", "pairs", "flood"],
)
def test_sources_take_turns(visitors: Any, order: str, served: str) -> None:
    queue = visitors(20)
    queue.come(*order.split())
    assert queue.open_gate() == served.split()
    assert queue.turned_away == []


@pytest.mark.parametrize(
    ("order", "turned_away", "served"),
    [
        ("a1 a2 a3 b1", "a3", "a1 b1 a2"),
        ("a1 b1 c1 d1", "d1", "a1 b1 c1"),
        ("a1 a2 b1 a3", "a3", "a1 b1 a2"),
        ("b1 a1 a2 c1", "a2", "b1 a1 c1"),
        ("a1 a2 a3 a4", "a4", "a1 a2 a3"),
        ("a1 a2 a3 b1 c1 d1", "a3 a2 d1", "a1 b1 c1"),
    ],
    ids=["busiest", "one each", "own", "not first", "alone", "again"],
)
def test_a_full_queue_turns_away_the_newest_of_the_busiest_source(
    visitors: Any, order: str, turned_away: str, served: str
) -> None:
    queue = visitors(3)
    queue.come(*order.split())
    assert queue.turned_away == turned_away.split(), "at once, while others wait"
    assert queue.open_gate() == served.split()


def test_a_flood_keeps_nobody_else_out(visitors: Any) -> None:
    queue = visitors(20)
    flood = [f"a{number}" for number in range(40)]
    people = [f"{letter}1" for letter in "bcdefghij"]
    queue.come(*flood, *people)
    served = queue.open_gate()
    assert set(people) <= set(served)
    assert served[1:10] == people, "after one of the flood"
    assert len(served) == 20


def test_who_is_at_work_takes_no_place_in_the_queue(visitors: Any) -> None:
    queue = visitors(1)
    queue.come("a1")
    assert queue.turned_away == []
    queue.come("b1")
    assert queue.turned_away == ["b1"]
    assert queue.open_gate() == ["a1"]


def test_there_is_room_again_afterwards(visitors: Any) -> None:
    queue = visitors(1)
    queue.come("a1", "b1")
    queue.open_gate()
    assert queue.queue.run("b", str.upper, "again") == "AGAIN"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt], ids=str)
def test_an_error_is_raised_and_frees_the_turn(
    visitors: Any, error: type[BaseException]
) -> None:
    def fail() -> None:
        raise error("on purpose")

    queue = HashingQueue(1)
    for _ in range(3):
        with pytest.raises(error, match="on purpose"):
            queue.run("a", fail)
    assert queue.run("a", len, "four") == 4


def test_an_error_of_one_who_waited_calls_the_next(visitors: Any) -> None:
    queue = visitors(20)
    caught: list[Exception] = []

    def fail() -> None:
        try:
            queue.queue.run("a", int, "no number")
        except ValueError as error:
            caught.append(error)

    queue.go(fail)
    queue.come("a2", "b1")
    assert queue.open_gate() == ["b1", "a2"]
    assert len(caught) == 1


def test_many_at_once_are_served_or_turned_away_and_none_hangs() -> None:
    queue, together, alone = HashingQueue(5), threading.Barrier(60), threading.Lock()
    answers: list[bool | None] = []

    def work() -> bool:
        free = alone.acquire(blocking=False)
        if free:
            alone.release()
        return free

    def come(number: int) -> None:
        together.wait(SOON)
        for _ in range(5):
            try:
                answers.append(queue.run(str(number % 7), work))
            except Busy:
                answers.append(None)

    threads = [
        threading.Thread(target=come, args=(number,), daemon=True)
        for number in range(60)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert len(answers) == 300
    assert set(answers) <= {True, None}, "nobody beside another"
    assert queue.run("a", len, "four") == 4


@pytest.fixture
def small_app(settings: Settings) -> Iterator[Flask]:
    """Let one wait and no more, and stand still, so that no wait is over."""
    app = create_app(settings.model_copy(update={"hash_queue": 1}))
    with time_machine.travel(datetime.now(UTC) + timedelta(days=2), tick=False):
        assert Browser(app.test_client(), "alice").sign_up().is_logged_in
        yield app


def log_in(app: Flask, password: str = WRONG) -> TestResponse:
    data = {"name": "alice", "password": password}
    return app.test_client().post("/login", data=data)


def fill(app: Flask, visitors: Any) -> Visitors:
    queue: Visitors = visitors(queue=app.extensions["accounts"]._passwords._queue)
    queue.come("a1")
    return queue


def test_a_full_queue_answers_503_at_once_and_counts_nothing(
    small_app: Flask, visitors: Any
) -> None:
    queue = fill(small_app, visitors)
    for password in (WRONG, PASSWORD, WRONG, WRONG, WRONG, WRONG, PASSWORD):
        answer = log_in(small_app, password)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert "Too many passwords are waiting" in answer.text
    queue.open_gate()
    alice = Browser(small_app.test_client(), "alice").log_in()
    assert "Wrong password" not in alice.open("/account/history").text
    assert [log_in(small_app).status_code for _ in range(6)] == [401] * 5 + [429]


def test_a_full_queue_forgives_no_wrong_password(
    small_app: Flask, visitors: Any
) -> None:
    assert [log_in(small_app).status_code for _ in range(4)] == [401] * 4
    queue = fill(small_app, visitors)
    assert log_in(small_app).status_code == 503
    queue.open_gate()
    assert [log_in(small_app).status_code for _ in range(2)] == [401, 429]


def test_a_right_password_is_no_wrong_one_when_the_new_one_cannot_be_hashed(
    small_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turn_away(*_arguments: object, **_options: object) -> str:
        raise Busy("The queue filled up after the first of two hashes.")

    alice = Browser(small_app.test_client(), "alice").log_in()
    new = {"current": PASSWORD, "password": WRONG, "again": WRONG}
    with monkeypatch.context() as patch:
        patch.setattr(Passwords, "hash", turn_away)
        for _ in range(6):
            alice.submit("/account", **new)
            assert (alice.status, alice.page.headers["Retry-After"]) == (503, "1")
    assert "Wrong password" not in alice.open("/account/history").text
    assert "Your password is changed." in alice.submit("/account", **new).text
