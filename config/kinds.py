"""The kinds of values that settings have, and how each is read.

A value that cannot be taken raises ValueError with what is allowed.
"""

import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field

from config.urls import split_url

# What has only this machine, and what machines share.
HELD_HERE = ("memory", "file")
REDIS_SCHEMES = tuple(
    scheme + kind
    for schemes in (("redis", "rediss"), ("valkey", "valkeys"))
    for kind in ("", "+sentinel", "+cluster")
    for scheme in schemes
)
# What may follow the hosts, by the kind in the scheme.
REDIS_PATHS = {
    "": (r"/?|/\d+/?", "/ and the number of a database, or nothing,"),
    "sentinel": (r"/[^/]+/?|/[^/]+/\d+/?", "/service, or /service/ and a number,"),
    "cluster": ("/?|/0/?", "no database, for a Cluster has only one,"),
}
STORE_SCHEMES = (*HELD_HERE, *REDIS_SCHEMES, "memcached", "mongodb", "mongodb+srv")
DATABASE_DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
LOCAL_HTTP = {("http", host) for host in ("127.0.0.1", "::1", "localhost")}
DURATION = re.compile(r"(\d{1,9})\s*([smhd])")
RATE = re.compile(r"([1-9]\d{0,8})\s*/\s*(\d{1,9}\s*[smhd])")
SIZE = re.compile(r"[1-9]\d{0,11}(\.\d+)?\s*([kMGT]?i?B?)", re.IGNORECASE)
LONGEST_DURATION = timedelta(days=3650)
# An address that no name server has to be asked for, right or wrong.
NUMERIC = re.compile(r"[\d.]+|.*:.*")
IN_BRACKETS = re.compile(r"\[(.*)\]")
KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
MAKE_KEY = "openssl rand -base64 32"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _read_duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if found := DURATION.fullmatch(value.strip()):
        with suppress(OverflowError):
            return timedelta(**{UNITS[found[2]]: int(found[1])})
    raise ValueError("a number and a unit, like 90s, 15m, 12h or 30d")


