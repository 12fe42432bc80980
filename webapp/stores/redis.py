"""Values in Redis."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import redis
from cachelib import RedisCache
from redis.backoff import NoBackoff
from redis.retry import Retry

from webapp.errors import StoreUnavailable
from webapp.stores.interface import Json, note_trouble

TIMEOUT = 0.5
# After a failure Redis is left alone this long, so that a frozen server costs one
# slow answer and not one per request.
PAUSE = 2.0


class RedisStore(RedisCache):
    """Values in Redis, which expires them itself."""

    serializer = Json()  # type: ignore[assignment]
    is_shared = True

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        super().__init__(host=client, default_timeout=0, key_prefix=prefix)
        self.last_trouble = 0.0
        self._paused_until = 0.0

    @classmethod
    def from_url(cls, url: str, prefix: str) -> Self:
        client = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        return cls(client, prefix)

    def get(self, key: str) -> Any:
        # MGET, because GET fails on a key that somebody made a list or a hash.
        return self.get_many(key)[0]

    def get_many(self, *keys: str) -> list[Any]:
        with self._asking():
            return super().get_many(*keys)

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        with self._asking():
            return bool(super().set(key, value, timeout))

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        with self._asking():
            content = self.serializer.dumps(value)
            kept = self._write_client.set(
                self._get_prefix() + key, content, ex=timeout or None, nx=True
            )
            if not kept and super().get_many(key) == [None]:
                kept = super().set(key, value, timeout)
            return bool(kept)

    def replace(self, key: str, value: Any, expected: Any, timeout: int) -> bool:
        name = self._get_prefix() + key
        with self._asking(), self._write_client.pipeline() as transaction:
            transaction.watch(name)
            if self.serializer.loads(transaction.get(name)) != expected:
                return False
            transaction.multi()
            transaction.set(name, self.serializer.dumps(value), ex=timeout or None)
            try:
                transaction.execute()
            except redis.WatchError:
                return False
            return True

    def delete(self, key: str) -> bool:
        with self._asking():
            return super().delete(key)

    def purge(self, limit: int) -> int:
        return 0

    @contextmanager
    def _asking(self) -> Iterator[None]:
        if self._paused_until:
            if time.monotonic() < self._paused_until:
                raise StoreUnavailable("Redis is left alone after a failure")
            # One asks again; the others do not wait for its answer.
            self._paused_until = time.monotonic() + PAUSE
        try:
            yield
        except redis.RedisError as error:
            note_trouble(self, f"Redis: {error}")
            if isinstance(error, redis.ConnectionError | redis.TimeoutError):
                self._paused_until = time.monotonic() + PAUSE
            raise StoreUnavailable(f"Redis: {error}") from error
        self._paused_until = 0.0
