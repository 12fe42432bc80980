"""Clients that send or read slowly, or not at all: nobody else feels them."""

import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from socket import socket

import pytest

from config.worker import RECEIVE_WITHIN, SEND_WITHIN
from tests.faults.people import Tab, Timed, percentile, wait_until
from tests.faults.wire import compose, connect
from tests.servers import Gunicorn

pytestmark = [pytest.mark.alone, pytest.mark.fault("R17")]

KEEPALIVE = 5.0  # gunicorn.conf.py
BEYOND = 5.0
OTHERS = 4
P99 = 0.3
EACH = 400  # KiB resident that one of them may cost: an answer, and what sends it
LARGE = "x" * 250_000
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
DRIP = 1.0


@dataclass(frozen=True)
class Kind:
    """What is sent first, what follows each second, and when the server has enough."""

    first: Callable[[bytes], bytes]
    drip: bytes = b""
    reads: int = 0
    receive_buffer: int = 0
    cut_off: float = KEEPALIVE


def _half_header(_cookie: bytes) -> bytes:
    return b"GET /login HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


def _half_body(cookie: bytes) -> bytes:
    return compose(b"POST", b"/login", cookie + FORM, b"x" * 1000)[:-500]


def _large_answers(cookie: bytes) -> bytes:
    ask = compose(b"GET", b"/entries/large", cookie)
    # More than the kernel's buffers take.
    return ask.replace(b"Connection: close\r\n", b"") * 24


KINDS = {
    "idle": Kind(lambda _cookie: b""),
    "half a header": Kind(_half_header),
    "a header in drips": Kind(_half_header, drip=b"a"),
    "half a body": Kind(_half_body, cut_off=RECEIVE_WITHIN),
    "a body in drips": Kind(_half_body, drip=b"a", cut_off=RECEIVE_WITHIN),
    "not reading": Kind(_large_answers, receive_buffer=2048, cut_off=SEND_WITHIN),
    "reading in drips": Kind(
        _large_answers, reads=100, receive_buffer=2048, cut_off=SEND_WITHIN
    ),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Fifty of each kind at once; in the longer form 500 of each by itself as well."""
    cases = {"50 of each": (list(KINDS), 50)}
    if metafunc.config.getoption("--rounds") > 1:
        cases |= {f"500 {kind}": ([kind], 500) for kind in KINDS}
    metafunc.parametrize(("kinds", "each"), cases.values(), ids=cases)


@pytest.fixture
def files_enough() -> Iterator[None]:
    """Let this process have thousands of connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Crowd:
    """Slow clients of some kinds. None is ever given up by itself."""

    def __init__(self, server: Gunicorn, cookie: bytes) -> None:
        self._server = server
        self._cookie = cookie
        self._lines: list[tuple[socket, Kind]] = []
        self._over = threading.Event()
        self._dripping = threading.Thread(target=self._drip)

    def come(self, kinds: list[str], each: int) -> None:
        for number in range(each * len(kinds)):
            kind = KINDS[kinds[number % len(kinds)]]
            line = connect(self._server, kind.receive_buffer)
            self._lines.append((line, kind))
            line.sendall(kind.first(self._cookie))
            line.setblocking(False)
        self._dripping.start()

    def go(self) -> None:
        self._over.set()
        self._dripping.join()
        for line, _ in self._lines:
            line.close()

    def _drip(self) -> None:
        while not self._over.wait(DRIP):
            for line, kind in self._lines:
                with suppress(OSError):
                    if kind.drip:
                        line.send(kind.drip)
                    if kind.reads:
                        line.recv(kind.reads)


def _connections(server: Gunicorn) -> int:
    """Count what the server has open, its listening socket and stores among it."""
    sockets = 0
    for number in server.processes():
        for link in Path(f"/proc/{number}/fd").iterdir():
            with suppress(FileNotFoundError):  # Closed since it was listed.
                sockets += str(link.readlink()).startswith("socket:")
    return sockets


def test_slow_clients_are_not_felt_and_are_cut_off(
    server: Gunicorn, files_enough: None, kinds: list[str], each: int, record_property
) -> None:
    server.start()
    alice = Tab(server).sign_up("alice")
    assert alice.keep("large", LARGE).status_code == 303
    others = [Tab(server).sign_up(f"other-{number}") for number in range(OTHERS)]
    numbers = count()
    actions = [_act_of(each_of, numbers) for each_of in others]
    own, resident = _connections(server) + OTHERS, server.resident()
    crowd = Crowd(server, b"Cookie: session=%s\r\n" % alice.cookie.encode())
    with Timed(*actions, pause=0.02) as timed:
        crowd.come(kinds, each)
        assert _connections(server) > own, "they are there"
        patience = max(KINDS[kind].cut_off for kind in kinds) + BEYOND
        took = wait_until(lambda: _connections(server) <= own, patience, "cut off")
        grown = server.resident() - resident
    crowd.go()
    p99 = percentile(timed.times, 0.99)
    record_property(
        "figure",
        f"p99 {p99 * 1000:.0f} ms, cut off in {took:.0f} s, {grown // 1000} MB",
    )
    assert p99 < P99
    assert grown < 20_000 + EACH * each * len(kinds)
    assert alice.is_logged_in()


def _act_of(tab: Tab, numbers: Iterator[int]) -> Callable[[], None]:
    """Read, and write now and then, as somebody else would."""

    def act() -> None:
        if (number := next(numbers)) % 20 == 0:
            assert tab.keep(f"note {number}").status_code == 303
        assert tab.get("/entries").status_code == 200

    return act
