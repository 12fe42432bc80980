"""Whoever waits for news of a person is woken, whichever process has them."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import Redis
from webapp import hub as hubs
from webapp.errors import Unheard
from webapp.hub import Hub, Waiter, open_hub
from webapp.stores import Store, open_store

pytestmark = pytest.mark.embedded

AT_ONCE, SOON = 0.01, 10.0
ANNA, BERT = 1, 2


@contextmanager
def waiting(hub: Hub, user_id: int) -> Iterator[Waiter]:
    """Wait where there is room."""
    with hub.waiting(user_id) as waiter:
        assert waiter
        yield waiter


def test_only_those_who_wait_for_the_person_are_woken() -> None:
    hub = Hub()
    with (
        waiting(hub, ANNA) as first,
        waiting(hub, ANNA) as second,
        waiting(hub, BERT) as other,
    ):
        hub.tell([ANNA])
        assert [each.wait(AT_ONCE) for each in (first, second, other)] == [
            *(True, True, False)
        ]
        assert not first.wait(AT_ONCE), "news are heard once"
        hub.tell({ANNA, BERT})
        assert first.wait(AT_ONCE)
        assert other.wait(AT_ONCE)


def test_news_that_come_before_somebody_waits_are_heard() -> None:
    hub = Hub()
    with waiting(hub, ANNA) as waiter:
        hub.tell([ANNA])
        hub.tell([ANNA])
        assert waiter.wait(AT_ONCE)
        assert not waiter.wait(AT_ONCE)


def test_whoever_left_takes_no_room() -> None:
    hub = Hub()
    with hub.waiting(ANNA), hub.waiting(ANNA), hub.waiting(BERT):
        assert hub.count() == 3
    assert hub.count() == 0
    hub.tell([ANNA])


def test_the_oldest_page_of_a_person_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hubs, "MOST_OF_ONE", 2)
    hub = Hub()
    with (
        waiting(hub, BERT) as other,
        waiting(hub, ANNA) as oldest,
        waiting(hub, ANNA) as second,
        waiting(hub, ANNA) as third,
    ):
        assert oldest.wait(AT_ONCE)
        assert [each.is_dismissed for each in (oldest, second, third, other)] == [
            *(True, False, False, False)
        ]


def test_there_is_room_for_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "MOST", 2)
    hub = Hub()
    with hub.waiting(ANNA), hub.waiting(BERT) as last:
        assert last
        with hub.waiting(3) as beyond:
            assert beyond is None
    with hub.waiting(3) as later:
        assert later


def test_nobody_waits_at_the_end() -> None:
    hub = Hub()
    with waiting(hub, ANNA) as waiter:
        hub.close()
        assert waiter.wait(AT_ONCE)
        assert waiter.is_dismissed
        with hub.waiting(ANNA) as later:
            assert later is None


def close(made: list[Hub]) -> None:
    """Close them, and wait until none of them hears or says anything more."""
    for hub in made:
        hub.close()
    for thread in threading.enumerate():
        if thread.name == "news":
            thread.join(SOON)


@pytest.fixture
def hub_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Hub]]:
    """Make the hub of a process; at the end none of them hears any more."""
    made = []
    # A thread that hears sees at each sign of life whether it is still wanted.
    monkeypatch.setattr("webapp.stores.redis.PING", 0.1)
    monkeypatch.setattr(hubs, "RETRY", 0.1)

    def make(*stores: Store) -> Hub:
        made.append(open_hub(*stores))
        return made[-1]

    yield make
    close(made)


def test_another_process_hears_it_through_redis(
    real_redis: str, hub_at: Callable[..., Hub]
) -> None:
    here, there = (hub_at(open_store(real_redis, "cache")) for _ in range(2))
    with waiting(there, ANNA) as waiter:
        assert waiter.wait(SOON), "once it hears, it looks what it has missed"
        with waiting(there, BERT) as other:
            here.tell([ANNA])
            assert waiter.wait(SOON)
            assert not other.wait(AT_ONCE)


def test_a_process_does_not_hear_itself_twice(
    real_redis: str, hub_at: Callable[..., Hub]
) -> None:
    store = open_store(real_redis, "cache")
    hub, other = hub_at(store), hub_at(store)
    with waiting(hub, ANNA) as waiter:
        assert waiter.wait(SOON)
        hub.tell([ANNA])
        assert waiter.wait(AT_ONCE)
        other.tell([BERT])
        assert not waiter.wait(0.2)


@pytest.mark.long
def test_it_hears_again_when_redis_is_back(
    redis_server: Redis, hub_at: Callable[..., Hub], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "webapp")
    here, there = (hub_at(open_store(redis_server.url, "cache")) for _ in range(2))
    with waiting(there, ANNA) as waiter:
        assert waiter.wait(SOON)
        redis_server.kill()
        here.tell([ANNA])
        redis_server.start()
        assert waiter.wait(SOON), "what was missed meanwhile is looked for"
        deadline = time.monotonic() + SOON
        while not waiter.wait(0.1):
            assert time.monotonic() < deadline
            here.tell([ANNA])
    assert "Open pages see late" not in caplog.text, "the store says that it is away"


def test_stores_that_carry_no_news_are_no_fault(
    tmp_path: Path, hub_at: Callable[..., Hub]
) -> None:
    hub = hub_at(
        open_store("memory://", "cache"), open_store(f"file://{tmp_path}", "s")
    )
    with waiting(hub, ANNA) as waiter:
        hub.tell([ANNA])
        assert waiter.wait(AT_ONCE)


class Refusing:
    """A Redis whose user may not use its channels."""

    def tell(self, message: str) -> None:
        raise Unheard("NOPERM")

    def hear(self) -> Iterator[str | None]:
        self.tell("")
        yield None


def test_what_is_wrong_is_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "RETRY", 0.1)
    caplog.set_level(logging.WARNING, "webapp")
    hub = Hub(Refusing())
    with waiting(hub, ANNA) as waiter:
        for _ in range(3):
            hub.tell([ANNA])
            assert waiter.wait(AT_ONCE)
    close([hub])
    assert [each for each in caplog.messages if "NOPERM" in each] == [
        "Open pages see late what other processes do. NOPERM"
    ]
