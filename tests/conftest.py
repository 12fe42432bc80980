"""The application, the cast (alice owns, bob is a stranger) and their browsers."""

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from config import secret_sources
from config.secret_sources import VAULT_VARIABLES
from config.settings import Settings, load_settings
from tests.browser import Browser
from tests.compiled_once import share
from tests.databases import SERVERS, DatabaseServer, database_server_of
from tests.servers import (
    closed_port,
    memcached_server,
    on_disk,
    quickest_disk,
    redis_server,
    server,
    silent_port,
)
from tests.stores import (
    STORES,
    cluster,
    fake_mongo,
    fake_redis,
    memcached_for_tests,
    mongo_for_tests,
    real_cluster,
    real_memcached,
    real_mongo,
    real_redis,
    real_valkey,
    redis_for_tests,
    store_url,
)
from tests.vault import vault
from webapp import clock, create_app
from webapp.database import Database

__all__ = [
    "closed_port",
    "cluster",
    "fake_mongo",
    "fake_redis",
    "memcached_for_tests",
    "memcached_server",
    "mongo_for_tests",
    "on_disk",
    "real_cluster",
    "real_memcached",
    "real_mongo",
    "real_redis",
    "real_valkey",
    "redis_for_tests",
    "redis_server",
    "server",
    "silent_port",
    "store_url",
    "vault",
]

# Every test makes an application, and Python looks for rubbish in all of them.
gc.set_threshold(100_000, 50, 50)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("sqlite", *SERVERS),
        default="sqlite",
        help="Where the records of every test are.",
    )
    parser.addoption(
        "--stores",
        choices=("files", "redis", "cluster"),
        default="files",
        help="Where the session data and cached values of every test are.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Put folders of tests in memory: every write is on the disk before its answer.

    Leave out what takes long, unless something in particular is asked for.
    """
    if folder := quickest_disk():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(folder))
    if config.args_source is config.ArgsSource.TESTPATHS and not config.option.markexpr:
        config.option.markexpr = "not long"


def pytest_collection_finish() -> None:
    """Look for rubbish no more in what has been imported: it is there to the end."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _settings_of_this_run(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Leave out what is set outside; put state where the options say."""
    for name in (*Settings.model_fields, *VAULT_VARIABLES):
        for variable in (name.upper(), f"{name.upper()}_FILE"):
            monkeypatch.delenv(variable, raising=False)
    secret_sources.forget()
    if request.node.get_closest_marker("embedded"):
        yield
        return
    if (stores := request.config.getoption("--stores")) != "files":
        url = request.getfixturevalue(f"real_{stores}")
        monkeypatch.setenv("REDIS_URL", url)
    server = request.getfixturevalue("database_server")
    if server:
        monkeypatch.setenv("DATABASE_URL", server.url)
    yield
    if server and server.engines:
        server.empty()


@pytest.fixture(scope="session")
def database_server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer | None]:
    """The server that --database names, with all tables; None for SQLite."""
    kind = request.config.getoption("--database")
    if kind == "sqlite":
        yield None
        return
    with database_server_of(kind) as server, pytest.MonkeyPatch.context() as patch:
        server.keep_connections(patch)
        Database(load_settings(database_url=server.url).database).upgrade()
        yield server


@pytest.fixture(scope="session")
def redis_pools() -> Iterator[WeakSet[redis.ConnectionPool]]:
    """Whatever this process has for its connections to Redis."""
    pools: WeakSet[redis.ConnectionPool] = WeakSet()
    make = redis.ConnectionPool.__init__

    def note(pool: redis.ConnectionPool, *given: Any, **named: Any) -> None:
        make(pool, *given, **named)
        pools.add(pool)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis.ConnectionPool, "__init__", note)
        yield pools


@pytest.fixture(autouse=True)
def _leave_no_connection(redis_pools: WeakSet[redis.ConnectionPool]) -> Iterator[None]:
    """Close what a test leaves open: a later one would be told of it.

    A store and its client know each other, so only the garbage collector ends them,
    and it may come to a socket before it comes to the connection that would close it.
    A pool that is used again connects again.
    """
    yield
    for pool in list(redis_pools):
        pool.disconnect()
    redis_pools.clear()


@pytest.fixture(autouse=True)
def _clock_of_today() -> None:
    """Forget how far an earlier test travelled: the clock never goes back by itself."""
    clock.start()


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        share(patch)
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is promised of every store on a Cluster too, where one is asked for."""
    own = metafunc.definition.iter_markers("parametrize")
    chosen = any("store_url" in mark.args[0] for mark in own)
    if "store_url" in metafunc.fixturenames and not chosen:
        more = ["cluster"] if metafunc.config.getoption("--stores") == "cluster" else []
        metafunc.parametrize("store_url", [*STORES, *more], indirect=True)


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
def database(settings: Settings) -> Database:
    """Records without an application."""
    return Database(settings.database)


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
        browser.enter("/login" if name in known else "/signup")
        known.add(name)
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