def write_duration(value: timedelta) -> str:
    """Write it as an operator would write the setting."""
    seconds = int(value.total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds > 60 and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _check_duration(value: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= value <= LONGEST_DURATION:
        raise ValueError("from 1s to at most 3650d")
    return value


def _check_trust(value: timedelta) -> timedelta:
    if not timedelta(0) <= value <= timedelta(hours=1):
        raise ValueError("from 0s to 1h")
    return value


def _read_size(value: Any) -> Any:
    if isinstance(value, str) and not SIZE.fullmatch(value.strip()):
        raise ValueError("a size of at least 1 byte, like 256kB or 50MB")
    return value


@dataclass(frozen=True)
class Rate:
    """So many at once, and as many again spread over the period."""

    burst: int
    period: timedelta


def _read_rate(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if found := RATE.fullmatch(value.strip()):
        return Rate(int(found[1]), _read_duration(found[2]))
    raise ValueError("a number and a duration, like 30/5m")


def _check_store_url(value: str) -> str:
    scheme = split_url(value).scheme
    if scheme not in STORE_SCHEMES:
        raise ValueError(f"a URL that starts with one of {_listed(STORE_SCHEMES)}")
    if scheme == "file" and not re.match("file:///[^/]", value):
        raise ValueError("file:/// and an absolute path")
    return _check_redis_path(_check_port(value))


def _check_redis_url(value: str) -> str:
    if split_url(value).scheme not in REDIS_SCHEMES:
        raise ValueError(f"a URL that starts with one of {_listed(REDIS_SCHEMES)}")
    return _check_redis_path(_check_port(value))


def _check_redis_path(url: str) -> str:
    """Refuse a path that redis-py would take for database 0 without a word."""
    parts = split_url(url)
    kind = parts.scheme.partition("+")[2]
    if parts.scheme not in REDIS_SCHEMES:
        return url
    pattern, allowed = REDIS_PATHS[kind]
    if not re.fullmatch(pattern, parts.path):
        raise ValueError(f"a URL with {allowed} after the hosts")
    return url


def _check_port(url: str) -> str:
    try:
        # Sentinel and Cluster have several hosts.
        for host in split_url(url).netloc.rpartition("@")[2].split(","):
            _ = urlsplit(f"//{host}").port
    except ValueError:
        raise ValueError("a URL with a port from 0 to 65535") from None
    return url


def _check_range_url(value: str) -> str:
    """Take a URL to put something behind; what it gets must not be seen or changed."""
    url = urlsplit(_check_port(value))
    is_safe = url.scheme == "https" or (url.scheme, url.hostname) in LOCAL_HTTP
    if not is_safe or not url.hostname or "@" in url.netloc or url.query:
        raise ValueError(
            "https:// and a host, or http:// and this machine (127.0.0.1, localhost); "
            "no user, no query"
        )
    return f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}/"


def _check_address(value: str) -> str:
    try:
        if in_brackets := IN_BRACKETS.fullmatch(value):
            IPv6Address(in_brackets[1])
        elif NUMERIC.fullmatch(value):
            IPv4Address(value)
        else:
            socket.getaddrinfo(value, None)
    except (OSError, ValueError):
        raise ValueError(
            "an address like 127.0.0.1, 0.0.0.0 or [::], or a name that has one"
        ) from None
    return value


def _listed(schemes: Iterable[str]) -> str:
    return ", ".join(f"{name}://" for name in schemes)


def _name_driver(value: str) -> str:
    """Accept a database URL as platforms write it and name the driver in it."""
    scheme, separator, rest = value.partition("://")
    name = scheme.partition("+")[0]
    if not separator or name not in DATABASE_DRIVERS:
        raise ValueError(f"a URL that starts with one of {_listed(DATABASE_DRIVERS)}")
    if name == "sqlite" and not re.fullmatch("/[^?]+", rest):
        raise ValueError("sqlite:/// and the path of a file, with no parameters")
    if name == "sqlite" and rest.startswith("/:memory:"):
        raise ValueError("a file, for what is in memory is gone with the process")
    return _check_port(f"{DATABASE_DRIVERS[name]}://{rest}")


def sqlite_url(file: Path) -> str:
    """Write the URL of a file, in whose path `%` and `?` are no part of a URL's."""
    return f"sqlite:///{quote(str(file))}"


def _read_keys(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(map(_as_fernet_has_it, value.split(","))))


def _check_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    for number, key in enumerate(keys, 1):
        if not KEY.fullmatch(key):
            raise ValueError(
                f"number {number} is no key. A key is 32 random bytes in base64, as "
                f"`{MAKE_KEY}` makes it; between keys stands a comma"
            )
    return keys


def join_keys(versions: list[str]) -> str:
    """Make one list of all versions of it; the first has to be right.

    What a former version has that is no key cannot have encrypted anything.
    """
    current, *former = versions
    keys = [_as_fernet_has_it(key) for each in former for key in each.split(",")]
    return ",".join([current, *filter(KEY.fullmatch, keys)])


def _as_fernet_has_it(key: str) -> str:
    """Return it in the alphabet that is safe in URLs; most tools use the other."""
    return key.strip().replace("+", "-").replace("/", "_")


Duration = Annotated[
    timedelta, BeforeValidator(_read_duration), AfterValidator(_check_duration)
]
Trust = Annotated[
    timedelta, BeforeValidator(_read_duration), AfterValidator(_check_trust)
]
Lower = BeforeValidator(lambda given: str(given).strip().lower())
RateLimit = Annotated[Rate, BeforeValidator(_read_rate)]
EncryptionKeys = Annotated[
    tuple[str, ...], BeforeValidator(_read_keys), AfterValidator(_check_keys)
]
Size = Annotated[ByteSize, BeforeValidator(_read_size), Field(gt=0)]
Address = Annotated[str, AfterValidator(_check_address)]
StoreUrl = Annotated[str, AfterValidator(_check_store_url)]
RangeUrl = Annotated[str, AfterValidator(_check_range_url)]
RedisUrl = Annotated[str, AfterValidator(_check_redis_url)]
DatabaseUrl = Annotated[str, AfterValidator(_name_driver)]
