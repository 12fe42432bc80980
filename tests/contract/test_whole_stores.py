"""How much a store holds, and forgetting all of it and nothing else."""

import sys
from pathlib import Path

import mongomock
import pytest
import redis

from tests.servers import Memcached
from webapp.stores import Measure, Store, open_store
from webapp.stores.file import FileStore

pytestmark = pytest.mark.usefixtures("small_steps")
# Each with the bytes of its JSON.
VALUES = {"a": ([1, 2], 5), "b": ("é", 8), "c": ({"n": None}, 10)}


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a handful of values take several steps."""
    for name in ("file", "redis", "mongodb"):
        module = f"webapp.stores.{name}"
        __import__(module)
        monkeypatch.setattr(sys.modules[module], "STEP", 2)


def fill(store: Store) -> None:
    for key, (value, _) in VALUES.items():
        store.set(key, value, 60)


def held(store: Store) -> list[object]:
    return store.get_many(*VALUES)


def test_it_measures_its_values_and_no_others(store: Store, store_url: str) -> None:
    assert store.measure().values in (0, None)
    fill(store)
    if store_url.startswith(("redis", "valkey", "mongodb")):
        fill(open_store(store_url, "other"))
    sizes = sum(size for _, size in VALUES.values())
    # Memcached counts everybody's together, and says so.
    is_known = not store_url.startswith("memcached")
    assert store.measure() == (
        Measure(len(VALUES), sizes) if is_known else Measure(None, None)
    )


def test_it_says_nothing_rather_than_take_long(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    monkeypatch.setattr("webapp.stores.interface.LONGEST_MEASURE", -1.0)
    assert store.measure() == Measure(None, None)


def test_clearing_forgets_everything_for_everybody(
    store: Store, same_store: Store
) -> None:
    fill(store)
    assert held(same_store) == [value for value, _ in VALUES.values()]
    assert store.clear()
    assert held(store) == held(same_store) == [None] * len(VALUES)
    assert store.measure().values in (0, None)


def test_what_was_cleared_is_as_good_as_deleted(
    store: Store, same_store: Store
) -> None:
    fill(store)
    same_store.clear()
    assert not store.replace("a", "new", VALUES["a"][0], 60)
    assert store.add("b", "new", 60)
    assert store.replace("b", "newer", "new", 60)
    assert store.set("c", "new", 60)
    assert held(same_store) == [None, "newer", "new"]


def test_clearing_an_empty_store_is_no_error(store: Store) -> None:
    assert store.clear()
    assert store.clear()


def test_clearing_one_store_leaves_the_other(store: Store, store_url: str) -> None:
    if store_url.startswith(("memory", "file")):
        return
    other = open_store(store_url, "other")
    fill(store)
    fill(other)
    store.clear()
    assert held(other) == [value for value, _ in VALUES.values()]


def test_clearing_redis_leaves_what_others_keep_there(real_redis: str) -> None:
    store = open_store(real_redis, "test")
    fill(store)
    with redis.Redis.from_url(real_redis) as client:
        client.set("theirs", "1")
        client.rpush("holdfast:test:list", "broken")
        store.clear()
        assert client.keys() == [b"theirs"]


def test_clearing_memcached_leaves_what_others_keep_there(
    real_memcached: str, memcached_for_tests: Memcached
) -> None:
    store = open_store(real_memcached, "test")
    fill(store)
    with memcached_for_tests.client() as client:
        client.set("theirs", b"1")
        store.clear()
        assert client.get("theirs") == b"1"


def test_clearing_mongodb_leaves_what_others_keep_there(fake_mongo: str) -> None:
    store = open_store(fake_mongo, "test")
    fill(store)
    client = vars(store)["_client"]
    assert isinstance(client, mongomock.MongoClient)
    client.test.theirs.insert_one({"_id": "a"})
    store.clear()
    assert client.test.theirs.find_one() == {"_id": "a"}


def test_clearing_files_leaves_others_and_takes_half_written_ones(
    tmp_path: Path,
) -> None:
    store = FileStore(str(tmp_path))
    fill(store)
    theirs = [tmp_path / "notes.txt", tmp_path / ("0" * 63)]
    for file in theirs:
        file.write_text("theirs")
    folder = tmp_path / ("0" * 64)
    folder.mkdir()
    (tmp_path / "tmpabc.__wz_cache").write_text("half")
    assert store.measure().values == len(VALUES)
    store.clear()
    assert sorted(tmp_path.iterdir()) == sorted([*theirs, folder, tmp_path / ".lock"])
