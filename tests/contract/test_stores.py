"""One set of promises that every store keeps."""

import errno
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import time_machine

from config.mistakes import RefusedToStart
from webapp.errors import StoreUnavailable
from webapp.stores import LARGEST_VALUE, Store, open_store
from webapp.stores.file import FileStore
from webapp.stores.redis import RedisStore

VALUES = [None, True, 0, 1.5, "", "é ✓ \ud800", [1, [2]], {"a": {"b": None}}]


@pytest.mark.parametrize("value", VALUES)
def test_gives_back_what_was_set(store: Store, value: object) -> None:
    assert store.set("key", value, 60)
    assert store.get("key") == value


def test_missing_key_is_none(store: Store) -> None:
    assert store.get("missing") is None
    assert store.get_many("missing", "too") == [None, None]


def test_many_in_the_order_asked_for(store: Store) -> None:
    store.set("a", 1, 60)
    store.set("b", 2, 60)
    assert store.get_many("b", "missing", "a") == [2, None, 1]


def test_a_value_is_seen_by_another_process(store: Store, same_store: Store) -> None:
    store.set("key", "value", 60)
    assert same_store.get("key") == "value"


def test_a_value_is_a_copy(store: Store) -> None:
    value = {"list": [1]}
    store.set("key", value, 60)
    value["list"].append(2)
    assert store.get("key") == {"list": [1]}


def test_add_keeps_the_first(store: Store, same_store: Store) -> None:
    assert store.add("key", "first", 60)
    assert not same_store.add("key", "second", 60)
    assert store.get("key") == "first"


def test_replace_only_what_is_expected(store: Store, same_store: Store) -> None:
    store.set("key", {"n": 1}, 60)
    assert store.replace("key", {"n": 2}, {"n": 1}, 60)
    assert not same_store.replace("key", {"n": 3}, {"n": 1}, 60)
    assert store.get("key") == {"n": 2}


def test_replace_never_brings_back_what_was_deleted(store: Store) -> None:
    store.set("key", {"n": 1}, 60)
    store.delete("key")
    assert not store.replace("key", {"n": 2}, {"n": 1}, 60)
    assert store.get("key") is None


def test_deleting_twice_is_no_error(store: Store) -> None:
    store.set("key", 1, 60)
    assert store.delete("key")
    assert not store.delete("key")
    assert store.get("key") is None


def test_parallel_replaces_lose_nothing(store: Store) -> None:
    store.set("list", [], 60)

    def append(number: int) -> None:
        while True:
            before = store.get("list")
            if store.replace("list", [*before, number], before, 60):
                return

    _in_parallel(append, 8)
    assert sorted(store.get("list")) == list(range(8))


def test_parallel_adds_have_one_winner(store: Store) -> None:
    won: list[int] = []

    def add(number: int) -> None:
        if store.add("key", number, 60):
            won.append(number)

    _in_parallel(add, 8)
    assert won == [store.get("key")]


@pytest.mark.parametrize("timeout", [0, 10**8])
def test_a_long_timeout_is_kept(store: Store, timeout: int) -> None:
    store.set("key", 1, timeout)
    assert store.get("key") == 1


def test_what_is_no_json_is_refused(store: Store) -> None:
    for value in (b"bytes", object(), float("nan"), "x" * (LARGEST_VALUE + 1)):
        with pytest.raises((TypeError, ValueError)):
            store.set("key", value, 60)
    assert store.get("key") is None


def test_purging_leaves_what_is_alive(store: Store) -> None:
    for number in range(5):
        store.set(f"alive {number}", number, 60)
    for _ in range(4):
        store.purge(3)
    assert store.get_many(*(f"alive {number}" for number in range(5))) == [*range(5)]


@pytest.mark.parametrize(
    "store_url", ["fakeredis", "redis", "memcached", "mongomock"], indirect=True
)
def test_two_names_do_not_meet(store_url: str) -> None:
    one, other = open_store(store_url, "one"), open_store(store_url, "other")
    one.set("key", 1, 60)
    assert other.get("key") is None


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_purge_removes_what_expired_in_steps(kind: str, tmp_path: Path) -> None:
    store = open_store("memory://" if kind == "memory" else tmp_path.as_uri(), "test")
    with time_machine.travel("2026-01-01T12:00:00Z", tick=False) as clock:
        for number in range(10):
            store.set(f"short {number}", number, 60)
            store.set(f"long {number}", number, 3600)
        clock.shift(61)
        assert store.get("short 0") is None
        steps = [store.purge(6) for _ in range(10)]
        assert max(steps) <= 6
        assert sum(steps) == 10
        assert store.get("long 9") == 9


