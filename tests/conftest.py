"""The application, the cast (alice owns, bob is a stranger) and their browsers."""

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from jinja2 import FileSystemBytecodeCache

from config.settings import Settings, load_settings
from tests.browser import Browser
from tests.servers import Redis, redis_server, server
from webapp import clock, create_app
from webapp.database import Database

__all__ = ["redis_server", "server"]

# Every test makes an application, and Python looks for rubbish in all of them.
gc.set_threshold(100_000, 50, 50)

FAKE_REDIS = "redis://fake.invalid:6379/0"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
def _clock_of_today() -> None:
    """Forget how far an earlier test travelled: the clock never goes back by itself."""
    clock.start()


@pytest.fixture(scope="session", autouse=True)
def _templates_compiled_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every test makes an application, and each would compile every page anew."""
    compiled = FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))
    Flask.jinja_options = {"bytecode_cache": compiled}


@pytest.fixture(scope="session")
def redis_for_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Redis: TEST_REDIS_URL, or one started here.

    Tests that run side by side have a database each, counted from the one given.
    """
    if url := os.environ.get("TEST_REDIS_URL"):
        base, _, database = url.rpartition("/")
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        yield f"{base}/{int(database) + int(worker)}"
        return
    server = Redis(tmp_path_factory.mktemp("redis")).start()
    yield server.url
    server.kill()


@pytest.fixture
def real_redis(redis_for_tests: str) -> Iterator[str]:
    """The URL of an empty database on a real Redis."""
    with redis.Redis.from_url(redis_for_tests) as client:
        client.flushdb()
        yield redis_for_tests
        client.flushdb()


@pytest.fixture
def fake_redis(monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL behind which every client of this test finds the same fake Redis."""
    server = fakeredis.FakeServer()

    def connect(url: str, **_options: Any) -> fakeredis.FakeRedis:
        assert url == FAKE_REDIS
        return fakeredis.FakeRedis(server=server)

    monkeypatch.setattr(redis.Redis, "from_url", connect)
    return FAKE_REDIS


@pytest.fixture(params=["memory", "file", "fakeredis", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of every kind of store in turn."""
    match request.param:
        case "memory":
            return "memory://"
        case "file":
            return (tmp_path / "store").as_uri()
        case "fakeredis":
            return str(request.getfixturevalue("fake_redis"))
        case _:
            return str(request.getfixturevalue("real_redis"))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables; copying it is faster than making each anew."""
    file = tmp_path_factory.mktemp("empty") / "holdfast.db"
    database = Database(f"sqlite:///{file}")
    database.upgrade()
    database.engine.dispose()
    return file


@pytest.fixture
def settings(tmp_path: Path, empty_database: Path) -> Settings:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    shutil.copy(empty_database, folder / "holdfast.db")
    return load_settings(data_dir=folder, password_memory_kib=8, password_rounds=1)


@pytest.fixture
def app(settings: Settings) -> Flask:
    return create_app(settings)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def cli(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def browser_of(app: Flask) -> Callable[[str], Browser]:
    """Make another browser, logged in; the account is made when it is new."""
    known = set()

    def make(name: str) -> Browser:
        browser = Browser(app.test_client(), name)
        browser.log_in() if name in known else browser.sign_up()
        known.add(name)
        assert browser.is_logged_in, browser.text
        return browser

    return make


@pytest.fixture
def alice(browser_of: Callable[[str], Browser]) -> Browser:
    return browser_of("alice")


@pytest.fixture
def bob(browser_of: Callable[[str], Browser]) -> Browser:
    return browser_of("bob")


@pytest.fixture
def operator(cli: FlaskCliRunner) -> Callable[..., str]:
    """Run a command as the operator would, and return what it says."""

    def run(command: str, status: int = 0) -> str:
        result = cli.invoke(args=command.split())
        assert result.exit_code == status, result.output
        return str(result.output)

    return run
