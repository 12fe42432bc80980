"""What is special about Memcached: no disk, no list of keys, several servers."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.mistakes import RefusedToStart
from tests.servers import Memcached
from webapp.errors import StoreUnavailable
from webapp.stores import LARGEST_VALUE, Store, open_store
from webapp.stores.memcached import MemcachedStore

pytestmark = pytest.mark.embedded

DAY = 24 * 3600
KEYS = [f"key {number}" for number in range(40)]


@pytest.fixture
def three(tmp_path: Path) -> Iterator[list[Memcached]]:
    servers = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        servers.append(Memcached(tmp_path / str(number)).start())
    yield servers
    for server in servers:
        server.kill()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a server that failed again at once."""
    monkeypatch.setattr("webapp.stores.circuit.PAUSE", 0.0)


def url_of(servers: list[Memcached]) -> str:
    hosts = [server.url.removeprefix("memcached://") for server in servers]
    return f"memcached://{','.join(hosts)}"


def ask(store: Store, key: str) -> Any:
    try:
        return store.get(key)
    except StoreUnavailable:
        return "away"


@pytest.mark.parametrize(
    "url",
    [
        "memcached://",
        "memcached://,",
        "memcached://one,,two",
        "memcached://user:secret@one",
        "memcached://one/0",
        "memcached://one?timeout=5",
    ],
)
def test_a_url_that_nobody_can_use_stops_the_start(url: str) -> None:
    with pytest.raises(RefusedToStart) as caught:
        open_store(url, "test")
    assert "secret" not in str(caught.value)


def test_hosts_need_no_port_and_ipv6_has_brackets() -> None:
    store = open_store("memcached://one,[::1]:11212,[::2]", "test")
    assert store.place == "memcached://one:11211,[::1]:11212,[::2]:11211"


