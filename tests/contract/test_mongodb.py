"""What is special about MongoDB: its driver, the TTL index, who takes over."""

import logging
import time
from contextlib import closing
from typing import Any

import pytest
import time_machine
from bson import ObjectId
from pymongo.errors import OperationFailure
from pymongo.hello import Hello
from pymongo.monitoring import ServerDescriptionChangedEvent
from pymongo.server_description import ServerDescription

from config.mistakes import RefusedToStart
from webapp.errors import StoreUnavailable
from webapp.stores import open_store
from webapp.stores.mongodb import MongoStore, _Watch

pytestmark = pytest.mark.embedded

PRIMARY = {"ok": 1, "isWritablePrimary": True, "setName": "x", "hosts": ["a:1"]}
SECONDARY = {"ok": 1, "secondary": True, "setName": "x", "hosts": ["a:1"]}
UNKNOWN = {"ok": 0}


@pytest.fixture
def store(fake_mongo: str) -> MongoStore:
    return MongoStore(fake_mongo, "test")


@pytest.fixture
def nobody() -> MongoStore:
    """A store whose server is not there, by the real driver."""
    url = "mongodb://user:secret@127.0.0.1:1/holdfast?retryWrites=true&w=1"
    return MongoStore(url, "test")


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://",
        "mongodb://one:two@three@four/",
        "mongodb://one/a%20b",
        "mongodb+srv://one,two.example/",
    ],
)
def test_a_url_that_nobody_can_use_stops_the_start(url: str) -> None:
    with pytest.raises(RefusedToStart, match=r"^mongodb.*: "):
        open_store(url, "test")


@pytest.mark.long
def test_where_nobody_answers_it_says_so_at_once(
    nobody: MongoStore, caplog: pytest.LogCaptureFixture
) -> None:
    begin = time.monotonic()
    with closing(nobody._client):
        for _ in range(5):
            with pytest.raises(StoreUnavailable):
                nobody.get("key")
        assert time.monotonic() - begin < 1
        assert nobody.last_trouble > 0
        assert nobody.lasting().restart is None
    assert nobody.place == "mongodb://127.0.0.1:1/holdfast"
    [warning] = [row for row in caplog.records if row.levelno == logging.WARNING]
    assert "Connection refused" in warning.getMessage()
    assert "Topology" not in warning.getMessage(), "it would be another one each time"
    assert "secret" not in caplog.text


def test_nothing_is_asked_twice_and_what_is_acknowledged_is_not_taken_back(
    nobody: MongoStore,
) -> None:
    """A URL as Atlas gives it asks for retries; ours come first."""
    options = nobody._client.options
    assert (options.retry_reads, options.retry_writes) == (False, False)
    assert nobody._values.write_concern.document == {"w": "majority"}
    assert options.server_selection_timeout < 0.5


def test_mongodb_removes_what_expired(store: MongoStore) -> None:
    store.set("key", 1, 60)
    indexes = store._values.index_information()
    assert indexes["expires_at_1"]["expireAfterSeconds"] == 0


def test_a_user_who_can_make_no_index_has_the_same_store(
    store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: Any, **_options: Any) -> None:
        raise OperationFailure("not authorized", 13)

    monkeypatch.setattr(store._values, "create_index", refuse)
    assert store.set("key", 1, 60)
    assert store.get("key") == 1
    assert store.last_trouble == 0


def test_what_expired_is_missing_before_it_is_removed(store: MongoStore) -> None:
    # As if the TTL monitor came late: mongomock's would be there at once.
    store._is_prepared = True
    with time_machine.travel("2026-01-01T12:00:00Z", tick=False) as clock:
        for number in range(10):
            store.set(f"short {number}", number, 60)
            store.set(f"long {number}", number, 3600)
        clock.shift(61)
        assert store.get("short 0") is None
        assert store.get_many("short 1", "long 1") == [None, 1]
        assert not store.replace("short 2", "new", 2, 60)
        assert store.add("short 3", "new", 60)
        assert store.measure().values == 20
        steps = [store.purge(4) for _ in range(4)]
        assert steps == [4, 4, 1, 0]
        assert store.get("short 3") == "new"
        assert store.get("long 9") == 9


@pytest.mark.parametrize("value", [b"{", "text", 1, None])
def test_garbage_is_a_missing_value(store: MongoStore, value: object) -> None:
    store._values.insert_one({"_id": "key", "value": value, "written": ObjectId()})
    assert store.get("key") is None
    assert store.add("key", "new", 60)
    assert store.get("key") == "new"


@pytest.mark.parametrize(
    ("before", "now", "is_trouble"),
    [
        (PRIMARY, UNKNOWN, True),
        (PRIMARY, SECONDARY, True),
        (UNKNOWN, PRIMARY, False),
        (PRIMARY, PRIMARY, False),
        (SECONDARY, UNKNOWN, False),
    ],
    ids=["crashed", "stepped down", "found", "as it was", "another went"],
)
def test_no_copy_is_believed_from_before_a_primary_went(
    store: MongoStore, before: dict[str, Any], now: dict[str, Any], is_trouble: bool
) -> None:
    address = "a", 1
    descriptions = [ServerDescription(address, Hello(each)) for each in (before, now)]
    watch = _Watch(store)
    watch.description_changed(
        ServerDescriptionChangedEvent(*descriptions, address, ObjectId())
    )
    assert (store.last_trouble > 0) is is_trouble


def test_it_lasts(store: MongoStore) -> None:
    found = store.lasting()
    assert (found.restart, found.redeploy, found.warning) == (True, True, "")
