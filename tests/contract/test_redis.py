"""What is special about Redis: certificates, users, and another run of it."""

from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import redis

from config.mistakes import RefusedToStart
from tests.redises import TlsRedis
from tests.servers import Redis
from webapp.errors import StoreUnavailable, Unheard
from webapp.hub import Channel
from webapp.stores import Store, open_store

pytestmark = pytest.mark.embedded

# What docs/deploy.md says that a user needs.
RIGHTS = (
    "on >secret ~holdfast:* &holdfast:* -@all +@read +@write +@transaction "
    "+@connection +@pubsub"
)


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[TlsRedis]:
    server = TlsRedis(tmp_path).start()
    yield server
    server.kill()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path).start()
    yield server
    server.kill()


@pytest.fixture
def restricted(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path, "--user", "holdfast", *RIGHTS.split()).start()
    yield server
    server.kill()


@pytest.fixture
def unheard(tmp_path: Path) -> Iterator[Redis]:
    """As `restricted`, where the user may not use its channels."""
    rights = RIGHTS.replace(" &holdfast:*", "")
    server = Redis(tmp_path, "--user", "holdfast", *rights.split()).start()
    yield server
    server.kill()


def works(store: Store) -> bool:
    """Use every verb of the store."""
    return (
        store.set("key", 1, 60)
        and not store.add("key", 2, 60)
        and store.replace("key", 3, 1, 60)
        and store.get_many("key", "missing") == [3, None]
        and store.delete("key")
        and store.measure().values == 0
        and store.clear()
    )


def test_a_certificate_of_its_own_is_refused_unless_asked_for(tls: TlsRedis) -> None:
    with pytest.raises(StoreUnavailable, match="REDIS_CERTIFICATE=any"):
        open_store(tls.url, "test").get("key")
    assert works(open_store(tls.url, "test", any_certificate=True))


def test_the_url_can_name_who_may_sign(tls: TlsRedis) -> None:
    assert works(open_store(f"{tls.url}?ssl_ca_certs={tls.certificate}", "test"))


@pytest.mark.parametrize("name", ["ssl_ca_certs", "ssl_certfile"])
@pytest.mark.parametrize(
    "url", ["rediss://a/0", "rediss+sentinel://a/x", "rediss+cluster://a"]
)
def test_a_file_of_the_url_that_cannot_be_used_is_named(
    tmp_path: Path, url: str, name: str
) -> None:
    (tmp_path / "empty.pem").touch()
    for file in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        with pytest.raises(RefusedToStart, match=f": {file}: "):
            open_store(f"{url}?{name}={file}", "test")


def test_a_user_with_few_rights_is_enough(restricted: Redis) -> None:
    url = restricted.url.replace("redis://", "redis://holdfast:secret@")
    store = open_store(url, "test")
    assert works(store)
    assert store.lasting().restart
    assert "secret" not in store.place
    assert isinstance(store, Channel)
    assert next(store.hear()) is None
    store.tell("news")


def test_a_user_who_may_use_no_channel_loses_no_values(unheard: Redis) -> None:
    store = open_store(
        unheard.url.replace("redis://", "redis://holdfast:secret@"), "test"
    )
    assert isinstance(store, Channel)
    with pytest.raises(Unheard, match="Redis tells no news"):
        store.tell("news")
    with pytest.raises(Unheard, match="Redis tells no news"):
        next(store.hear())
    assert store.last_trouble == 0.0
    assert works(store)


def test_a_user_who_may_not_delete_is_told_so(tmp_path: Path) -> None:
    rights = "on >secret ~* -@all +@read +@connection"
    server = Redis(tmp_path, "--user", "reader", *rights.split()).start()
    try:
        open_store(server.url, "test").set("key", 1, 60)
        reader = open_store(server.url.replace("//", "//reader:secret@"), "test")
        assert reader.measure().values == 1
        with pytest.raises(StoreUnavailable, match="unlink"):
            reader.clear()
    finally:
        server.kill()


def test_the_password_is_not_in_what_is_said_of_a_failure() -> None:
    store = open_store("redis://holdfast:secret@127.0.0.1:1/0", "test")
    with pytest.raises(StoreUnavailable) as caught:
        store.get("key")
    assert "secret" not in str(caught.value)
    assert store.place == "redis://127.0.0.1:1/0"


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1/0?db=first",
        "redis://127.0.0.1:1/0?nope=1",
        "redis://127.0.0.1:1/0?nope=",
        "redis://127.0.0.1:1/0?retry=5",
        "redis://127.0.0.1:1/0?protocol=9",
        "redis://127.0.0.1:1/0?ssl_ca_certs=/etc/hosts",
        "rediss://127.0.0.1:1/0?nope=1",
        "rediss://127.0.0.1:1/0?ssl_cert_reqs=perhaps",
        "valkey://127.0.0.1:1/0?nope=1",
        "redis+sentinel://127.0.0.1:1/x/0?nope=1",
        "redis+sentinel://127.0.0.1:1/x/0?protocol=9",
        "redis+cluster://127.0.0.1:1?nope=1",
        "redis+cluster://127.0.0.1:1?db=1",
        "rediss+cluster://127.0.0.1:1?ssl_cert_reqs=perhaps",
    ],
)
def test_a_url_that_nobody_can_use_stops_the_start(url: str) -> None:
    with pytest.raises(RefusedToStart):
        open_store(url, "test")


