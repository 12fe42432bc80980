"""Every setting: its name in the environment, type, default and meaning.

Nothing has to be set. A wrong value stops the start, one line per mistake.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.kinds import (
    DatabaseUrl,
    Duration,
    Lower,
    Rate,
    RateLimit,
    RedisUrl,
    Size,
    StoreUrl,
    Trust,
)


class RefusedToStart(Exception):
    """The application must not run like this; the text is for the operator."""


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
    sign_up: Annotated[Literal["open", "closed"], Lower] = Field(
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
        timedelta(hours=2), description="A session ends when unused this long."
    )
    session_lifetime: Duration = Field(
        timedelta(hours=24), description="A session ends this long after its log-in."
    )
    kept_session_idle: Duration = Field(
        timedelta(days=30),
        description="As `SESSION_IDLE`, where “Keep me logged in” was ticked.",
    )
    kept_session_lifetime: Duration = Field(
        timedelta(days=30),
        description="As `SESSION_LIFETIME`, where “Keep me logged in” was ticked.",
    )
    max_sessions: int = Field(
        50,
        ge=1,
        le=1000,
        description="Sessions a person can have at once; the oldest makes room.",
    )
    fresh_for: Duration = Field(
        timedelta(minutes=15),
        description="How long after giving the password sensitive acts need no other.",
    )
    session_trust: Trust = Field(
        timedelta(seconds=60),
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
    hash_queue: int = Field(
        20, ge=1, le=1000, description="Passwords that can wait to be hashed."
    )
    login_attempts: int = Field(
        5,
        ge=1,
        le=100,
        description="Wrong passwords for one account before each next one has to wait.",
    )
    login_longest_wait: Duration = Field(
        timedelta(minutes=15),
        description="The wait is 1 s at first and doubles up to this.",
    )
    login_limit_source: RateLimit = Field(
        Rate(30, timedelta(minutes=5)),
        description="Wrong passwords from one address (IPv6: one /64).",
    )
    login_limit_everyone: RateLimit = Field(
        Rate(5000, timedelta(hours=1)),
        description="Wrong passwords from all browsers that never logged in before.",
    )
    sign_up_limit_source: RateLimit = Field(
        Rate(200, timedelta(hours=1)), description="Accounts made from one address."
    )
    max_entries: int = Field(10_000, ge=1, description="Entries a person can keep.")
    max_entries_size: Size = Field(
        ByteSize(50_000_000), description="Space a person's keys and values can take."
    )
    max_value_size: Size = Field(
        ByteSize(256_000), description="Largest value of one entry, in UTF-8."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Lower] = Field(
        "info", description="Least severe message that is logged."
    )

    @property
    def database(self) -> str:
        """The database URL in force, with its driver."""
        return self.database_url or f"sqlite:///{self._folder / 'holdfast.db'}"

    @property
    def session_store(self) -> str:
        """The URL in force for session data."""
        return self.session_url or self.redis_url or self._file_url("sessions")

    @property
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
    if name.endswith("_URL"):
        given = _without_password(given)
    allowed = mistake["msg"].removeprefix("Value error, ")
    return f"{name}={given}: {allowed[:1].lower()}{allowed[1:]}"


def _without_password(url: str) -> str:
    """Leave out what may be one, however wrong the URL is."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    before, at, host = rest.rpartition("@")
    host, mark, _ = (host if at else before or rest).partition("?")
    return f"{scheme}{separator}{'***@' if at else ''}{host}{'?***' if mark else ''}"


def _check_together(settings: Settings) -> None:
    for name in ("session", "kept_session"):
        idle, lifetime = f"{name}_idle", f"{name}_lifetime"
        if getattr(settings, idle) > getattr(settings, lifetime) and (
            idle in settings.model_fields_set
        ):
            raise RefusedToStart(
                f"{idle.upper()}={getattr(settings, idle)}: at most "
                f"{lifetime.upper()} ({getattr(settings, lifetime)})"
            )
    places = [settings.session_store, settings.cache_store]
    folders = [unquote(urlsplit(url).path) for url in places if url[:5] == "file:"]
    if len(folders) == 2 and Path(folders[0]).resolve() == Path(folders[1]).resolve():
        raise RefusedToStart(
            f"CACHE_URL={settings.cache_store}: another folder than SESSION_URL"
        )
