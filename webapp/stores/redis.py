"""Values in Redis."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any

import redis
from cachelib.redis_base import BaseRedisCache
from redis.client import PubSub
from redis.exceptions import ClusterError, RedisClusterException
from redis.sentinel import MasterNotFoundError

from config.urls import split_url
from webapp.errors import StoreUnavailable, Unheard
from webapp.lasting import Lasting
from webapp.stores.circuit import Circuit
from webapp.stores.interface import Json, Measure, add_up, place_of
from webapp.stores.redis_client import Client, connector
from webapp.stores.redis_reader import Reader

# Keys that are looked at in one step.
STEP = 1000
FAILURES = (redis.RedisError, RedisClusterException)
UNTRUSTED = (
    "its certificate is not trusted. REDIS_CERTIFICATE=any takes one that it signed "
    "itself, ?ssl_ca_certs=FILE in the URL names who may sign"
)
# Of each Sentinel that was asked in vain: its host, its port, the kind of error.
ASKED = re.compile(r"\bhost=([^,]*),port=(\d+).*?\)>\)>\)> - (?:\w+:)?(\w+)")
RUN_ID = re.compile(r"run_id:(\w+)")
# Seconds between two signs of life of a server that has nothing to tell.
PING = 10.0


class RedisStore(BaseRedisCache):
    """Values in Redis, which expires them itself."""

    serializer = Json()  # type: ignore[assignment]
    is_shared = True

    def __init__(self, url: str, prefix: str, *, any_certificate: bool = False) -> None:
        super().__init__(None, default_timeout=0, key_prefix=prefix)
        self._url = url
        self._connect = connector(url, any_certificate=any_certificate)
        self.last_trouble = 0.0
        self._circuit = Circuit(self, "Redis", FAILURES, _is_away, _describe)
        self._run_id = ""
        # Whether a Cluster's servers may have changed their parts.
        self._is_outdated = False
        # Channels are the same in every database of a server.
        self._news = f"holdfast:news:{split_url(url).path.rpartition('/')[2]}"

    @property
    def place(self) -> str:
        return place_of(self._url)

    def lasting(self) -> Lasting:
        try:
            with self._asking():
                found = self._facts()
        except StoreUnavailable as error:
            return Lasting(None, None, str(error))
        return Lasting(restart=True, redeploy=True, warning=_warn(found))

    def get(self, key: str) -> Any:
        # MGET, because GET fails on a key that somebody made a list or a hash.
        return self.get_many(key)[0]

    def get_many(self, *keys: str) -> list[Any]:
        names = [self._get_prefix() + key for key in keys]
        with self._asking():
            return [self.serializer.loads(found) for found in self._mget(names)]

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        with self._asking():
            return bool(super().set(key, value, timeout))

    def add(self, key: str, value: Any, timeout: Any = None) -> bool:
        name = self._get_prefix() + key
        content = self.serializer.dumps(value)
        with self._asking():
            kept = self._write_client.set(name, content, ex=timeout or None, nx=True)
            if (
                not kept
                and self.serializer.loads(self._write_client.mget(name)[0]) is None
            ):
                kept = super().set(key, value, timeout)
            return bool(kept)

    def replace(self, key: str, value: Any, expected: Any, timeout: int) -> bool:
        name = self._get_prefix() + key
        content = self.serializer.dumps(value)
        with self._asking(), self._write_client.pipeline(True) as transaction:
            transaction.watch(name)
            if self.serializer.loads(transaction.get(name)) != expected:
                return False
            transaction.multi()
            transaction.set(name, content, ex=timeout or None)
            try:
                transaction.execute()
            except redis.WatchError:
                return False
            return True

    def delete(self, key: str) -> bool:
        with self._asking(deleting=True):
            return super().delete(key)

    def purge(self, limit: int) -> int:
        return 0

    def tell(self, message: str) -> None:
        with self._asking(), _speaking():
            self._write_client.publish(self._news, message)

    def hear(self) -> Iterator[str | None]:
        with self._asking():
            listener = self._read_client.pubsub()
        try:
            with closing(listener), _speaking():
                listener.subscribe(self._news)
                yield from _messages(listener)
        except FAILURES as error:
            # No trouble of the values: it may have cut off the one that listens.
            raise StoreUnavailable(f"Redis: {_describe(error)}") from error

    def measure(self) -> Measure:
        # Somebody may have made a list of one, which has no such length.
        steps = self._in_steps("strlen", raises=False)
        return add_up(
            [size for size in step if isinstance(size, int)] for step in steps
        )

    def clear(self) -> bool:
        for _ in self._in_steps("unlink", raises=True):
            pass
        return True

    def _in_steps(self, command: str, *, raises: bool) -> Iterator[list[Any]]:
        """Do it to all keys of ours, and yield what Redis answered in each step.

        A key that is there all the time is met, at times twice.
        """
        with self._asking():
            servers = self._servers()
        for server in servers:
            cursor = None
            while cursor != 0:
                with self._asking(), server.pipeline(transaction=False) as pipeline:
                    cursor, names = server.scan(
                        cursor or 0, match=f"{self._get_prefix()}*", count=STEP
                    )
                    for name in names:
                        pipeline.execute_command(command, name)
                    found = pipeline.execute(raise_on_error=raises)
                yield found

    def _servers(self) -> list[redis.Redis]:
        client = self._write_client
        if not isinstance(client, redis.RedisCluster):
            return [client]
        return [client.get_redis_connection(node) for node in client.get_primaries()]

    @contextmanager
    def _asking(self, *, deleting: bool = False) -> Iterator[None]:
        with self._circuit.asking(deleting=deleting):
            if self._read_client is None:
                self._open(self._connect(self._recognise))
            if self._is_outdated:
                self._read_client.nodes_manager.initialize()
                self._is_outdated = False
            try:
                yield
            except FAILURES as error:
                # Transactions of redis-py's go on asking a server that is gone, when
                # another has taken over.
                is_cluster = isinstance(self._read_client, redis.RedisCluster)
                self._is_outdated = is_cluster and _is_away(error)
                raise

    def _open(self, client: Client) -> None:
        if isinstance(client, redis.RedisCluster):
            self._mget: Callable[[list[str]], Any] = partial(_mget_in_cluster, client)
        else:
            self._reader = Reader(client)
            self._mget = self._reader.mget
        # Last: by this others see that the rest is there.
        self._read_client = self._write_client = client

    def _recognise(self, connection: Any) -> None:
        """Set a new connection up; refuse the first one to another run of Redis.

        It may have started from an old file, or be a replica that had not heard the
        last writes. After a failure no earlier copy is believed.
        """
        connection.on_connect()
        try:
            connection.send_command("INFO", "server")
            said = str(connection.read_response(), "utf-8", "replace")
        except redis.ResponseError:
            return  # Not every user may ask.
        before, found = self._run_id, RUN_ID.search(said)
        self._run_id = found[1] if found else ""
        if before and self._run_id != before:
            self._reader.forget()
            raise redis.ConnectionError("it was started anew, or another took over")

    def _facts(self) -> dict[str, Any]:
        """Return what Redis tells of itself; hosts of Redis keep some of it."""
        found: dict[str, Any] = {}
        self._read_client.ping()
        with suppress(redis.ResponseError):
            found |= self._read_client.info()
        with suppress(redis.ResponseError):
            found |= self._read_client.config_get("save")
        return found


def _mget_in_cluster(client: redis.RedisCluster, names: list[str]) -> Any:
    # Only keys of one slot can be asked for at once.
    return client.mget_nonatomic(names) if names[1:] else client.mget(names)


@contextmanager
def _speaking() -> Iterator[None]:
    """Say that news alone are refused: values may be kept all the same."""
    try:
        yield
    except redis.ResponseError as error:
        raise Unheard(f"Redis tells no news: {error}") from error


def _messages(listener: PubSub) -> Iterator[str | None]:
    is_silent = False
    while True:
        found = listener.get_message(timeout=PING)
        if not found and is_silent:
            raise redis.TimeoutError("the server is silent")
        if found:
            is_news = found["type"] == "message"
            yield str(found["data"], "utf-8", "replace") if is_news else None
        else:
            listener.ping()
        is_silent = not found


def _is_away(error: Exception) -> bool:
    """Tell a server that answers something from none, or a Cluster that is down."""
    answered = isinstance(error, redis.ResponseError)
    return not answered or isinstance(error, ClusterError)


def _describe(error: Exception) -> str:
    said = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return f"{UNTRUSTED} ({said})"
    if isinstance(error, MasterNotFoundError):
        # redis-py writes down all it knows of each Sentinel, 700 characters.
        asked = [f"{host}:{port}: {why}" for host, port, why in ASKED.findall(said)]
        found, _, _ = said.partition(" : ")
        return f"{found} ({', '.join(asked)})" if asked else found
    return said


def _warn(found: dict[str, Any]) -> str:
    """Say what may take values away, from what Redis tells of itself."""
    warnings = []
    if not found.get("aof_enabled") and found.get("save") == "":
        warnings.append("Redis keeps nothing on disk, and forgets it when it restarts")
    policy = found.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and found.get("maxmemory"):
        warnings.append(f"Redis takes away what it likes when it is full ({policy})")
    return "; ".join(warnings)