def test_a_parameter_that_is_wrong_is_named_once() -> None:
    with pytest.raises(RefusedToStart) as caught:
        open_store("redis://127.0.0.1:1/0?nope=hunter2&neither=1", "test")
    assert str(caught.value).endswith("it cannot have the parameter neither, nope")


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1/0?protocol=3&client_name=x&max_connections=5",
        "rediss://127.0.0.1:1/0?ssl_cert_reqs=none&ssl_check_hostname=false",
        "redis+sentinel://127.0.0.1:1/x?sentinel_username=a&sentinel_password=b",
        "redis+cluster://127.0.0.1:1?socket_timeout=0.2",
    ],
)
def test_what_redis_py_takes_can_be_in_the_url(url: str) -> None:
    with pytest.raises(StoreUnavailable):
        open_store(url, "test").get("key")


@pytest.mark.parametrize("url", ["redis+sentinel://127.0.0.1:1,127.0.0.1:2/x/0",
                                 "redis+cluster://127.0.0.1:1,[::1]:2"])  # fmt: skip
def test_where_nobody_answers_it_says_so_at_once(url: str) -> None:
    store = open_store(url, "test")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            store.get("key")
    assert store.last_trouble > 0
    assert store.lasting().restart is None


def test_what_is_said_of_sentinels_that_are_away_can_be_read() -> None:
    url = "redis+sentinel://me:secret@127.0.0.1:1,[::1]:2/main?sentinel_password=secret"
    with pytest.raises(StoreUnavailable) as caught:
        open_store(url, "test").get("key")
    assert str(caught.value) == (
        "Redis: No master found for 'main' "
        "(127.0.0.1:1: ConnectionError, ::1:2: ConnectionError)"
    )


def test_another_run_of_redis_is_a_failure_once(
    redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.stores.circuit.PAUSE", 0.0)
    store = open_store(redis_server.url, "test")
    assert works(store)
    assert store.last_trouble == 0
    redis_server.kill()
    redis_server.start()
    with pytest.raises(StoreUnavailable, match="anew"):
        store.get("key")
    assert store.last_trouble > 0
    assert works(store)


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ((), "keeps nothing on disk"),
        (("--appendonly", "yes"), ""),
        (("--save", "60", "1"), ""),
        (("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), "allkeys-lru"),
        (("--maxmemory-policy", "allkeys-lru", "--save", "60", "1"), ""),
    ],
)
def test_it_says_what_may_take_values_away(
    tmp_path: Path, options: tuple[str, ...], warned: str
) -> None:
    server = Redis(tmp_path, *options).start()
    try:
        found = open_store(server.url, "test").lasting()
    finally:
        server.kill()
    assert (found.restart, found.redeploy) == (True, True)
    assert warned in found.warning
    assert bool(warned) == bool(found.warning)


def test_a_connection_that_the_server_closed_is_no_failure(plain: Redis) -> None:
    with redis.Redis.from_url(plain.url) as operator:
        store = open_store(plain.url, "test")
        store.set("key", 1, 60)
        for _ in range(3):
            assert store.get("key") == 1
            operator.client_kill_filter(_type="normal", skipme=True)
        assert store.last_trouble == 0.0


@pytest.mark.parametrize("most", [1, 2, 40])
def test_few_connections_are_enough(plain: Redis, most: int) -> None:
    store = open_store(f"{plain.url}?max_connections={most}", "test")
    assert works(store)
    assert isinstance(store, Channel)
    news = store.hear()
    if most > 1:  # One is for whoever listens.
        assert next(news) is None
    assert works(store)
    assert store.last_trouble == 0.0


def test_where_another_took_over_nothing_is_read_of_the_one_before(
    tmp_path: Path, plain: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host name leads elsewhere, and the one before still answers."""
    monkeypatch.setattr("webapp.stores.circuit.PAUSE", 0.0)
    (tmp_path / "next").mkdir()
    successor = Redis(tmp_path / "next").start()
    try:
        store: Any = open_store(plain.url, "test")
        store.set("key", "before", 60)
        assert store.get("key") == "before"
        pool = store._write_client.connection_pool
        pool._available_connections.clear()
        pool.connection_kwargs["port"] = successor.port
        for kept in store._reader._kept:
            kept.port = successor.port  # For when it connects again.
        with pytest.raises(StoreUnavailable, match="another took over"):
            store.set("key", "after", 60)
        assert store.get("key") is None
        assert works(store)
    finally:
        successor.kill()


def test_a_child_takes_no_connection_of_its_parent(plain: Redis) -> None:
    with redis.Redis.from_url(plain.url) as operator:
        store = open_store(plain.url, "test")
        store.set("key", 1, 60)
        assert store.get("key") == 1
        before = {client["id"] for client in operator.client_list()}
        child = get_context("fork").Process(target=_read_and_wait, args=(store, plain))
        child.start()
        child.join(10)
        assert child.exitcode == 0
        assert store.get("key") == 1
        assert {client["id"] for client in operator.client_list()} == before
        assert store.last_trouble == 0.0


def _read_and_wait(store: Store, server: Redis) -> None:
    """Read in a child, which must be seen as one more client meanwhile."""
    with redis.Redis.from_url(server.url) as operator:
        before = len(operator.client_list())
        assert store.get("key") == 1
        assert len(operator.client_list()) == before + 1
