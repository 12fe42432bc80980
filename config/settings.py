"""Every setting: its name in the environment, type, default and meaning.

Nothing has to be set. A wrong value stops the start, one line per mistake.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, ByteSize, ConfigDict, Field, ValidationError

from config.kinds import (
    HELD_HERE,
    Address,
    DatabaseUrl,
    Duration,
    EncryptionKeys,
    Lower,
    RangeUrl,
    Rate,
    RateLimit,
    RedisUrl,
    Size,
    StoreUrl,
    Trust,
    join_keys,
    sqlite_url,
    write_duration,
)
from config.mistakes import RefusedToStart, explain
from config.secret_sources import fetch
from config.urls import split_url


class Settings(BaseModel):
    """One attribute per setting; the variable has the same name in capitals."""

    model_config = ConfigDict(
        frozen=True, hide_input_in_errors=True, validate_default=True
    )

    port: int = Field(8000, ge=1, le=65535, description="TCP port to listen on.")
    bind_address: Address = Field(
        "127.0.0.1", description="Address to listen on; `0.0.0.0` for all."
    )
    web_concurrency: int = Field(
        1,
        ge=1,
        le=64,
        description="Workers, where `DATABASE_URL` and Redis, or what else is not on "
        "this machine, let them share all state; else one, whatever platforms set.",
    )
    data_dir: Path = Field(
        Path("var"), description="Folder of everything that is kept in files."
    )
    database_url: DatabaseUrl | None = Field(
        None,
        repr=False,
        description="Where the records are: `sqlite:///path`, `postgres://…` or "
        "`mysql://…`. Unset: `holdfast.db` in `DATA_DIR`.",
    )
    redis_url: RedisUrl | None = Field(
        None,
        repr=False,
        description="When set, session data and cached values move there: "
        "`redis://…`, `rediss://…`, `redis+sentinel://host,host/service` or "
        "`redis+cluster://host,host`; `valkey://…` and so on as well.",
    )
    redis_certificate: Annotated[Literal["checked", "any"], Lower] = Field(
        "checked",
        description="With `rediss://…`: whether the server may have signed its own, "
        "as Heroku's do. `?ssl_ca_certs=FILE` in the URL names who may sign.",
    )
    session_url: StoreUrl | None = Field(
        None,
        repr=False,
        description="Where session data is: `memory://`, `file:///path`, as "
        "`REDIS_URL`, `memcached://host,host` or `mongodb://…`. Unset: `REDIS_URL`, "
        "else a folder in `DATA_DIR`.",
    )
    cache_url: StoreUrl | None = Field(
        None, repr=False, description="Where cached values are; as `SESSION_URL`."
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
    plain_http: Annotated[Literal["redirected", "served"], Lower] = Field(
        "redirected",
        description="What becomes of a request that came to the proxy without TLS: "
        "it is sent on to `https://`, or served.",
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
    breached_passwords: Annotated[Literal["allowed", "refused"], Lower] = Field(
        "allowed",
        description="Whether a new password can be one that is known from a data "
        "breach. To refuse it, each is looked up at another server.",
    )
    breached_passwords_url: RangeUrl = Field(
        "https://api.pwnedpasswords.com/range/",
        description="Where: Have I Been Pwned's range API, or a mirror of it.",
    )
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
        Rate(200, timedelta(hours=1)),
        description="Tries to make an account from one address.",
    )
    api_limit: RateLimit = Field(
        Rate(600, timedelta(minutes=1)),
        description="Requests of one token, or of one browser, to the API.",
    )
    api_if_match: Annotated[Literal["optional", "needed"], Lower] = Field(
        "optional",
        description="Whether a program has to say, by `If-Match`, which version of an "
        "entry it saw before it can replace, patch or delete it.",
    )
    max_entries: int = Field(10_000, ge=1, description="Entries a person can keep.")
    max_entries_size: Size = Field(
        ByteSize(50_000_000), description="Space a person's keys and values can take."
    )
    max_value_size: Size = Field(
        ByteSize(256_000), description="Largest value of one entry, in UTF-8."
    )
    max_import_size: Size = Field(
        ByteSize(10_000_000), description="Largest file that entries are imported from."
    )
    bin_lifetime: Duration = Field(
        timedelta(days=30),
        description="How long deleted entries can be had back, with their history.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Lower] = Field(
        "info", description="Least severe message that is logged."
    )
    log_format: Annotated[Literal["text", "json"], Lower] = Field(
        "text", description="Log lines for people, or one JSON object each."
    )
    metrics_token: str | None = Field(
        None,
        repr=False,
        min_length=16,
        description="What `/metrics` wants as `Authorization: Bearer …`, 16 characters "
        "or more. Unset: it answers this machine only.",
    )
    encryption_keys: EncryptionKeys = Field(
        (),
        repr=False,
        description="Keys of secret entries, with commas between: the first encrypts, "
        "each decrypts. From Vault or AWS former versions follow by themselves. Unset: "
        "no entry can be secret.",
    )

    @property
    def database(self) -> str:
        """The database URL in force, with its driver."""
        return self.database_url or sqlite_url(self._folder / "holdfast.db")

    @property
    def session_store(self) -> str:
        """The URL in force for session data."""
        return self.session_url or self.redis_url or self._file_url("sessions")

    @property
    def cache_store(self) -> str:
        """The URL in force for cached values."""
        return self.cache_url or self.redis_url or self._file_url("cache")

    def source_of(self, *names: str) -> str:
        """Name the setting that says where something is: one of these, or DATA_DIR."""
        given = [name for name in names if getattr(self, name)]
        return (given or ["data_dir"])[0].upper()

    @property
    def workers(self) -> int:
        """How many processes serve on this machine."""
        return 1 if self.held_here else self.web_concurrency

    @property
    def held_here(self) -> str:
        """What keeps state where only this machine has it; empty when nothing does."""
        if self.database.startswith("sqlite"):
            return "the records are in a SQLite file (DATABASE_URL)"
        for name, url in (
            ("session data is", self.session_store),
            ("cached values are", self.cache_store),
        ):
            if split_url(url).scheme in HELD_HERE:
                return f"{name} in {url} (REDIS_URL)"
        return ""

    @property
    def _folder(self) -> Path:
        return self.data_dir.absolute()

    def _file_url(self, name: str) -> str:
        return (self._folder / name).as_uri()


def load_settings(**given: Any) -> Settings:
    """Read the environment and what it points to; keyword arguments come first.

    Raises RefusedToStart with one line per mistake: the name, what was given,
    what is allowed.
    """
    names = [name for name in Settings.model_fields if name not in given]
    fetched = fetch(names, {"encryption_keys": join_keys})
    mistakes = dict(fetched.mistakes)
    try:
        settings = Settings(**(fetched.values | given))
    except ValidationError as error:
        for mistake in error.errors():
            name = str(mistake["loc"][0])
            mistakes.setdefault(name, explain(mistake, fetched.origins.get(name)))
        raise RefusedToStart("\n".join(mistakes.values())) from None
    if mistakes:
        raise RefusedToStart("\n".join(mistakes.values()))
    check_together(settings)
    return settings


def check_together(settings: Settings) -> None:
    """Raise RefusedToStart where each setting is right and two of them are not."""
    for name in ("session", "kept_session"):
        idle, lifetime = f"{name}_idle", f"{name}_lifetime"
        if getattr(settings, idle) > getattr(settings, lifetime) and (
            idle in settings.model_fields_set
        ):
            given, most = (
                write_duration(getattr(settings, each)) for each in (idle, lifetime)
            )
            raise RefusedToStart(
                f"{idle.upper()}={given}: at most {lifetime.upper()} ({most})"
            )
    places = [settings.session_store, settings.cache_store]
    folders = [unquote(split_url(url).path) for url in places if url[:5] == "file:"]
    if len(folders) == 2 and Path(folders[0]).resolve() == Path(folders[1]).resolve():
        raise RefusedToStart(
            f"CACHE_URL={settings.cache_store}: another folder than SESSION_URL"
        )
