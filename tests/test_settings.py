"""Nothing has to be set; what is set wrongly stops the start in plain words."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.mistakes import RefusedToStart
from config.settings import Settings, load_settings
from tests.browser import PASSWORD
from tests.servers import ROOT
from webapp import create_app

pytestmark = pytest.mark.embedded

DURATIONS = (
    *("SESSION_IDLE", "SESSION_LIFETIME", "KEPT_SESSION_IDLE"),
    *("KEPT_SESSION_LIFETIME", "FRESH_FOR", "LOGIN_LONGEST_WAIT"),
    *("BIN_LIFETIME", "SESSION_TRUST"),
)
RATES = (
    *("LOGIN_LIMIT_SOURCE", "LOGIN_LIMIT_EVERYONE", "SIGN_UP_LIMIT_SOURCE"),
    "API_LIMIT",
)
SIZES = ("MAX_VALUE_SIZE", "MAX_ENTRIES_SIZE", "MAX_IMPORT_SIZE")
COUNTS = ("HASH_QUEUE", "LOGIN_ATTEMPTS", "MAX_SESSIONS")
STORES = ("SESSION_URL", "CACHE_URL")
NO_ADDRESS = ("999.1.1.1", "1.2.3", "127.0.0.1:80", "x" * 70, "::", "[::g]", "a b")
NO_DATABASE = ("redis://cache/abc", "redis://cache/1/2", "redis://cache/-1")
NO_DURATION = ("soon", "12", "-5m", "5 weeks", "1.5h", "m", "99999999999d")
NO_SIZE = ("lots", "-1", "12XB", "kB")
KEY = "Zm91ciBzbWFsbCBib2F0cyBpbiBhIHF1aWV0IGhhcmI="
NO_KEYS = ("quiet harbour", KEY[:-1], KEY[4:], KEY * 2, "é" * 44, "{" + KEY, "é" + KEY)
NO_KEY = "number 1 is no key.*openssl rand"
# The setting, what it is given, and a pattern of what the line says is allowed.
WRONG = [
    ("PORT", "eighty", "integer"),
    ("PORT", "80.5", "integer"),
    ("PORT", "0", r"\b1$"),
    ("PORT", "65536", "65535"),
    *(("BIND_ADDRESS", address, "127.0.0.1, 0.0.0.0 or") for address in NO_ADDRESS),
    ("TRUSTED_PROXIES", "all", "integer"),
    ("TRUSTED_PROXIES", "-1", r"\b0$"),
    ("TRUSTED_PROXIES", "11", r"\b10$"),
    ("SIGN_UP", "yes", "'open' or 'closed'"),
    ("API_IF_MATCH", "yes", "'optional' or 'needed'"),
    ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
    ("PASSWORD_MIN_LENGTH", "7", r"\b8$"),
    ("PASSWORD_MIN_LENGTH", "129", "128"),
    ("PASSWORD_MEMORY_KIB", "7", r"\b8$"),
    ("PASSWORD_MEMORY_KIB", "1048577", "1048576"),
    ("PASSWORD_ROUNDS", "0", r"\b1$"),
    ("PASSWORD_ROUNDS", "65", "64"),
    ("MAX_ENTRIES", "0", r"\b1$"),
    ("MAX_ENTRIES", "many", "integer"),
    ("DATABASE_URL", "oracle://db", "sqlite://, postgres://"),
    ("DATABASE_URL", "holdfast.db", "sqlite://, postgres://"),
    ("DATABASE_URL", "postgres:db", "sqlite://, postgres://"),
    ("DATABASE_URL", "postgres://db:port/holdfast", "port"),
    ("REDIS_URL", "http://cache", "redis://, rediss://, redis.sentinel://"),
    ("REDIS_URL", "cache:6379", "redis://, rediss://, redis.sentinel://"),
    ("REDIS_URL", "redis+cluster://one:7000,two:port", "port"),
    ("REDIS_CERTIFICATE", "none", "'checked' or 'any'"),
    ("REDIS_URL", "redis://cache:port/0", "port"),
    *(("REDIS_URL", url, "number of a database") for url in NO_DATABASE),
    ("SESSION_URL", "valkeys://cache/abc", "number of a database"),
    ("CACHE_URL", "redis+sentinel://one,two/service/abc", "/service"),
    *(("CACHE_URL", f"redis+sentinel://a,b{end}", "/service") for end in ("", "/")),
    ("SESSION_URL", "redis+cluster://one,two/1", "no database"),
    *((name, "sqlite://cache", "memory://, file://") for name in STORES),
    *((name, "file://folder", "file:/// and an absolute path") for name in STORES),
    *((name, "redis://cache:port/0", "port") for name in STORES),
    *((name, value, "90s, 15m, 12h") for name in DURATIONS for value in NO_DURATION),
    *((name, "0s", "second|1s") for name in DURATIONS[:-1]),
    *((name, "999999999d", "at most|less") for name in DURATIONS[:-1]),
    *((name, "30000d", "at most|less") for name in DURATIONS[:-1]),
    *((name, value, r"\d ?[kM]i?B\b") for name in SIZES for value in NO_SIZE),
    *((name, "0", "greater|at least") for name in SIZES),
    *((name, value, "30/5m") for name in RATES for value in ("30", "30/m", "0/5m")),
    ("PLAIN_HTTP", "no", "'redirected' or 'served'"),
    ("WEB_CONCURRENCY", "0", r"\b1$"),
    ("WEB_CONCURRENCY", "65", "64"),
    ("WEB_CONCURRENCY", "auto", "integer"),
    ("LOG_FORMAT", "xml", "'text' or 'json'"),
    ("METRICS_TOKEN", "x" * 15, "16"),
    *(("ENCRYPTION_KEYS", keys, NO_KEY) for keys in NO_KEYS),
    ("ENCRYPTION_KEYS", f"{KEY},", "number 2 is no key"),
    ("ENCRYPTION_KEYS", f"{KEY},{KEY[:-4]}", "number 2 is no key"),
    *((name, "0", r"\b1$") for name in COUNTS),
    ("BREACHED_PASSWORDS", "yes", "'allowed' or 'refused'"),
    ("BREACHED_PASSWORDS_URL", "http://mirror.example/", "https://"),
]  # fmt: skip


def _refusal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    """Return the lines of the refusal to start in this environment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RefusedToStart) as caught:
        load_settings()
    return str(caught.value).splitlines()


