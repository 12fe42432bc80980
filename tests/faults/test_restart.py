"""The main job on the real gunicorn: kill -9, start again, still there."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser
from tests.mongos import Mongo
from tests.other_servers import SERVERS
from tests.servers import ROOT, Gunicorn, Memcached, Redis

pytestmark = pytest.mark.fault("R9")

KEPT = {
    "shopping": ("bread\nmilk", "text"),
    "settings/家": ('{"theme": "dark", "size": [1, 2.5, null]}', "json"),
    "Grüße 👋": ("naïve, \N{RIGHT-TO-LEFT MARK}שלום, tab\t", "text"),
}


def _play(server: Gunicorn) -> Browser:
    """Sign up, keep values, log out, log in: the whole of the main job."""
    alice = Browser(server.client(), "alice").sign_up()
    assert alice.is_logged_in, alice.text
    for key, (value, kind) in KEPT.items():
        assert alice.keep(key, value, kind).status == 200, alice.text
    assert not alice.log_out().is_logged_in
    assert alice.log_in().is_logged_in
    return alice


def _check(alice: Browser) -> None:
    """The same browser, with the same cookie, finds everything as it left it."""
    cookie = alice.client.cookies["session"]
    assert alice.open("/").is_logged_in, alice.text
    assert set(KEPT) <= alice.links().keys()
    assert {key: alice.value(key) for key in KEPT} == {
        key: value for key, (value, _) in KEPT.items()
    }
    assert alice.client.cookies["session"] == cookie
    assert alice.keep("after", "the restart").status == 200
    assert alice.value("after") == "the restart"


@pytest.fixture
def mongo(tmp_path: Path) -> Iterator[Mongo]:
    server = Mongo(tmp_path).start()
    yield server
    server.kill()


@pytest.fixture(params=SERVERS)
def any_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gunicorn]:
    """The application on every server that can run it."""
    server = SERVERS[request.param](tmp_path)
    yield server
    server.close()


def test_kill_9_loses_nobody_and_nothing_on_files(any_server: Gunicorn) -> None:
    alice = _play(any_server.start())
    any_server.kill()
    any_server.start()
    _check(alice)


def test_sigterm_loses_nobody_and_nothing_either(any_server: Gunicorn) -> None:
    alice = _play(any_server.start())
    any_server.stop()
    any_server.start()
    _check(alice)


def test_every_server_logs_a_line_for_each_request_with_its_id(
    any_server: Gunicorn,
) -> None:
    any_server.start()
    asked = any_server.client().get("/login?next=/secret").headers["X-Request-ID"]
    assert any_server.has_logged(asked)
    (line,) = [row for row in any_server.log.read_text().splitlines() if asked in row]
    assert re.search(r'127\.0\.0\.1 "GET /login" 200 \d+ bytes \d+ ms', line)


def test_a_wrong_setting_ends_every_server_with_its_reason(
    any_server: Gunicorn,
) -> None:
    any_server.settings["SESSION_IDLE"] = "soon"
    command, environment = any_server.command(), any_server.environment()
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=environment, capture_output=True, timeout=20, check=False
    )
    assert done.returncode != 0
    assert b"SESSION_IDLE=soon: a number and a unit" in done.stdout + done.stderr


def test_nothing_is_lost_with_the_session_files_and_the_cache(
    server: Gunicorn, tmp_path: Path
) -> None:
    alice = _play(server.start())
    server.kill()
    for folder in ("sessions", "cache"):
        for file in (tmp_path / "data" / folder).iterdir():
            file.unlink()
    server.start()
    _check(alice)


@pytest.mark.parametrize("fate", ["kept", "flushed", "stopped"])
def test_kill_9_loses_nobody_and_nothing_on_redis(
    server: Gunicorn, redis_server: Redis, fate: str
) -> None:
    server.settings["REDIS_URL"] = redis_server.url
    alice = _play(server.start())
    with redis_server.client() as client:
        assert client.dbsize() > 0, "sessions and cached values should be in Redis"
        server.kill()
        if fate == "flushed":
            client.flushall()
    if fate == "stopped":
        redis_server.kill()
    server.start()
    _check(alice)


@pytest.mark.parametrize("fate", ["kept", "restarted", "stopped"])
def test_kill_9_loses_nobody_and_nothing_on_memcached(
    server: Gunicorn, memcached_server: Memcached, fate: str
) -> None:
    alice = _play(_on(server, memcached_server))
    assert memcached_server.values() > 2, "sessions and cached values should be in it"
    server.kill()
    if fate != "kept":
        memcached_server.kill()
    if fate == "restarted":
        memcached_server.start()
        assert memcached_server.values() == 0
    server.start()
    _check(alice)
    assert server.has_logged(f"session data: in {memcached_server.url}, ")


def test_memcached_may_stop_and_come_back_empty_under_a_running_server(
    server: Gunicorn, memcached_server: Memcached
) -> None:
    alice = _play(_on(server, memcached_server))
    memcached_server.kill()
    _check(alice)
    memcached_server.start()
    alice.keep("later", "1")
    assert alice.open("/entries").links().keys() >= {"after", "later"}
    assert "Traceback" not in server.log.read_text()


def test_mongodb_may_stop_and_come_back_at_any_time(
    server: Gunicorn, mongo: Mongo
) -> None:
    """By the real driver, with tests/mongo_server.py in the place of MongoDB."""
    alice = _play(_on(server, mongo))
    # The session, and the mark of this start.
    assert mongo.values("holdfast_session") == 2
    assert mongo.values("holdfast_cache") > 0
    server.kill()
    server.start()
    assert alice.open("/").is_logged_in
    mongo.kill()
    assert alice.open("/").is_logged_in
    server.kill()
    server.start()
    _check(alice)
    mongo.start()
    alice.keep("later", "1")
    assert alice.open("/entries").links().keys() >= {"after", "later"}
    assert "Traceback" not in server.log.read_text()


def _on(server: Gunicorn, store: Memcached | Mongo | Redis) -> Gunicorn:
    server.settings |= {"SESSION_URL": store.url, "CACHE_URL": store.url}
    return server.start()


def test_redis_may_stop_and_come_back_under_a_running_server(
    server: Gunicorn, redis_server: Redis
) -> None:
    server.settings["REDIS_URL"] = redis_server.url
    alice = _play(server.start())
    redis_server.kill()
    _check(alice)
    redis_server.start()
    alice.keep("later", "1")
    assert alice.open("/entries").links().keys() >= {"after", "later"}


@pytest.mark.parametrize("kind", ["redis", "memcached"])
def test_a_session_ended_while_the_store_was_away_stays_ended(
    server: Gunicorn, request: pytest.FixtureRequest, kind: str
) -> None:
    """Its copy outlives the outage in a store that was only unreachable."""
    store = request.getfixturevalue(f"{kind}_server")
    alice = _play(_on(server, store))
    cookie = alice.client.cookies["session"]
    alice.open("/")
    store.freeze()
    alice.log_out()
    store.thaw()
    thief = Browser(server.client(cookies={"session": cookie}), "alice")
    assert not thief.open("/").is_logged_in
    server.kill()
    server.start()
    assert not thief.open("/").is_logged_in


def test_sigterm_stops_cleanly_and_loses_nothing(server: Gunicorn) -> None:
    alice = _play(server.start())
    # A connection that is kept alive is waited for.
    alice.client.close()
    assert server.stop() == 0
    server.start()
    alice.client = server.client(cookies=alice.client.cookies)
    _check(alice)
