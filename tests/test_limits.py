"""Limits hold back who tries too often, for as long as promised and no longer."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy.exc import IntegrityError

from config.kinds import Rate
from webapp import clock
from webapp.database import Database
from webapp.errors import TooMany
from webapp.limits import Delay, Key, Limits

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
LONGEST = timedelta(minutes=15)
FREE = 5
DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=10)
ALICE, BOB = Key("account", "alice"), Key("account", "bob")
HERE, THERE = Key("source", "192.0.2.1"), Key("source", "192.0.2.2")
TABLE: dict[str, Delay | Rate] = {
    "account": Delay(FREE, LONGEST),
    "source": Rate(3, timedelta(minutes=1)),
}


@pytest.fixture
def time() -> Iterator[Any]:
    # Far ahead: there the application's clock is the wall clock, whatever ran before.
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


@pytest.fixture
def limits(time: Any, database: Database) -> Limits:
    return Limits(database, TABLE)


def take(limits: Limits, *keys: Key) -> int:
    """Try once; return the seconds to wait, 0 where the try was let through."""
    try:
        limits.take(keys, lambda _db: None)
    except TooMany as refusal:
        return refusal.retry_after
    return 0


def use_up(limits: Limits, key: Key, tries: int = FREE) -> None:
    assert [take(limits, key) for _ in range(tries)] == [0] * tries


def test_a_delay_lets_the_free_tries_through_and_then_no_more(limits: Limits) -> None:
    assert [take(limits, ALICE) for _ in range(FREE + 2)] == [0] * FREE + [1, 1]


def test_each_try_after_the_free_ones_waits_twice_as_long(
    limits: Limits, time: Any
) -> None:
    use_up(limits, ALICE)
    waits = []
    for _ in range(13):
        waits.append(take(limits, ALICE))
        time.shift(timedelta(seconds=waits[-1]) - MOMENT)
        assert take(limits, ALICE) == 1, "a moment too early"
        time.shift(MOMENT)
        assert take(limits, ALICE) == 0, "at the time that was named"
    assert waits == [*(2**n for n in range(10)), 900, 900, 900]


def test_a_refused_try_makes_no_wait_longer(limits: Limits, time: Any) -> None:
    use_up(limits, ALICE)
    assert {take(limits, ALICE) for _ in range(50)} == {1}
    time.shift(1)
    assert take(limits, ALICE) == 0


@pytest.mark.long
def test_a_thousand_failures_wait_no_longer_than_the_longest(
    limits: Limits, time: Any
) -> None:
    for _ in range(1000):
        assert take(limits, ALICE) == 0
        time.shift(LONGEST)
    take(limits, ALICE)
    assert take(limits, ALICE) == LONGEST.total_seconds()


@pytest.mark.parametrize(
    ("unused", "free"),
    [(DAY - timedelta(hours=1), 1), (DAY, 1), (DAY + MOMENT, FREE)],
    ids=["23 h", "24 h", "more"],
)
def test_a_delay_is_forgotten_after_a_day(
    limits: Limits, time: Any, unused: timedelta, free: int
) -> None:
    use_up(limits, ALICE)
    time.shift(timedelta(seconds=1) + unused)
    use_up(limits, ALICE, free)
    assert take(limits, ALICE) > 0


def test_a_delay_that_is_given_back_starts_anew(limits: Limits) -> None:
    use_up(limits, ALICE)
    assert take(limits, ALICE) == 1
    limits.give_back([ALICE])
    use_up(limits, ALICE)
    assert take(limits, ALICE) == 1


@pytest.mark.parametrize("burst", [1, 3, 4, 7, 11, 30, 200])
def test_a_rate_lets_its_burst_through_at_once_and_no_more(
    time: Any, database: Database, burst: int
) -> None:
    limits = Limits(database, {"source": Rate(burst, timedelta(minutes=5))})
    use_up(limits, HERE, burst)
    assert take(limits, HERE) == -(-300 // burst)


@pytest.mark.parametrize(
    ("burst", "seconds"),
    [(1, 60), (3, 60), (30, 300), (4, 1)],
    ids=["1/1m", "3/1m", "30/5m", "4/1s"],
)
def test_a_rate_is_refilled_evenly(
    time: Any, database: Database, burst: int, seconds: int
) -> None:
    limits = Limits(database, {"source": Rate(burst, timedelta(seconds=seconds))})
    use_up(limits, HERE, burst)
    for _ in range(burst + 1):
        time.shift(timedelta(seconds=seconds / burst) - MOMENT)
        assert take(limits, HERE) == 1, "a moment too early"
        time.shift(MOMENT)
        assert take(limits, HERE) == 0, "one more every so often"
        assert take(limits, HERE) > 0, "and one only"
    time.shift(timedelta(seconds=seconds))
    use_up(limits, HERE, burst)
    assert take(limits, HERE) > 0


def test_a_rate_that_is_half_refilled_gives_half(limits: Limits, time: Any) -> None:
    use_up(limits, HERE, 3)
    time.shift(40)
    use_up(limits, HERE, 2)
    assert take(limits, HERE) == 20


def test_giving_back_a_rate_uncounts_one_try(limits: Limits) -> None:
    use_up(limits, HERE, 3)
    limits.give_back([HERE])
    use_up(limits, HERE, 1)
    assert take(limits, HERE) == 20
    for _ in range(100):
        limits.give_back([HERE])
        assert take(limits, HERE) == 0
    assert take(limits, HERE) > 0


def test_giving_back_what_nobody_took_gives_nothing(limits: Limits) -> None:
    for _ in range(5):
        limits.give_back([HERE, ALICE])
    use_up(limits, HERE, 3)
    assert take(limits, HERE) == 20


def test_keys_are_counted_each_on_its_own(limits: Limits) -> None:
    use_up(limits, ALICE)
    assert take(limits, ALICE) == 1
    use_up(limits, BOB)
    use_up(limits, HERE, 3)
    use_up(limits, THERE, 3)


def test_where_one_of_several_keys_is_used_up_none_is_counted(limits: Limits) -> None:
    use_up(limits, ALICE)
    for keys in ((HERE, ALICE), (ALICE, HERE)) * 5:
        assert take(limits, *keys) == 1
    use_up(limits, HERE, 3)
    assert take(limits, HERE, BOB) == 20
    use_up(limits, BOB)


def test_what_fails_beside_it_is_not_counted(limits: Limits) -> None:
    def fail(_db: object) -> None:
        raise ValueError("no room")

    for _ in range(FREE + 1):
        with pytest.raises(ValueError, match="no room"):
            limits.take([ALICE, HERE], fail)
    use_up(limits, ALICE)
    use_up(limits, HERE, 3)


def test_what_is_done_beside_it_is_returned(limits: Limits) -> None:
    assert limits.take([HERE], lambda _db: "noted") == "noted"


def test_a_check_counts_nothing_and_refuses_the_same(limits: Limits) -> None:
    for _ in range(100):
        limits.check([ALICE, HERE])
    use_up(limits, ALICE)
    with pytest.raises(TooMany, match=r"Try again in 1 second\."):
        limits.check([HERE, ALICE])


def test_limits_survive_a_restart(
    limits: Limits, time: Any, database: Database
) -> None:
    use_up(limits, ALICE)
    use_up(limits, HERE, 3)
    time.shift(1)
    assert take(limits, ALICE) == 0
    restarted = Limits(Database(str(database.engine.url)), TABLE)
    assert take(restarted, ALICE) == 2
    assert take(restarted, HERE) == 19


@pytest.mark.long
@pytest.mark.parametrize(
    ("key", "tries"), [(ALICE, FREE), (HERE, 3)], ids=["delay", "rate"]
)
def test_threads_at_once_get_no_more_than_one_after_the_other(
    limits: Limits, key: Key, tries: int
) -> None:
    together = threading.Barrier(24)
    waits: list[int] = []

    def try_once() -> None:
        together.wait(10)
        waits.append(take(limits, key))

    threads = [threading.Thread(target=try_once) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(waits) == 24
    assert waits.count(0) == tries


@pytest.mark.parametrize(
    ("key", "tries", "longest"),
    [(ALICE, FREE + 1, LONGEST), (HERE, 3, timedelta(seconds=20))],
    ids=["delay", "rate"],
)
@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=365)], ids=str)
def test_a_clock_that_was_set_back_prolongs_no_wait_beyond_the_longest(
    limits: Limits,
    time: Any,
    database: Database,
    key: Key,
    tries: int,
    longest: timedelta,
    back: timedelta,
) -> None:
    for _ in range(tries):
        take(limits, key)
    time.shift(-back)
    clock.start()
    restarted = Limits(database, TABLE)
    wait = take(restarted, key)
    assert wait <= longest.total_seconds()
    time.shift(longest)
    assert take(restarted, key) == 0, "the longest wait is over"


def test_a_clock_that_is_set_back_meanwhile_prolongs_nothing(
    limits: Limits, time: Any
) -> None:
    clock.start()
    use_up(limits, ALICE)
    use_up(limits, HERE, 3)
    time.shift(-1800)
    assert take(limits, ALICE) == 1
    assert take(limits, HERE) == 20


def test_a_purge_forgets_in_steps_what_holds_nobody_back(
    limits: Limits, time: Any
) -> None:
    people = [Key("account", f"person {number}") for number in range(5)]
    for person in people:
        take(limits, person)
    use_up(limits, ALICE, FREE)
    assert limits.purge(100) == 0
    time.shift(DAY + MOMENT)
    use_up(limits, HERE, 3)
    assert [limits.purge(2) for _ in range(4)] == [2, 2, 1, 0]
    assert take(limits, HERE) == 20, "what holds somebody back stays"


def test_whoever_is_not_the_first_again_and_again_is_counted_in_the_end(
    limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others make the row, and give their tries back, between two of its looks."""
    take, failures = limits._take, iter(range(3))

    def be_late(*given: Any) -> Any:
        if next(failures, None) is not None:
            raise IntegrityError("INSERT", {}, Exception("there is one"))
        return take(*given)

    monkeypatch.setattr(limits, "_take", be_late)
    assert limits.take([ALICE], lambda _db: "counted") == "counted"