def test_nothing_has_to_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.database == f"sqlite:///{tmp_path}/var/holdfast.db"
    assert settings.session_store == (tmp_path / "var" / "sessions").as_uri()
    assert settings.cache_store == (tmp_path / "var" / "cache").as_uri()
    assert create_app().test_client().get("/login").status_code == 200


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = load_settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert load_settings() == unset


def test_every_setting_has_wrong_values_here() -> None:
    names = {name.lower() for name, _, _ in WRONG}
    assert names == Settings.model_fields.keys() - {"data_dir"}


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "[::]", "localhost"])  # noqa: S104
def test_an_address_to_listen_on_is_taken_as_it_is(address: str) -> None:
    assert load_settings(bind_address=address).bind_address == address


@pytest.mark.parametrize(
    ("name", "value", "allowed"), WRONG, ids=[f"{case[0]}={case[1]}" for case in WRONG]
)
def test_a_wrong_value_is_one_line_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    lines = _refusal(monkeypatch, **{name: value})
    assert len(lines) == 1
    shown = "***" if name in ("METRICS_TOKEN", "ENCRYPTION_KEYS") else value
    assert lines[0].startswith(f"{name}={shown}: ")
    said = lines[0].removeprefix(f"{name}={shown}: ")
    assert re.search(allowed, said), said
    assert "datetime" not in said, "the operator may not know Python"


def test_every_mistake_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"PORT": "0", "SIGN_UP": "yes", "REDIS_URL": "x", "SESSION_IDLE": "soon"}
    lines = _refusal(monkeypatch, **wrong)
    assert sorted(line.split("=")[0] for line in lines) == sorted(wrong)


