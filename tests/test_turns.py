"""One of each source in turn, however often somebody asks."""

import gevent
import pytest
from gevent.event import Event
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import create_environ, run_wsgi_app

from config.turns import Turns, source_of

PEER = "192.0.2.1"
ALICE = "198.51.100.7"
FORWARDED = [
    [],
    [ALICE],
    [f"{ALICE}, 203.0.113.1"],
    [f"6.6.6.6,{ALICE} , 203.0.113.1"],
    ["6.6.6.6", f"{ALICE}, 203.0.113.1"],
    [""],
    [f"{ALICE},"],
    ["::1, 2001:db8::7"],
]


@pytest.fixture
def turns() -> Turns:
    return Turns(gevent.get_hub().loop)


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("aaaaaaaab", "aabaaaaaa"),
        ("aaaabbbbcd", "aabcdababb"),
        ("aaaa", "aaaa"),
        ("abc", "abc"),
    ],
)
def test_nobody_waits_for_all_that_another_asked(
    turns: Turns, asked: str, served: str
) -> None:
    order = ""

    def serve(source: str) -> None:
        nonlocal order
        turns.wait(source)
        order += source

    gevent.joinall([gevent.spawn(serve, each) for each in asked], timeout=10)
    assert order == served


def test_who_waits_for_the_network_keeps_nobody_waiting(turns: Turns) -> None:
    arrived = Event()

    def wait() -> object:
        turns.wait("a")
        return arrived.wait(10)

    def arrive() -> None:
        turns.wait("a")
        arrived.set()

    waiting = gevent.spawn(wait)
    gevent.spawn(arrive).join(10)
    assert waiting.get(timeout=10)


def test_the_turn_of_one_who_has_gone_passes(turns: Turns) -> None:
    waiting = [gevent.spawn(turns.wait, "a") for _ in range(3)]
    gevent.idle()
    waiting[1].kill()
    gevent.joinall(waiting, timeout=10)
    assert all(each.dead for each in waiting)
    gevent.spawn(turns.wait, "b").join(10)


@pytest.mark.parametrize(
    ("named", "source"),
    [
        ("192.0.2.7:4711", "192.0.2.7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::4711", "2001:db8::4711"),
    ],
)
def test_connections_of_one_address_are_one_source(named: str, source: str) -> None:
    assert source_of([("X-FORWARDED-FOR", named)], (PEER, 4711), 1) == source


@pytest.mark.parametrize("proxies", [0, 1, 2])
@pytest.mark.parametrize("forwarded", FORWARDED, ids=range(len(FORWARDED)))
def test_the_source_is_the_address_that_the_application_sees(
    forwarded: list[str], proxies: int
) -> None:
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["REMOTE_ADDR"].encode()]

    environ = create_environ(environ_base={"REMOTE_ADDR": PEER})
    if forwarded:
        environ["HTTP_X_FORWARDED_FOR"] = ",".join(forwarded)
    seen, _, _ = run_wsgi_app(ProxyFix(app, x_for=proxies), environ)
    headers = [("HOST", "localhost")]
    headers += [("X-FORWARDED-FOR", value) for value in forwarded]
    assert source_of(headers, (PEER, 4711), proxies) == b"".join(seen).decode()
