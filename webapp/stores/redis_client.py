"""Redis clients by URL: one server, what Sentinel watches over, or a Cluster.

`redis://` and `rediss://` are redis-py's own. `redis+sentinel://HOST,HOST/SERVICE/DB`
and `redis+cluster://HOST,HOST` (also `rediss+…`) name some of the hosts; user and
password are those of Redis, `?sentinel_username=` and `?sentinel_password=` those of
Sentinel. A parameter of redis-py's connections can follow, as in its own URLs, where
it is one that text can say.
Valkey speaks the same protocol: `valkey` is read as `redis`, `valkeys` as `rediss`.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import Connection, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from config.urls import split_url
from webapp.stores.circuit import TIMEOUT

REDIS_PORT, SENTINEL_PORT = 6379, 26379
PARAMETERS = {
    *("username", "password", "client_name", "protocol", "max_connections"),
    *("health_check_interval", "socket_timeout", "socket_connect_timeout"),
    *("socket_keepalive", "socket_read_size", "retry_on_timeout"),
}
TLS_PARAMETERS = {
    *("ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_certfile", "ssl_keyfile"),
    *("ssl_password", "ssl_cert_reqs", "ssl_check_hostname", "ssl_min_version"),
    "ssl_ciphers",
}
SENTINEL_PARAMETERS = {"sentinel_username", "sentinel_password"}
UNCHECKED = {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
# What CLIENT LIST shows. Each connection would look it up among what is installed: it
# takes 1.3 ms, and 0.8 without.
DRIVER = redis.DriverInfo(lib_version=redis.__version__)

Client = redis.Redis | redis.RedisCluster
Options = dict[str, Any]
# Called for every new connection in place of its own `on_connect`.
OnConnect = Callable[[Any], None]


def connector(url: str, *, any_certificate: bool = False) -> Callable[..., Client]:
    """Return what makes a client; raises ValueError for a URL that nobody can use.

    The client of a Cluster asks the servers as soon as it is made, and raises
    RedisError or RedisClusterException when none answers; others wait for a command.
    """
    if url.startswith("valkey"):
        url = f"redis{url.removeprefix('valkey')}"
    scheme, _, kind = split_url(url).scheme.partition("+")
    unchecked = UNCHECKED if scheme == "rediss" and any_certificate else {}
    options: Options = {
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": DRIVER,
        **unchecked,
    }
    known = PARAMETERS | (TLS_PARAMETERS if scheme == "rediss" else set())
    if kind == "sentinel":
        _check_names(url, known | SENTINEL_PARAMETERS | {"db"})
        return _behind_sentinel(url, options)
    if kind == "cluster":
        _check_names(url, known)
        return _in_cluster(url, options)
    _check_names(url, known | {"db"})
    _check_values(_parse(url))
    return lambda on_connect: redis.Redis.from_url(
        url, redis_connect_func=on_connect, **options
    )


def _behind_sentinel(url: str, options: Options) -> Callable[..., Client]:
    service, _, number = split_url(url).path.strip("/").partition("/")
    hosts, given = _read(url, number, SENTINEL_PORT)
    shared = ("socket_timeout", "retry", "driver_info")
    watcher = {name: options[name] for name in shared}
    for name in ("username", "password"):
        watcher[name] = given.pop(f"sentinel_{name}", None)
    _check_values(given)
    for name in given.keys() | options.keys():
        if name.startswith("ssl"):
            watcher[name] = given.get(name, options.get(name))
    sentinel = Sentinel(hosts, sentinel_kwargs=watcher)
    return lambda on_connect: sentinel.master_for(
        service, redis_connect_func=on_connect, **options | given
    )


def _in_cluster(url: str, options: Options) -> Callable[..., Client]:
    hosts, given = _read(url, "", REDIS_PORT)
    _check_values(given)
    nodes = [ClusterNode(host, port) for host, port in hosts]
    # Its client has to be the one who sets a connection up.
    return lambda on_connect: redis.RedisCluster(  # noqa: ARG005
        startup_nodes=nodes, **options | given
    )


def _read(url: str, path: str, port: int) -> tuple[list[tuple[str, int]], Options]:
    """Return the hosts with their ports, and what else the URL says."""
    parts = split_url(url)
    user, at, listed = parts.netloc.rpartition("@")
    scheme = parts.scheme.partition("+")[0]
    hosts, given = [], {}
    for host in listed.split(","):
        given = _parse(f"{scheme}://{user}{at}{host}/{path}?{parts.query}")
        hosts.append((given.pop("host", "localhost"), given.pop("port", port)))
    if given.pop("connection_class", None):
        given["ssl"] = True
    return hosts, given


def _check_names(url: str, known: set[str]) -> None:
    """Raise ValueError for parameters that redis-py would stumble over, or not mind."""
    named = parse_qs(split_url(url).query, keep_blank_values=True)
    if unknown := sorted(named.keys() - known):
        raise ValueError(f"it cannot have the parameter {', '.join(unknown)}")


def _check_values(given: Options) -> None:
    """Make a connection, which connects to nothing yet, of what the URL says."""
    given = dict(given)
    kind = given.pop("connection_class", Connection)
    if given.pop("ssl", False):
        kind = redis.SSLConnection
    given.pop("max_connections", None)
    try:
        kind(**given)
    except redis.RedisError as error:
        raise ValueError(str(error)) from error
    _check_files(given)


def _check_files(given: Options) -> None:
    """Raise ValueError for a file that is not there, or not what it should be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authorities, own = given.get("ssl_ca_certs"), given.get("ssl_certfile")
    with _naming(authorities):
        if authorities:
            context.load_verify_locations(authorities)
    with _naming(own):
        if own:
            key, password = given.get("ssl_keyfile"), given.get("ssl_password")
            context.load_cert_chain(own, key, lambda: password or "")


@contextmanager
def _naming(file: str | None) -> Iterator[None]:
    # OpenSSL says what is wrong, but not with which file.
    try:
        yield
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from error


def _parse(url: str) -> Options:
    return parse_url(url)  # type: ignore[no-any-return]
