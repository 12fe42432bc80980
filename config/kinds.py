"""The kinds of values that settings have, and how each is read.

A value that cannot be taken raises ValueError with what is allowed.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field
from pydantic_settings import NoDecode

STORE_SCHEMES = ("memory", "file", "redis", "rediss")
DATABASE_DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
DURATION = re.compile(r"(\d{1,9})\s*([smhd])")
RATE = re.compile(r"([1-9]\d{0,8})\s*/\s*(\d{1,9}\s*[smhd])")
SIZE = re.compile(r"[1-9]\d{0,11}(\.\d+)?\s*([kMGT]?i?B?)", re.IGNORECASE)
LONGEST_DURATION = timedelta(days=3650)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _read_duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if found := DURATION.fullmatch(value.strip()):
        with suppress(OverflowError):
            return timedelta(**{UNITS[found[2]]: int(found[1])})
    raise ValueError("a number and a unit, like 90s, 15m, 12h or 30d")


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
    scheme = urlsplit(value).scheme
    if scheme not in STORE_SCHEMES:
        allowed = ", ".join(f"{name}://" for name in STORE_SCHEMES)
        raise ValueError(f"a URL that starts with one of {allowed}")
    if scheme == "file" and not re.match("file:///[^/]", value):
        raise ValueError("file:/// and an absolute path")
    return _check_port(value)


def _check_redis_url(value: str) -> str:
    if urlsplit(value).scheme not in ("redis", "rediss"):
        raise ValueError("a URL that starts with redis:// or rediss://")
    return _check_port(value)


def _check_port(url: str) -> str:
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise ValueError("a URL with a port from 0 to 65535") from None
    return url


def _name_driver(value: str) -> str:
    """Accept a database URL as platforms write it and name the driver in it."""
    scheme, separator, rest = value.partition("://")
    name = scheme.partition("+")[0]
    if not separator or name not in DATABASE_DRIVERS:
        allowed = ", ".join(f"{name}://" for name in DATABASE_DRIVERS)
        raise ValueError(f"a URL that starts with one of {allowed}")
    if name == "sqlite" and not re.match("/[^?]", rest):
        raise ValueError("sqlite:/// and the path of a file")
    if name == "sqlite" and rest.startswith("/:memory:"):
        raise ValueError("a file, for what is in memory is gone with the process")
    return _check_port(f"{DATABASE_DRIVERS[name]}://{rest}")


Duration = Annotated[
    timedelta, BeforeValidator(_read_duration), AfterValidator(_check_duration)
]
Trust = Annotated[
    timedelta, BeforeValidator(_read_duration), AfterValidator(_check_trust)
]
Lower = BeforeValidator(lambda given: str(given).strip().lower())
# Without NoDecode pydantic-settings would read JSON.
RateLimit = Annotated[Rate, NoDecode, BeforeValidator(_read_rate)]
Size = Annotated[ByteSize, BeforeValidator(_read_size), Field(gt=0)]
StoreUrl = Annotated[str, AfterValidator(_check_store_url)]
RedisUrl = Annotated[str, AfterValidator(_check_redis_url)]
DatabaseUrl = Annotated[str, AfterValidator(_name_driver)]