@pytest.mark.parametrize(
    "value",
    [
        "oracle://alice:hunter2@db/holdfast",
        "oracle://:hunter2@db",
        "oracle://alice:hun/hunter2@db",
        "oracle://alice:hun@hunter2@db",
        "oracle://db/holdfast?user=alice&password=hunter2",
        "alice:hunter2@db/holdfast",
        "postgres:alice:hunter2@db",
    ],
    ids=["usual", "no user", "slash", "at sign", "query", "no scheme", "no slashes"],
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "SESSION_URL"])
def test_a_password_in_a_url_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    [line] = _refusal(monkeypatch, **{name: value})
    assert line.startswith(f"{name}=")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        (" 15 m ", timedelta(minutes=15)),
    ],
)
def test_durations(
    monkeypatch: pytest.MonkeyPatch, given: str, read: timedelta
) -> None:
    monkeypatch.setenv("SESSION_LIFETIME", given)
    assert load_settings().session_lifetime == read


def test_a_session_can_be_checked_at_every_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SESSION_TRUST", "0s")
    assert load_settings().session_trust == timedelta(0)


@pytest.mark.parametrize(
    ("given", "read"),
    [("1000", 1000), ("256kB", 256_000), ("1MiB", 1_048_576), ("1.5 MB", 1_500_000)],
)
def test_sizes(monkeypatch: pytest.MonkeyPatch, given: str, read: int) -> None:
    monkeypatch.setenv("MAX_VALUE_SIZE", given)
    assert load_settings().max_value_size == read


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgres", "postgresql+psycopg"),
        ("postgresql", "postgresql+psycopg"),
        ("postgresql+psycopg2", "postgresql+psycopg"),
        ("mysql", "mysql+pymysql"),
        ("mysql+mysqldb", "mysql+pymysql"),
        ("mariadb", "mysql+pymysql"),
    ],
)
def test_a_database_url_as_platforms_write_it(
    monkeypatch: pytest.MonkeyPatch, given: str, driver: str
) -> None:
    place = "u:p%40w@db.example:5432/holdfast?sslmode=require"
    monkeypatch.setenv("DATABASE_URL", f"{given}://{place}")
    assert load_settings().database == f"{driver}://{place}"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////tmp/x.db?no_such=1",
        "mysql://u@127.0.0.1:1/d?no_such=1",
    ],
)
def test_a_database_that_cannot_be_opened_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(RefusedToStart):
        create_app(load_settings(data_dir=tmp_path, database_url=url))


REFUSED = "redis://alice:hunter2@127.0.0.1:1/0?nope=1"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"database_url": "postgres://alice:hunter2@127.0.0.1:1/x"}, "DATABASE_URL"),
        ({"database_url": "mysql://u:hunter2@127.0.0.1:1/d?no_such=1"}, "DATABASE_URL"),
        ({"redis_url": REFUSED}, "REDIS_URL"),
        ({"session_url": REFUSED}, "SESSION_URL"),
        ({"redis_url": "redis://127.0.0.1:1", "cache_url": REFUSED}, "CACHE_URL"),
        ({"session_url": "file:///dev/null/x"}, "SESSION_URL"),
        ({"database_url": "sqlite:////dev/null/x.db"}, "DATABASE_URL"),
    ],
)
def test_what_cannot_be_opened_is_one_line_that_names_the_setting(
    tmp_path: Path, given: dict[str, str], named: str
) -> None:
    with pytest.raises(RefusedToStart) as caught:
        create_app(load_settings(data_dir=tmp_path, **given))
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"{named}: ")
    assert not line.endswith("?.")
    assert "hunter2" not in str(caught.value)


def test_each_store_that_cannot_be_opened_has_its_line(tmp_path: Path) -> None:
    given = {"session_url": REFUSED, "cache_url": REFUSED}
    with pytest.raises(RefusedToStart) as caught:
        create_app(load_settings(data_dir=tmp_path, **given))
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["SESSION_URL", "CACHE_URL"]


def test_a_folder_that_cannot_be_made_names_the_setting_of_it() -> None:
    with pytest.raises(RefusedToStart, match=r"^DATA_DIR: /dev/null"):
        create_app(load_settings(data_dir="/dev/null"))


