"""The lines at the start: where each kind of state is, and whether it lasts."""

import logging
from pathlib import Path
from typing import Any

import pytest

from config.kinds import MAKE_KEY
from config.platform import Disk
from config.settings import Settings, load_settings
from tests.servers import Gunicorn
from webapp import create_app, lasting
from webapp.database import Database

pytestmark = pytest.mark.embedded

KINDS = ("records", "session data", "cached values")
KEY = "Zm91ciBzbWFsbCBib2F0cyBpbiBhIHF1aWV0IGhhcmI="


def said(
    settings: Settings, caplog: pytest.LogCaptureFixture, **changed: Any
) -> tuple[list[str], list[str]]:
    """Return what is said at the start in these settings, and what is warned of."""
    given = settings.model_dump(include={"data_dir", "password_memory_kib"})
    app = create_app(load_settings(**{"encryption_keys": KEY} | given | changed))
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="webapp.state.places"):
        app.extensions["places"].say()
    records = [row for row in caplog.records if row.name == "webapp.state.places"]
    lines = [row.getMessage() for row in records if row.levelno == logging.INFO]
    warnings = [row.getMessage() for row in records if row.levelno == logging.WARNING]
    return lines, warnings


def test_one_line_for_each_kind_of_state(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lasting, "disk_of", lambda _folder: Disk())
    lines, warnings = said(settings, caplog)
    assert [line.split(":")[0] for line in lines] == list(KINDS)
    assert all("survives a restart and a redeploy" in line for line in lines)
    assert str(settings.data_dir / "holdfast.db") in lines[0]
    assert warnings == []


def test_a_disk_that_is_thrown_away_is_a_loud_warning(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = Disk(restart=False, redeploy=False, why="this platform throws it away")
    monkeypatch.setattr(lasting, "disk_of", lambda _folder: gone)
    lines, warnings = said(settings, caplog)
    assert all("neither a restart nor a redeploy" in line for line in lines)
    assert len(warnings) == 2
    assert warnings[0].startswith("RECORDS: this platform throws it away;")
    assert "DATABASE_URL" in warnings[0]
    assert warnings[1].startswith("SESSION DATA:")
    assert "nobody is logged out" in warnings[1]


def test_a_file_of_its_own_on_such_a_disk_is_advised_of_by_its_setting(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    gone = Disk(redeploy=False, why="it is thrown away")
    monkeypatch.setattr(lasting, "disk_of", lambda _folder: gone)
    url = f"sqlite:///{tmp_path / 'own.db'}"
    _, warnings = said(settings, caplog, database_url=url)
    assert "Let DATABASE_URL name" in warnings[0]


def test_memory_is_warned_of(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lasting, "disk_of", lambda _folder: Disk())
    lines, warnings = said(
        settings, caplog, session_url="memory://", cache_url="memory://"
    )
    assert "neither" in lines[1]
    (warning,) = warnings
    assert warning.startswith("SESSION DATA: it ends with the process;")
    assert "SESSION_URL" in warning
    assert "DATA_DIR" not in warning


def test_a_redis_without_persistence_is_warned_of(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    real_redis: str,
) -> None:
    monkeypatch.setattr(lasting, "disk_of", lambda _folder: Disk())
    lines, warnings = said(settings, caplog, redis_url=real_redis)
    assert real_redis in lines[1]
    (warning,) = warnings
    assert "keeps nothing on disk" in warning
    assert "appendonly yes" in warning


def test_memcached_is_warned_of_for_it_keeps_nothing(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    real_memcached: str,
) -> None:
    monkeypatch.setattr(lasting, "disk_of", lambda _folder: Disk())
    lines, warnings = said(settings, caplog, session_url=real_memcached)
    assert f"in {real_memcached}, survives a restart and a redeploy" in lines[1]
    (warning,) = warnings
    assert warning.startswith("SESSION DATA: Memcached keeps nothing on disk")


def test_no_password_is_said(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    url = "redis://someone:hunter2@127.0.0.1:1/0"
    lines, warnings = said(settings, caplog, redis_url=url)
    assert "redis://127.0.0.1:1/0" in lines[1]
    assert "not known" in lines[1]
    assert "hunter2" not in caplog.text + "".join(lines + warnings)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://someone:hunter2@db/holdfast",
        "postgresql+psycopg://db/holdfast?user=someone&password=hunter2",
        "mysql+pymysql://db/holdfast?passwd=hunter2",
    ],
)
def test_no_password_of_the_database_is_said_either(url: str) -> None:
    place = Database(url).place
    assert "hunter2" not in place
    assert place.endswith(("@db/holdfast", "//db/holdfast"))


def test_workers_that_are_not_started_are_explained(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    lines, _ = said(settings, caplog, web_concurrency=4)
    assert "One worker, not WEB_CONCURRENCY=4: the records are in a SQLite" in lines[3]


def test_without_a_key_for_secret_entries_it_says_how_to_get_one(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    lines, _ = said(settings, caplog, encryption_keys=())
    assert "ENCRYPTION_KEYS" in lines[3]
    assert MAKE_KEY in lines[3]


@pytest.mark.long
def test_gunicorn_says_it_at_its_start(server: Gunicorn, on_disk: Path) -> None:
    server.settings |= {"DYNO": "web.1", "DATA_DIR": str(on_disk)}
    server.start()
    assert server.has_logged("RECORDS: Heroku (or Dokku) gives each process a new disk")
    log = server.log.read_text()
    assert [log.count(f" {kind}: in ") for kind in KINDS] == [1, 1, 1]
