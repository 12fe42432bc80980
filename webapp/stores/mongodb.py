"""Values in MongoDB, a document each.

cachelib's own store asks the server when it is made, and deletes what expired, all of
it, before each look at a value; this one does neither.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from cachelib import BaseCache
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.monitoring import (
    ServerClosedEvent,
    ServerDescriptionChangedEvent,
    ServerListener,
    ServerOpeningEvent,
)

from webapp.errors import StoreUnavailable
from webapp.lasting import Lasting
from webapp.stores.circuit import TIMEOUT, Circuit
from webapp.stores.interface import Json, Measure, add_up, note_trouble, place_of

# Where the URL names no database.
DATABASE = "holdfast"
# Documents that are looked at, or removed, in one step.
STEP = 1000
# They come before what the URL says. Acknowledged by most servers, a write is not
# taken back when another of them takes over.
OPTIONS: dict[str, Any] = {
    "connect": False,
    "connectTimeoutMS": int(TIMEOUT * 1000),
    "socketTimeoutMS": int(TIMEOUT * 1000),
    # The driver looks every half second whether this is over: not a second time.
    "serverSelectionTimeoutMS": int(TIMEOUT * 1000) - 10,
    "retryReads": False,
    "retryWrites": False,
    "readPreference": "primary",
    "w": "majority",
}
Document = dict[str, Any]


class MongoStore(BaseCache):
    """Values in a collection of their own, which MongoDB's TTL monitor expires.

    It does so once a minute, so a reader looks at the time as well. Each write gives
    a document another `written`, by which `replace` tells that nobody came between.
    """

    serializer = Json()
    is_shared = True

    def __init__(self, url: str, collection: str) -> None:
        super().__init__(default_timeout=0)
        self.last_trouble = 0.0
        self._url = url
        try:
            self._client: MongoClient[Document] = MongoClient(
                url, event_listeners=[_Watch(self)], **OPTIONS
            )
            self._values = self._client.get_default_database(DATABASE)[collection]
        except PyMongoError as error:
            raise ValueError(str(error)) from error
        self._circuit = Circuit(self, "MongoDB", (PyMongoError,), _is_away, _describe)
        self._is_prepared = False

    @property
    def place(self) -> str:
        return place_of(self._url)

    def lasting(self) -> Lasting:
        try:
            with self._asking():
                self._client.admin.command("ping")
        except StoreUnavailable as error:
            return Lasting(None, None, str(error))
        return Lasting(restart=True, redeploy=True)

    def get(self, key: str) -> Any:
        with self._asking():
            return self._read(self._values.find_one(_alive(key)))

    def get_many(self, *keys: str) -> list[Any]:
        with self._asking():
            found = {
                each["_id"]: self._read(each)
                for each in self._values.find(_alive({"$in": list(keys)}))
            }
        return [found.get(key) for key in keys]

    def has(self, key: str) -> bool:
        return self.get(key) is not None

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        written = self._written(value, timeout)
        with self._asking():
            self._values.update_one({"_id": key}, written, upsert=True)
        return True

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        written = self._written(value, timeout)
        with self._asking():
            try:
                # Where one is that has not expired, this would make a second one.
                self._values.update_one(_expired(_id=key), written, upsert=True)
            except DuplicateKeyError:
                return self._replace(key, None, written)
        return True

    def replace(self, key: str, value: Any, expected: Any, timeout: int) -> bool:
        written = self._written(value, timeout)
        with self._asking():
            return self._replace(key, expected, written)

    def delete(self, key: str) -> bool:
        with self._asking(deleting=True):
            return self._values.delete_one({"_id": key}).deleted_count == 1

    def purge(self, limit: int) -> int:
        """Remove up to `limit` of what expired and the TTL monitor has not seen yet."""
        removed = 0
        while removed < limit:
            with self._asking():
                step = min(STEP, limit - removed)
                ids = [each["_id"] for each in self._look(_expired(), step)]
                if not ids:
                    break
                gone = _expired(_id={"$in": ids})
                removed += self._values.delete_many(gone).deleted_count
        return removed

    def measure(self) -> Measure:
        return add_up([each["size"] for each in step] for step in self._in_steps())

    def clear(self) -> bool:
        for step in self._in_steps():
            with self._asking(deleting=True):
                ids = [each["_id"] for each in step]
                self._values.delete_many({"_id": {"$in": ids}})
        return True

    def _in_steps(self) -> Iterator[list[Document]]:
        after = ""
        while True:
            with self._asking():
                step = list(self._look({"_id": {"$gt": after}}, STEP).sort("_id", 1))
            if not step:
                return
            yield step
            after = step[-1]["_id"]

    def _look(self, where: Document, limit: int) -> Any:
        return self._values.find(where, {"size": 1}).limit(limit)

    def _replace(self, key: str, expected: Any, written: Document) -> bool:
        found = self._values.find_one(_alive(key))
        if found is None or self._read(found) != expected:
            return False
        same = {"_id": key, "written": found.get("written")}
        return self._values.update_one(same, written).matched_count == 1

    def _read(self, found: Document | None) -> Any:
        content = found.get("value") if found else None
        return self.serializer.loads(content if isinstance(content, bytes) else None)

    def _written(self, value: Any, timeout: int | None) -> Document:
        content = self.serializer.dumps(value)
        until = datetime.now(UTC) + timedelta(seconds=timeout) if timeout else None
        return {
            "$set": {
                "value": content,
                "size": len(content),
                "expires_at": until,
                "written": ObjectId(),
            }
        }

    @contextmanager
    def _asking(self, *, deleting: bool = False) -> Iterator[None]:
        with self._circuit.asking(deleting=deleting):
            if not self._is_prepared:
                # Not every user may; then `purge` is slower, and does it all.
                with suppress(OperationFailure):
                    self._values.create_index("expires_at", expireAfterSeconds=0)
                self._is_prepared = True
            yield


class _Watch(ServerListener):
    """Notes when a server that was written to is gone, or no longer the one.

    The driver connects anew without a word. What takes over may not have heard the
    last writes, and a server that crashed may have lost them.
    """

    def __init__(self, store: MongoStore) -> None:
        self._store = store

    def opened(self, event: ServerOpeningEvent) -> None:
        pass

    def description_changed(self, event: ServerDescriptionChangedEvent) -> None:
        before, now = event.previous_description, event.new_description
        if before.is_writable and not now.is_writable:
            host, port = event.server_address
            note_trouble(self._store, f"MongoDB: {host}:{port} went away")

    def closed(self, event: ServerClosedEvent) -> None:
        pass


def _alive(key: str | Document) -> Document:
    until: list[Any] = [None, {"$gt": datetime.now(UTC)}]
    return {"_id": key, "$or": [{"expires_at": each} for each in until]}


def _expired(**conditions: Any) -> Document:
    return conditions | {"expires_at": {"$lte": datetime.now(UTC)}}


def _is_away(error: Exception) -> bool:
    """Tell a server that answers something, if only that it cannot, from none."""
    return not isinstance(error, OperationFailure)


def _describe(error: Exception) -> str:
    # What follows is long and different each time.
    return str(error).partition(", Timeout:")[0]