@pytest.mark.parametrize(
    ("given", "sessions", "cache"),
    [
        ({"redis_url": "redis://a"}, "redis://a", "redis://a"),
        (
            {"redis_url": "redis://a", "session_url": "memory://"},
            "memory://",
            "redis://a",
        ),
        (
            {"redis_url": "redis://a", "cache_url": "rediss://b"},
            "redis://a",
            "rediss://b",
        ),
        ({"session_url": "memory://", "cache_url": "memory://"},) + ("memory://",) * 2,
        ({"cache_url": "memory://"}, "file:///d/sessions", "memory://"),
        ({"session_url": "file:///s"}, "file:///s", "file:///d/cache"),
    ],
    ids=["both", "session apart", "cache apart", "memory", "cache", "folder"],
)
def test_where_sessions_and_cached_values_are(
    given: dict[str, str], sessions: str, cache: str
) -> None:
    settings = load_settings(data_dir="/d", **given)
    assert (settings.session_store, settings.cache_store) == (sessions, cache)


@pytest.mark.parametrize("name", ["per%cent", "a%20b", "what?", "a#b", "é ü", "a@b:c"])
def test_everything_is_in_the_folder_whatever_its_name(
    tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name
    app = create_app(load_settings(data_dir=folder, password_memory_kib=8))
    file = str(folder / "backup.zip")
    for command in (
        ["user", "create", "alice", "--password", PASSWORD],
        ["state", "backup", file],
        ["state", "restore", "--force", file],
    ):
        done = app.test_cli_runner().invoke(args=command)
        assert done.exit_code == 0, done.output
    kept = {path.name for path in folder.iterdir()}
    assert kept >= {"holdfast.db", "sessions", "cache"}
    assert list(tmp_path.iterdir()) == [folder]


def test_an_idle_time_beyond_the_lifetime_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [line] = _refusal(monkeypatch, SESSION_IDLE="90m", SESSION_LIFETIME="1h")
    assert line == "SESSION_IDLE=90m: at most SESSION_LIFETIME (1h)"


@pytest.mark.parametrize(
    "cache", ["/s", "/s/", "/x/../s", "/%73", "/link"], ids=lambda path: path[1:]
)
def test_one_folder_for_both_stores_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "s")
    folder = tmp_path.as_uri()
    [line] = _refusal(
        monkeypatch, SESSION_URL=f"{folder}/s", CACHE_URL=f"{folder}{cache}"
    )
    assert line == f"CACHE_URL={folder}{cache}: another folder than SESSION_URL"


def test_the_default_folder_counts_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = (tmp_path / "sessions").as_uri()
    [line] = _refusal(monkeypatch, DATA_DIR=str(tmp_path), CACHE_URL=sessions)
    assert "another folder" in line


def test_keyword_arguments_come_before_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORT", "9000")
    assert load_settings().port == 9000
    assert load_settings(port=9001).port == 9001


def _start(*command: str, **environment: str) -> Any:
    return subprocess.run(  # noqa: S603
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "status"), [(["python", "wsgi.py"], 3), (["gunicorn"], 1)]
)
def test_the_operator_reads_a_sentence(
    tmp_path: Path, command: list[str], status: int
) -> None:
    done = _start(*command, DATA_DIR=str(tmp_path), PORT="eighty", SIGN_UP="yes")
    assert done.returncode == status
    assert "Holdfast does not start" in done.stderr
    assert "PORT=eighty: " in done.stderr
    assert "SIGN_UP=yes: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_the_table_of_state_is_there_where_the_database_is_away(tmp_path: Path) -> None:
    url = "postgres://alice:hunter2@127.0.0.1:1/holdfast"
    done = _start("flask", "state", DATABASE_URL=url, DATA_DIR=str(tmp_path))
    assert done.returncode == 1, done.stderr
    assert "The records cannot be used. DATABASE_URL: " in done.stderr
    line = r"^records +postgresql://\S+( +\?){5}$"
    assert re.search(line, done.stdout, re.MULTILINE)
    assert "session copies" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize(("lost", "left"), [("", b""), ("-wal", b"log")])
def test_the_table_of_state_makes_no_database_where_one_was_lost(
    tmp_path: Path, lost: str, left: bytes
) -> None:
    (tmp_path / f"holdfast.db{lost}").write_bytes(left)
    for _ in range(2):
        done = _start("flask", "state", DATA_DIR=str(tmp_path))
        assert done.returncode == 1, done.stderr
        assert "Restore a backup" in done.stderr
    files = {file.name: file.read_bytes() for file in tmp_path.glob("holdfast.db*")}
    assert files == {f"holdfast.db{lost}": left}
