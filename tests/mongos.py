"""The stand-in for MongoDB on a free port; see tests/mongo_server.py."""

import sys
from contextlib import closing, suppress
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.servers import Process


class Mongo(Process):
    """The stand-in on a free port."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.mongo_server", str(self.port)]

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/holdfast"

    def answers(self) -> bool:
        with suppress(PyMongoError), closing(self._client()) as client:
            return bool(client.admin.command("ping")["ok"])
        return False

    def values(self, collection: str) -> int:
        with closing(self._client()) as client:
            return len(list(client.holdfast[collection].find({}, {"_id": 1})))

    def _client(self) -> MongoClient[Any]:
        return MongoClient(self.url, serverSelectionTimeoutMS=500)
