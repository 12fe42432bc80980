"""A stand-in for MongoDB: mongomock behind MongoDB's protocol, as a process of its own.

No server can be had in CI, and mongomock alone stands where the driver would be. By
this one the real driver connects, waits, gives up and connects again. It knows what
webapp/stores/mongodb.py says, and keeps everything in memory.
"""

import socketserver
import struct
import sys
from typing import Any

import bson
import mongomock
from pymongo.errors import DuplicateKeyError

HEADER = struct.Struct("<iiii")
QUERY, REPLY, MESSAGE = 2004, 1, 2013
GREETING = {
    "isWritablePrimary": True,
    "ismaster": True,
    "maxBsonObjectSize": 16_777_216,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 21,
}
Document = dict[str, Any]


class Talk(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        while header := self.rfile.read(HEADER.size):
            length, number, _, operation = HEADER.unpack(header)
            body = self.rfile.read(length - HEADER.size)
            if operation == QUERY:  # The first words of a driver.
                answer = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(_greet())
                self._send(REPLY, number, answer)
            else:
                answer = b"\0\0\0\0\0" + bson.encode(_answer(_read(body)))
                self._send(MESSAGE, number, answer)

    def _send(self, operation: int, number: int, answer: bytes) -> None:
        length = HEADER.size + len(answer)
        self.wfile.write(HEADER.pack(length, 0, number, operation) + answer)


def _read(body: bytes) -> Document:
    """Return the command, with the sequences of documents that came beside it."""
    command: Document = {}
    at = 4
    while at < len(body):
        kind, at = body[at], at + 1
        (length,) = struct.unpack_from("<i", body, at)
        section, at = body[at : at + length], at + length
        if kind == 0:
            command |= bson.decode(section)
        else:
            name, _, documents = section[4:].partition(b"\0")
            command[name.decode()] = bson.decode_all(documents)
    return command


def _answer(command: Document) -> Document:
    verb, of = next(iter(command.items()))
    if verb in ("hello", "ismaster", "isMaster"):
        return _greet()
    values = store[command["$db"]][of] if isinstance(of, str) else None
    try:
        found = VERBS[verb](values, command) if verb in VERBS else {}
    except DuplicateKeyError as error:
        wrong = {"index": 0, "code": 11000, "errmsg": str(error)}
        found = {"n": 0, "writeErrors": [wrong]}
    return found | {"ok": 1.0}


def _greet() -> Document:
    return GREETING | {"ok": 1.0}


def _find(values: Any, command: Document) -> Document:
    found = values.find(command["filter"], command.get("projection"))
    if order := command.get("sort"):
        found = found.sort(list(order.items()))
    documents = list(found.limit(command.get("limit", 0)))
    return {"cursor": {"firstBatch": documents, "id": 0, "ns": values.full_name}}


def _update(values: Any, command: Document) -> Document:
    (update,) = command["updates"]
    done = values.update_one(update["q"], update["u"], update.get("upsert", False))
    if done.upserted_id is None:
        return {"n": done.matched_count, "nModified": done.modified_count}
    new = {"index": 0, "_id": done.upserted_id}
    return {"n": 1, "nModified": 0, "upserted": [new]}


def _delete(values: Any, command: Document) -> Document:
    (delete,) = command["deletes"]
    remove = values.delete_one if delete["limit"] else values.delete_many
    return {"n": remove(delete["q"]).deleted_count}


def _index(values: Any, command: Document) -> Document:
    for index in command["indexes"]:
        key = list(index["key"].items())
        values.create_index(key, expireAfterSeconds=index["expireAfterSeconds"])
    return {}


VERBS = {"find": _find, "update": _update, "delete": _delete, "createIndexes": _index}
# Shared by all connections.
store: Any = mongomock.MongoClient()


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1])), Talk) as server:
        server.serve_forever()