def test_file_purge_removes_temporary_files_that_a_crash_left(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path))
    left = tmp_path / "tmpabc.__wz_cache"
    left.write_bytes(b"half")
    _purge_all(store)
    assert left.exists(), "somebody may be writing it right now"
    with time_machine.travel("2030-01-01T00:00:00Z"):
        _purge_all(store)
    assert not left.exists()


@pytest.mark.long
def test_file_store_keeps_2000_live_values(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri(), "test")
    for number in range(2000):
        store.set(str(number), number, 3600)
    _purge_all(store)
    assert all(store.get(str(number)) == number for number in range(2000))


def test_files_are_for_the_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "sessions"
    FileStore(str(folder)).set("key", 1, 60)
    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {0o600}
    for each in (folder, folder.parent):
        assert each.stat().st_mode & 0o777 == 0o700


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path))
    Path(store._get_filename("key")).mkdir()
    with pytest.raises(StoreUnavailable):
        store.set("key", 1, 60)
    assert store.get("key") is None
    assert not list(tmp_path.glob("*.__wz_cache"))
    assert store.last_trouble == 0, "one bad file is no trouble of the store"


@pytest.mark.parametrize("how", ["moved away", "emptied", "made by another"])
def test_files_go_on_in_a_folder_that_somebody_took_away(
    tmp_path: Path, how: str
) -> None:
    folder = tmp_path / "files"
    store = FileStore(str(folder))
    store.set("key", "before", 60)
    if how == "emptied":
        for file in folder.iterdir():
            file.unlink()
    else:
        folder.rename(tmp_path / "elsewhere")
    if how == "made by another":
        FileStore(str(folder))
    assert store.get("key") is None
    assert not store.replace("key", "late", "before", 60)
    assert store.add("key", "after", 60)
    other = FileStore(str(folder))
    assert other.get("key") == "after"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert store.last_trouble > 0, "what is put back is not believed"
    locks = [os.fstat(each._lock_file) for each in (store, other)]
    assert os.path.samestat(*locks), "one lock for all"


def test_two_stores_on_one_full_disk_say_so_once_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stores = [FileStore(str(tmp_path / name)) for name in ("sessions", "cache")]
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for store in stores * 5:
        store._trouble(full)
    assert [record.getMessage() for record in caplog.records] == [
        f"Going on without a store. {store.place}: No space left on device"
        for store in stores
    ]


@pytest.mark.parametrize(
    "content", [b"", b"\0\0", b"\0\0\0\0", b"\0\0\0\0{", b"\0\0\0\0" + b"[" * 100_000]
)
def test_garbage_in_a_file_is_a_missing_value(tmp_path: Path, content: bytes) -> None:
    store = FileStore(str(tmp_path))
    Path(store._get_filename("key")).write_bytes(content)
    assert store.get("key") is None
    assert store.add("key", "new", 60)
    assert store.get("key") == "new"


def test_garbage_in_redis_is_a_missing_value(fake_redis: str) -> None:
    store = RedisStore(fake_redis, "test:")
    assert store.get("key") is None
    store._write_client.rpush("test:key", "a list")
    assert store.get("key") is None
    store._write_client.set("test:other", b"\x80\x04pickle")
    assert store.get("other") is None
    assert store.add("other", "new", 60)
    assert store.get("other") == "new"


@pytest.mark.parametrize(
    ("url", "driver"), [("memcached://one", "pymemcache"), ("mongodb://one", "pymongo")]
)
def test_a_driver_that_is_not_installed_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, url: str, driver: str
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(RefusedToStart, match="pip install -r") as caught:
        open_store(url, "test")
    assert f"needs {driver}" in str(caught.value)
    assert "bin/setup extras" in str(caught.value)


def test_redis_away_says_so_at_once_and_is_left_alone() -> None:
    store = RedisStore("redis://127.0.0.1:1/0", "test:")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            store.get("key")
    assert store.last_trouble > 0


def test_redis_expires_by_itself(real_redis: str) -> None:
    store = RedisStore(real_redis, "test:")
    store.set("a", 1, 60)
    store.add("b", 1, 60)
    store.replace("a", 2, 1, 60)
    with redis.Redis.from_url(real_redis) as client:
        assert all(0 < client.ttl(name) <= 60 for name in ("test:a", "test:b"))


def _purge_all(store: Store) -> None:
    for _ in range(100):
        store.purge(100)


def _in_parallel(function: Callable[[int], None], count: int) -> None:
    threads = [
        threading.Thread(target=function, args=(number,)) for number in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
