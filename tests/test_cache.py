"""A cached value spares the records, and is never an old one or somebody else's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import time_machine
from flask import Flask

from config.settings import load_settings
from tests.browser import Browser
from webapp import clock, create_app
from webapp.boxes import AtHand, Box, Slot
from webapp.cache import (
    MARKER_LIFETIME,
    VALUE_LIFETIME,
    WRITING,
    box_of,
    init_cache,
    marker_of,
)
from webapp.errors import StoreUnavailable
from webapp.stores import LARGEST_VALUE, Store, open_store

ALICE, BOB = 1, 2
SLOT = Slot("list")
METHODS = ("get", "get_many", "set", "add", "replace", "delete")
GARBAGE = [None, 0, 1, "", "text", WRITING, [], [1, 2], {}, {"version": 1}, True,
           {"value": "old"}, {"version": None, "value": "old"},
           {"version": "1", "value": "old"}, {"version": 9, "value": "old"},
           {"version": 1, "value": "old", "more": 1},
           "1-0123456789abcdef", "-", "1-", "x-0123456789abcdef"]  # fmt: skip
Action = Callable[[], object]


def _nothing() -> None: ...


@dataclass
class Records:
    """What is true, and how often somebody looked."""

    versions: dict[int, int] = field(default_factory=lambda: {ALICE: 0, BOB: 0})
    looks: int = 0
    on_look: Action = _nothing
    padding: str = ""
    left: float | None = None

    def seconds_left(self, user_id: int) -> float | None:
        return self.left

    def version(self, user_id: int) -> int:
        self.on_look()
        self.looks += 1
        return self.versions[user_id]

    def value(self, user_id: int) -> str:
        self.looks += 1
        return f"{user_id} at {self.versions[user_id]}{self.padding}"


def _pieces(text: object) -> tuple[str, ...]:
    return tuple(str(text).split(" "))


class Process:
    """One process: its own store and memory over the same records."""

    def __init__(self, store: Store, records: Records) -> None:
        self.store, self.records = store, records
        self.app = Flask("process")
        self.cached = init_cache(self.app, store)

    def read(self, user_id: int = ALICE, then: Action = _nothing) -> str:
        def compute() -> str:
            value = self.records.value(user_id)
            then()
            return value

        with self.app.app_context():
            pieces = self.cached.get(user_id, SLOT, self.records, compute, _pieces)
            return " ".join(pieces)

    def write(self, before: Action = _nothing, after: Action = _nothing) -> None:
        with self.app.app_context(), self.cached.changing(ALICE):
            before()
            self.records.versions[ALICE] += 1
            after()

    def is_right(self) -> bool:
        return self.read() == self.records.value(ALICE)


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def one(store_url: str, records: Records) -> Process:
    return Process(open_store(store_url, "cache"), records)


@pytest.fixture
def other(one: Process, store_url: str, records: Records) -> Process:
    """Another process, on the same store."""
    is_memory = store_url == "memory://"
    return Process(one.store if is_memory else open_store(store_url, "cache"), records)


def test_the_second_look_asks_nobody(one: Process, records: Records) -> None:
    for _ in range(2):
        assert one.read() == "1 at 0", "also before the first write of all"
    # What one process has in its memory has to be compared each time.
    more = 0 if one.store.is_shared else 1
    assert records.looks == 3 + more
    one.write()
    one.read()
    assert one.read() == "1 at 1"
    assert records.looks == 6 + 2 * more


def test_a_write_is_seen_at_once_by_every_process(one: Process, other: Process) -> None:
    for writer in (one, other, other, one):
        for _ in range(2):
            assert one.is_right()
            assert other.is_right()
        writer.write()
        assert other.is_right()
        assert one.is_right()


def test_nobody_gets_the_value_of_another(one: Process, other: Process) -> None:
    for reader in (one, other, one):
        assert reader.read(ALICE) == "1 at 0"
        assert reader.read(BOB) == "2 at 0"
    one.write()
    one.records.looks = 0
    assert one.read(BOB) == "2 at 0"
    looks = 0 if one.store.is_shared else 1
    assert one.records.looks == looks, "a write of alice leaves the value of bob"
    for reader in (one, other):
        assert reader.read(ALICE) == "1 at 1"


@pytest.mark.long
@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
@pytest.mark.parametrize("step", range(7))
@pytest.mark.parametrize("second", ["write", "read"])
def test_a_write_and_a_read_between_any_two_steps_of_each_other(
    one: Process, other: Process, warm: bool, step: int, second: str
) -> None:
    def read() -> None:
        assert {one.read(), other.read(), one.read()} <= {"1 at 0", "1 at 1"}

    for process in (one, other, one) * warm:
        process.read()
    if second == "write":
        with _at_step(step, one, other.write) as act:
            one.read(then=act)
    else:
        with _at_step(step, one, read) as act:
            one.write(before=act, after=act)
    for process in (one, other, other, one):
        assert process.is_right()


def test_two_writers_at_once_and_a_reader_between(one: Process, other: Process) -> None:
    def look() -> None:
        assert one.is_right()
        assert other.is_right()

    def write() -> None:
        other.write(before=look)
        look()

    for _ in range(2):
        look()
        one.write(before=write)
        look()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", ["exception", "killed"])
def test_a_write_that_dies_in_the_middle_leaves_no_old_value(
    one: Process, other: Process, monkeypatch: pytest.MonkeyPatch, when: str, how: str
) -> None:
    def die() -> None:
        if how == "killed":
            _take_away(one.store, after_death, "delete")
        raise KeyboardInterrupt

    for process in (one, other) * 2:
        process.read()
    with monkeypatch.context() as after_death, pytest.raises(KeyboardInterrupt):
        one.write(**{when: die})
    for process in (other, one, other, one):
        assert process.is_right()
    other.write()
    assert one.is_right()


@pytest.mark.parametrize(
    "lost", [METHODS, ("set",), ("delete",)], ids=["all", "set", "delete"]
)
def test_a_store_that_is_back_has_no_old_value(
    one: Process, monkeypatch: pytest.MonkeyPatch, lost: tuple[str, ...]
) -> None:
    one.read()
    with monkeypatch.context() as outage:
        _take_away(one.store, outage, *lost)
        one.write()
    assert [one.is_right() for _ in range(3)] == [True] * 3


def test_forgetting_a_user_needs_no_store(
    one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.read()
    with monkeypatch.context() as outage:
        _take_away(one.store, outage, *METHODS)
        with one.app.app_context():
            one.cached.forget(ALICE)
    with one.app.app_context():
        one.cached.forget(ALICE)
    keys = (marker_of(ALICE), box_of(ALICE, "list"))
    assert [one.store.get(key) for key in keys] == [None, None]


def test_an_outage_of_another_process_is_over_after_a_minute(
    tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [open_store(tmp_path.as_uri(), "cache") for _ in range(2)]
    one, other = (Process(store, records) for store in stores)
    with time_machine.travel("2026-01-01T12:00:00Z", tick=False) as clock:
        for process in (one, other) * 2:
            process.read()
        _take_away(one.store, monkeypatch, *METHODS)
        one.write()
        assert one.is_right(), "at once for whoever was told that it is saved"
        clock.shift(MARKER_LIFETIME + 1)
        assert other.is_right()


@pytest.mark.long
@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_what_was_lost_or_turned_into_garbage_is_computed(
    one: Process, other: Process, garbage: object
) -> None:
    for key in (marker_of(ALICE), box_of(ALICE, "list")) * 2:
        one.store.set(key, garbage, 60)
        for process in (one, other, other, one):
            assert process.is_right()
        other.write()
        assert one.is_right()


def test_a_text_that_was_seen_before_is_not_asked_for_again(one: Process) -> None:
    for _ in range(3):
        assert one.is_right()
    one.store.set(box_of(ALICE, "list"), "lost", 60)
    looks = one.records.looks
    assert one.read() == "1 at 0"
    # In the memory of one process it is at hand anyway, and somebody has to be asked.
    assert (one.records.looks == looks) == one.store.is_shared


def test_a_version_that_comes_back_with_other_content_is_read_anew(
    one: Process, other: Process
) -> None:
    """The records are put back to what they were, the stores are cleared."""
    for _ in range(2):
        one.write()
    for _ in range(3):
        assert one.is_right()
    one.records.versions[ALICE] = 1
    one.records.padding = " after the restore"
    one.store.clear()
    other.write()
    for _ in range(3):
        assert one.is_right()
        assert other.is_right()


def _box(value: object) -> Box:
    until = clock.timestamp() + 60
    return Box({"version": 1, "variant": "", "until": until, "value": value}, SLOT)


def test_what_is_at_hand_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.boxes.MOST_AT_HAND", 2_000)
    at_hand = AtHand()
    for number in range(10):
        at_hand.keep(f"{number}", _box((b"x" * 250, b"x" * 250)), "1-a")
    kept = [number for number in range(10) if at_hand.find(f"{number}", SLOT, "1-a")]
    assert kept == [7, 8, 9]
    assert not at_hand.find("9", SLOT, "1-b")
    at_hand.keep("10", _box({"a": 1}), "1-a")
    assert not at_hand.find("10", SLOT, "1-a"), "somebody might change it"
    at_hand.keep("11", _box((b"x" * 5_000,)), "1-a")
    assert not at_hand.find("11", SLOT, "1-a")


def test_a_value_ages_without_a_write(tmp_path: Path, records: Records) -> None:
    one = Process(open_store(tmp_path.as_uri(), "cache"), records)
    with time_machine.travel("2026-01-01T12:00:00Z", tick=False) as clock:
        assert one.is_right()
        clock.shift(VALUE_LIFETIME + 1)
        records.padding = " this week"
        assert one.is_right()


def test_a_value_too_large_for_the_store_is_computed(one: Process) -> None:
    one.records.padding = "x" * LARGEST_VALUE
    for _ in range(2):
        assert one.is_right()
        one.write()


def test_a_write_is_on_the_next_page_of_every_application(
    tmp_path: Path, store_url: str
) -> None:
    apps = [_make_app(tmp_path, cache_url=store_url) for _ in range(2)]
    one = Browser(apps[0].test_client(), "alice").sign_up()
    other = Browser(apps[1].test_client(), "alice").log_in()
    bob = Browser(apps[1].test_client(), "bob").sign_up()
    for number, (writer, reader) in enumerate([(one, other), (other, one)] * 2):
        for browser in (one, other, bob) * 2:
            assert browser.open("/entries").tree.xpath("//dd/text()")[0] == (
                "0 " if browser is bob else f"{number} "
            )
        writer.keep(f"key {number}", "value")
        assert f"key {number}" in reader.open("/entries").links()
    assert "key" not in "".join(bob.open("/entries").links())


def _make_app(folder: Path, **stores: str) -> Flask:
    cheap = {"password_memory_kib": 8, "password_rounds": 1}
    return create_app(load_settings(data_dir=folder / "data", **cheap, **stores))


@contextmanager
def _at_step(number: int, process: Process, action: Action) -> Iterator[Action]:
    """Act before that step: a call of the store, a look at the records, or the end.

    Gives a function that counts one more step.
    """
    left, inside = number, False

    def step(method: Callable[..., Any], *given: Any, **options: Any) -> Any:
        nonlocal left, inside
        if inside:
            return method(*given, **options)
        inside = True
        left -= 1
        if left == -1:
            action()
        try:
            return method(*given, **options)
        finally:
            inside = False

    with pytest.MonkeyPatch.context() as patch:
        for name in METHODS:
            method = getattr(process.store, name)
            patch.setattr(process.store, name, partial(step, method))
        patch.setattr(process.records, "on_look", partial(step, _nothing))
        yield partial(step, _nothing)
    if left >= 0:
        action()


def _take_away(store: Store, patch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        patch.setattr(store, name, Mock(side_effect=StoreUnavailable("away")))
