"""The main job on the real gunicorn: kill -9, start again, still there."""

from pathlib import Path

import pytest

from tests.browser import Browser
from tests.servers import Gunicorn, Redis

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


def test_kill_9_loses_nobody_and_nothing_on_files(server: Gunicorn) -> None:
    alice = _play(server.start())
    server.kill()
    server.start()
    _check(alice)


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


def test_a_session_ended_while_redis_was_away_stays_ended(
    server: Gunicorn, redis_server: Redis
) -> None:
    """Its copy outlives the outage in a Redis that was only unreachable."""
    server.settings["REDIS_URL"] = redis_server.url
    alice = _play(server.start())
    cookie = alice.client.cookies["session"]
    alice.open("/")
    redis_server.freeze()
    alice.log_out()
    redis_server.thaw()
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
