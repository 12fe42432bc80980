"""A small file is read once as long as it is the same, and never when it is not."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import time_machine

from webapp.stores import Store, open_store, unchanged

pytestmark = pytest.mark.embedded

# More than is remembered of a single file.
LARGE = "x" * (unchanged.SMALL + 1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path.as_uri(), "test")


@pytest.fixture
def other(tmp_path: Path, store: Store) -> Store:
    """The same folder in another process."""
    return open_store(tmp_path.as_uri(), "test")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file was written long enough ago."""
    monkeypatch.setattr(unchanged, "SETTLED", 0)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Tell how many files were opened since the last call."""
    paths: list[str] = []
    really = os.open

    def note(path: Any, *how: Any) -> int:
        paths.append(path)
        return really(path, *how)

    def count() -> int:
        found = len(paths)
        paths.clear()
        return found

    monkeypatch.setattr(os, "open", note)
    return count


@pytest.mark.usefixtures("settled")
def test_the_second_look_opens_no_file(store: Store, opened: Callable[[], int]) -> None:
    store.set("key", {"a": [1]}, 0)
    store.get("key")
    opened()
    assert store.get("key") == {"a": [1]}
    assert opened() == 0


def test_what_was_written_just_now_is_read_each_time(
    store: Store, opened: Callable[[], int]
) -> None:
    store.set("key", 1, 0)
    opened()
    for _ in range(3):
        assert store.get("key") == 1
    assert opened() == 3


@pytest.mark.usefixtures("settled")
def test_what_another_process_does_is_seen_at_once(store: Store, other: Store) -> None:
    for value in (1, 23, "text", {"a": 1}, LARGE, 345):
        other.set("key", value, 0)
        assert store.get("key") == value
        assert store.get("key") == value
    other.delete("key")
    assert store.get("key") is None
    # Of other sizes: where time is told coarsely, SETTLED is there for the same ones.
    assert other.add("key", 1234, 0)
    assert store.get("key") == 1234
    assert other.replace("key", 12, 1234, 0)
    assert not store.replace("key", 3, 1234, 0)
    other.clear()
    assert store.get("key") is None


@pytest.mark.usefixtures("settled")
def test_what_expires_meanwhile_is_gone(store: Store) -> None:
    store.set("key", 1, 60)
    assert store.get("key") == 1
    with time_machine.travel(0) as clock:
        assert store.get("key") == 1
        clock.move_to(2_000_000_000_000 // 1000)
        assert store.get("key") is None


@pytest.mark.usefixtures("settled")
def test_nobody_changes_what_others_get(store: Store) -> None:
    store.set("key", {"a": [1]}, 0)
    for _ in range(2):
        found = store.get("key")
        assert found == {"a": [1]}
        found["a"].append(2)


@pytest.mark.usefixtures("settled")
def test_it_remembers_no_more_than_it_says(
    store: Store, opened: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged, "MOST", 2)
    keys = [f"key {number}" for number in range(5)]
    for key in keys:
        store.set(key, 1, 0)
    for _ in range(2):
        opened()
        for key in keys:
            assert store.get(key) == 1
        assert opened() == 5, "the oldest make room"
    assert store.get(keys[-1]) == 1
    assert opened() == 0
    store.set("key", LARGE, 0)
    for _ in range(2):
        assert store.get("key") == LARGE
    assert opened() > 2, "nothing large is remembered"
