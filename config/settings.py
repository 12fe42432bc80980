"""Every setting: its name in the environment, type, default and meaning.

Nothing has to be set. A wrong value stops the start, one line per mistake.
"""

import re
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    Field,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

STORE_SCHEMES = ("memory", "file", "redis", "rediss")
DATABASE_DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
DURATION = re.compile(r"(\d{1,9})\s*([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class RefusedToStart(Exception):
    """The application must not run like this; the text is for the operator."""


def _read_duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if found := DURATION.fullmatch(value.strip()):
        return timedelta(**{UNITS[found[2]]: int(found[1])})
    raise ValueError("a number and a unit, like 90s, 15m, 12h or 30d")


def _check_store_url(value: str) -> str:
    scheme = urlsplit(value).scheme
    if scheme not in STORE_SCHEMES:
        allowed = ", ".join(f"{name}://" for name in STORE_SCHEMES)
        raise ValueError(f"a URL that starts with one of {allowed}")
    if scheme == "file" and not value.startswith("file:///"):
        raise ValueError("file:/// and an absolute path")
    return value


def _check_redis_url(value: str) -> str:
    if urlsplit(value).scheme not in ("redis", "rediss"):
        raise ValueError("a URL that starts with redis:// or rediss://")
    return value


def _name_driver(value: str) -> str:
    """Accept a database URL as platforms write it and name the driver in it."""
    scheme, separator, rest = value.partition("://")
    name = scheme.partition("+")[0]
    if not separator or name not in DATABASE_DRIVERS:
        allowed = ", ".join(f"{name}://" for name in DATABASE_DRIVERS)
        raise ValueError(f"a URL that starts with one of {allowed}")
    return f"{DATABASE_DRIVERS[name]}://{rest}"


Duration = Annotated[
    timedelta, BeforeValidator(_read_duration), Field(ge=timedelta(seconds=1))
]
Size = Annotated[ByteSize, Field(gt=0)]
StoreUrl = Annotated[str, AfterValidator(_check_store_url)]
RedisUrl = Annotated[str, AfterValidator(_check_redis_url)]
DatabaseUrl = Annotated[str, AfterValidator(_name_driver)]


class Settings(BaseSettings):
    """One attribute per setting; the variable has the same name in capitals."""

    model_config = SettingsConfigDict(
        extra="ignore", env_ignore_empty=True, validate_by_name=True, frozen=True
    )

    port: int = Field(8000, ge=1, le=65535, description="TCP port to listen on.")
    bind_address: str = Field(
        "127.0.0.1", description="Address to listen on; `0.0.0.0` for all."
    )
    data_dir: Path = Field(
        Path("var"), description="Folder of everything that is kept in files."
    )
    database_url: DatabaseUrl | None = Field(
        None,
        description="Where the records are: `sqlite:///path`, `postgres://…` or "
        "`mysql://…`. Unset: `holdfast.db` in `DATA_DIR`.",
    )
    redis_url: RedisUrl | None = Field(
        None, description="When set, session data and cached values move there."
    )
    session_url: StoreUrl | None = Field(
        None,
        description="Where session data is: `memory://`, `file:///path`, `redis://…` "
        "or `rediss://…`. Unset: `REDIS_URL`, else a folder in `DATA_DIR`.",
    )
    cache_url: StoreUrl | None = Field(
        None, description="Where cached values are; as `SESSION_URL`."
    )
    sign_up: Literal["open", "closed"] = Field(
        "open", description="Whether people can make accounts themselves."
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="How many reverse proxies stand in front. Their "
        "`X-Forwarded-For` and `X-Forwarded-Proto` are believed, others' are not.",
    )
    session_idle: Duration = Field(
        timedelta(hours=12), description="A session ends when unused this long."
    )
    session_lifetime: Duration = Field(
        timedelta(days=30), description="A session ends this long after its login."
    )
    session_trust: Annotated[timedelta, BeforeValidator(_read_duration)] = Field(
        timedelta(seconds=60),
        ge=timedelta(0),
        description="How long a session's copy is believed without a look at its "
        "record; `0s` looks at every request.",
    )
    password_min_length: int = Field(
        15, ge=8, le=128, description="Fewest characters of a new password."
    )
    password_memory_kib: int = Field(
        19456, ge=8, le=1048576, description="argon2id memory per hash in KiB."
    )
    password_rounds: int = Field(2, ge=1, le=64, description="argon2id passes.")
    max_entries: int = Field(10_000, ge=1, description="Entries a person can keep.")
    max_entries_size: Size = Field(
        ByteSize(50_000_000), description="Space a person's keys and values can take."
    )
    max_value_size: Size = Field(
        ByteSize(256_000), description="Largest value of one entry, in UTF-8."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe message that is logged."
    )

    @cached_property
    def database(self) -> str:
        """The database URL in force, with its driver."""
        return self.database_url or f"sqlite:///{self._folder / 'holdfast.db'}"

    @cached_property
    def session_store(self) -> str:
        """The URL in force for session data."""
        return self.session_url or self.redis_url or self._file_url("sessions")

    @cached_property
    def cache_store(self) -> str:
        """The URL in force for cached values."""
        return self.cache_url or self.redis_url or self._file_url("cache")

    @property
    def _folder(self) -> Path:
        return self.data_dir.absolute()

    def _file_url(self, name: str) -> str:
        return (self._folder / name).as_uri()


def load_settings(**given: Any) -> Settings:
    """Read the environment; keyword arguments come first.

    Raises RefusedToStart with one line per mistake: the name, what was given,
    what is allowed.
    """
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise RefusedToStart(
            "\n".join(_explain(mistake) for mistake in error.errors())
        ) from None
    _check_together(settings)
    return settings


def _explain(mistake: Any) -> str:
    name = str(mistake["loc"][0]).upper()
    given = str(mistake["input"])
    if "://" in given:
        given = _without_password(given)
    allowed = mistake["msg"].removeprefix("Value error, ")
    return f"{name}={given}: {allowed[:1].lower()}{allowed[1:]}"


def _without_password(url: str) -> str:
    return re.sub(r"(?<=://)[^@/]*@", "***@", url)


def _check_together(settings: Settings) -> None:
    if settings.session_idle > settings.session_lifetime:
        raise RefusedToStart(
            f"SESSION_IDLE={settings.session_idle}: at most SESSION_LIFETIME "
            f"({settings.session_lifetime})"
        )
    places = [settings.session_store, settings.cache_store]
    folders = [unquote(urlsplit(url).path) for url in places if url[:5] == "file:"]
    if len(folders) == 2 and Path(folders[0]).resolve() == Path(folders[1]).resolve():
        raise RefusedToStart(
            f"CACHE_URL={settings.cache_store}: another folder than SESSION_URL"
        )