def test_every_address_of_a_host_is_tried(
    real_memcached: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`localhost` is often ::1 first, where many a Memcached does not listen."""
    look_up = socket.getaddrinfo

    def two_addresses(_host: str, port: int, *given: Any) -> list[Any]:
        return [
            *look_up("127.0.0.2", port, *given),
            *look_up("127.0.0.1", port, *given),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    port = real_memcached.rpartition(":")[2]
    assert open_store(f"memcached://localhost:{port}", "test").set("key", 1, 60)


def test_where_nobody_answers_it_says_so_at_once() -> None:
    store = open_store("memcached://127.0.0.1:1", "test")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            store.get("key")
    assert store.last_trouble > 0
    assert store.lasting().restart is None


@pytest.mark.usefixtures("impatient")
def test_a_restart_is_a_failure_once_and_empties_it(
    memcached_server: Memcached,
) -> None:
    store = open_store(memcached_server.url, "test")
    store.set("key", 1, 60)
    memcached_server.kill()
    memcached_server.start()
    with pytest.raises(StoreUnavailable):
        store.get("key")
    assert store.last_trouble > 0
    assert store.get("key") is None
    assert not store.replace("key", 2, 1, 60)
    assert store.add("key", 3, 60)
    assert store.get("key") == 3


def test_a_frozen_server_costs_one_slow_answer(memcached_server: Memcached) -> None:
    store = open_store(memcached_server.url, "test")
    store.set("key", 1, 60)
    memcached_server.freeze()
    times = []
    for _ in range(20):
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.get("key")
        times.append(time.monotonic() - begin)
    assert max(times) < 1
    assert sum(times[1:]) < 0.2


def test_a_value_that_is_too_large_for_it_is_refused(real_memcached: str) -> None:
    """Its limit is 1 MB with the key, a little less than ours."""
    store = open_store(real_memcached, "test")
    large = "x" * (LARGEST_VALUE - 2)
    for keep in (store.set, store.add):
        with pytest.raises(StoreUnavailable, match=": object too large"):
            keep("key", large, 60)
    assert store.get("key") is None
    assert store.set("key", "small", 60)
    with pytest.raises(StoreUnavailable, match=": object too large"):
        store.replace("key", large, "small", 60)


@pytest.mark.parametrize(
    ("timeout", "left"),
    [(60, 60), (30 * DAY, 30 * DAY), (31 * DAY, 31 * DAY), (0, -1)],
    ids=["a minute", "30 days", "31 days", "for ever"],
)
def test_it_expires_by_itself_when_it_should(
    real_memcached: str, memcached_for_tests: Memcached, timeout: int, left: int
) -> None:
    store = MemcachedStore(real_memcached, "test:")
    store.set("key", 1, timeout)
    store.add("added", 1, timeout)
    store.replace("key", 2, 1, timeout)
    with memcached_for_tests.client() as client:
        for key in ("key", "added"):
            said = client.raw_command(f"mg {store._name(key)} t")
            assert abs(int(said.removeprefix(b"HD t")) - left) <= 2


def test_what_others_put_there_is_a_missing_value(
    real_memcached: str, memcached_for_tests: Memcached
) -> None:
    store = MemcachedStore(real_memcached, "test:")
    store.set("other", 1, 60)
    name, generation = store._name("key"), store._generation
    with memcached_for_tests.client() as client:
        flags = int(client.raw_command(f"mg {generation} f").removeprefix(b"HD f"))
        for content, their_flags in ((b"1", 0), (b"\x80\x04pickle", flags)):
            client.set(name, content, flags=their_flags)
            assert store.get("key") is None
            assert store.add("key", "new", 60)
            assert store.get("key") == "new"


def test_where_the_generation_was_taken_away_nothing_comes_back(
    real_memcached: str, memcached_for_tests: Memcached
) -> None:
    store = MemcachedStore(real_memcached, "test:")
    store.set("key", "old", 60)
    with memcached_for_tests.client() as client:
        client.delete(store._generation)
    assert store.get("key") is None
    store.set("other", 1, 60)
    assert store.get("key") is None
    assert not store.replace("key", "new", "old", 60)
    assert store.add("key", "new", 60)


def test_keys_are_spread_and_those_of_one_tag_are_together(
    three: list[Memcached],
) -> None:
    store = open_store(url_of(three), "test")
    for key in KEYS:
        store.set(key, key, 60)
    assert store.get_many(*KEYS) == KEYS
    assert all(server.values() > 1 for server in three)
    store.clear()
    before = [server.values() for server in three]
    for number in range(20):
        store.set(f"{{7}}:{number}", number, 60)
    grown = [server.values() - was for server, was in zip(three, before, strict=True)]
    assert sorted(grown) == [0, 0, 20]


@pytest.mark.usefixtures("impatient")
def test_what_one_of_several_has_is_missing_while_it_is_away(
    three: list[Memcached],
) -> None:
    """No other takes over: it would have what was deleted meanwhile."""
    store = open_store(url_of(three), "test")
    for key in KEYS:
        store.set(key, key, 60)
    three[0].kill()
    found = {key: ask(store, key) for key in KEYS}
    lost = {key for key in KEYS if found[key] == "away"}
    assert 0 < len(lost) < len(KEYS)
    assert all(found[key] == key for key in found.keys() - lost)
    for key in lost:
        with pytest.raises(StoreUnavailable):
            store.set(key, "new", 60)
    with pytest.raises(StoreUnavailable):
        store.get_many(*KEYS)
    three[0].start()
    assert {key for key in KEYS if ask(store, key) is None} == lost


@pytest.mark.usefixtures("impatient")
def test_clearing_reaches_every_server_that_answers(three: list[Memcached]) -> None:
    store = open_store(url_of(three), "test")
    for key in KEYS:
        store.set(key, key, 60)
    three[0].kill()
    with pytest.raises(StoreUnavailable):
        store.clear()
    assert {ask(store, key) for key in KEYS} == {"away", None}


def test_it_says_what_it_survives(real_memcached: str) -> None:
    found = open_store(real_memcached, "test").lasting()
    assert (found.restart, found.redeploy) == (True, True)
    assert "forgets everything when it restarts" in found.warning
