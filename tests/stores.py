"""The stores of the tests: pretended ones, and real servers that are started here."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import mongomock
import pytest
import redis
from mongomock.store import ServerStore
from pymongo import MongoClient

from tests.mongos import Mongo
from tests.redises import Cluster, redis_of
from tests.servers import Memcached, Redis
from webapp.stores.mongodb import OPTIONS

STORES = (
    "memory",
    "file",
    "fakeredis",
    "redis",
    "valkey",
    "memcached",
    "mongomock",
    "mongo",
)
FAKE_REDIS = "redis://fake.invalid:6379/0"
FAKE_MONGO = "mongodb://fake.invalid/test"
CLIENT = "webapp.stores.mongodb.MongoClient"


@pytest.fixture(scope="session")
def redis_for_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Redis: TEST_REDIS_URL, or one started here.

    Tests that run side by side have a database each, counted from the one given.
    """
    if url := os.environ.get("TEST_REDIS_URL"):
        base, _, database = url.rpartition("/")
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        yield f"{base}/{int(database) + int(worker)}"
        return
    server = Redis(tmp_path_factory.mktemp("redis")).start()
    yield server.url
    server.kill()


@pytest.fixture
def real_redis(redis_for_tests: str) -> Iterator[str]:
    """The URL of an empty database on a real Redis."""
    with redis.Redis.from_url(redis_for_tests) as client:
        client.flushdb()
        yield redis_for_tests
        client.flushdb()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with redis_of("cluster", tmp_path_factory.mktemp("cluster")) as cluster:
        assert isinstance(cluster, Cluster)
        yield cluster


@pytest.fixture
def real_cluster(cluster: Cluster) -> str:
    """The URL of an empty Redis Cluster."""
    cluster.empty()
    return cluster.url


@pytest.fixture
def real_valkey(real_redis: str) -> str:
    """The same place in Valkey's name."""
    return f"valkey{real_redis.removeprefix('redis')}"


@pytest.fixture(scope="session")
def memcached_for_tests(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Memcached]:
    server = Memcached(tmp_path_factory.mktemp("memcached")).start()
    yield server
    server.kill()


@pytest.fixture
def real_memcached(memcached_for_tests: Memcached) -> str:
    """The URL of an empty Memcached."""
    memcached_for_tests.empty()
    return memcached_for_tests.url


@pytest.fixture(scope="session")
def mongo_for_tests(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MongoClient[Any]]:
    """The real driver, connected to the stand-in. Closing one takes half a second."""
    server = Mongo(tmp_path_factory.mktemp("mongo")).start()
    with MongoClient(server.url, **OPTIONS) as client:
        yield client
    server.kill()


@pytest.fixture
def real_mongo(
    mongo_for_tests: MongoClient[Any], monkeypatch: pytest.MonkeyPatch
) -> str:
    """A URL behind which every client is that one, with nothing in it."""
    for name in ("test", "other", "session", "cache"):
        mongo_for_tests.holdfast[f"holdfast_{name}"].delete_many({})
    monkeypatch.setattr(CLIENT, lambda *_given, **_options: mongo_for_tests)
    return FAKE_MONGO


@pytest.fixture
def fake_mongo(monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL behind which every client of this test finds the same mongomock."""
    server = ServerStore()  # type: ignore[no-untyped-call]

    def connect(url: str, **_options: Any) -> Any:
        return mongomock.MongoClient(url, _store=server)

    monkeypatch.setattr(CLIENT, connect)
    return FAKE_MONGO


@pytest.fixture
def fake_redis(monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL behind which every client of this test finds the same fake Redis."""
    server = fakeredis.FakeServer()
    from_url = redis.Redis.from_url

    def connect(url: str, **options: Any) -> redis.Redis:
        if url != FAKE_REDIS:
            return from_url(url, **options)
        return fakeredis.FakeRedis(server=server)

    monkeypatch.setattr(redis.Redis, "from_url", connect)
    return FAKE_REDIS


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of every kind of store in turn."""
    match request.param:
        case "memory":
            return "memory://"
        case "file":
            return (tmp_path / "store").as_uri()
        case "fakeredis":
            return str(request.getfixturevalue("fake_redis"))
        case "mongomock":
            return str(request.getfixturevalue("fake_mongo"))
        case kind:
            return str(request.getfixturevalue(f"real_{kind}"))
