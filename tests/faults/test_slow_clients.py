"""Clients that send or read slowly, or without an end: nobody else feels them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count, cycle
from socket import socket

import pytest

from config.worker import RECEIVE_WITHIN, SEND_WITHIN
from tests.faults.people import Tab, Timed, new_name, percentile, wait_until
from tests.faults.wire import compose, connect, connections, exchange
from tests.servers import Gunicorn
from webapp.sessions.large import AT_ONCE

pytestmark = [pytest.mark.alone, pytest.mark.fault("R17")]

KEEPALIVE = 5.0  # gunicorn.conf.py
BEYOND = 5.0
OTHERS = 4
P99 = 0.3
EACH = 400  # KiB resident that one of them may cost: an answer, and what sends it
LARGE = "x" * 250_000
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
DRIP = 1.0
SENDERS, SENDING = 8, 5.0
ONE_PERSONS = 100
MOST_OF_ONE = 80_000  # KiB resident: a dozen forms of 1.5 MB, and a dozen answers


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
    ask = compose(b"GET", b"/entries/large?all=1", cookie)
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
    if "kinds" in metafunc.fixturenames:
        metafunc.parametrize(("kinds", "each"), cases.values(), ids=cases)


class Crowd:
    """Slow clients of some kinds. None is ever given up by itself."""

    def __init__(self, server: Gunicorn, cookies: list[bytes]) -> None:
        self._server = server
        self._cookies = cycle(cookies)
        self._lines: list[tuple[socket, Kind]] = []
        self._over = threading.Event()
        self._dripping = threading.Thread(target=self._drip)

    def come(self, kinds: list[str], each: int) -> None:
        for number in range(each * len(kinds)):
            kind = KINDS[kinds[number % len(kinds)]]
            line = connect(self._server, kind.receive_buffer)
            self._lines.append((line, kind))
            line.sendall(kind.first(next(self._cookies)))
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


def test_slow_clients_are_not_felt_and_are_cut_off(
    server: Gunicorn, files_enough: None, kinds: list[str], each: int, record_property
) -> None:
    server.start()
    owners = [
        _with_large_entry(server) for _ in range(each * len(kinds) // AT_ONCE + 1)
    ]
    actions = _others(server)
    own, resident, most = connections(server) + OTHERS, server.resident(), 0

    def are_cut_off() -> bool:
        nonlocal most
        most = max(most, server.resident())
        return connections(server) <= own

    crowd = Crowd(server, [_cookie(owner) for owner in owners])
    with Timed(*actions, pause=0.02) as timed:
        crowd.come(kinds, each)
        assert not are_cut_off(), "they are there"
        patience = max(KINDS[kind].cut_off for kind in kinds) + BEYOND
        took = wait_until(are_cut_off, patience, "cut off")
    crowd.go()
    grown = most - resident
    p99 = percentile(timed.times, 0.99)
    record_property(
        "figure",
        f"p99 {p99 * 1000:.0f} ms, cut off in {took:.0f} s, {grown // 1000} MB",
    )
    assert p99 < P99
    assert grown < 20_000 + EACH * each * len(kinds)
    assert all(owner.is_logged_in() for owner in owners)


def _with_large_entry(server: Gunicorn) -> Tab:
    owner = Tab(server).sign_up(new_name())
    assert owner.keep("large", LARGE).status_code == 303
    return owner


def test_what_one_person_leaves_unread_costs_little(
    server: Gunicorn, files_enough: None, record_property
) -> None:
    server.start()
    mallory, alice = _with_large_entry(server), Tab(server).sign_up("alice")
    cookie, resident = _cookie(mallory), server.resident()
    body = b"value=" + b"x" * 1_400_000
    write = compose(b"POST", b"/entries/new", cookie + FORM, body)
    with ExitStack() as lines:
        for request in (_large_answers(cookie), write[:-1]) * ONE_PERSONS:
            line = lines.enter_context(connect(server, receive_buffer=2048))
            with suppress(OSError):  # Whoever is refused is hung up on.
                line.sendall(request)
        assert alice.is_logged_in()
        grown = server.resident() - resident
        assert mallory.get("/entries/large?all=1").status_code == 503
        assert alice.keep("large", LARGE).status_code == 303
        assert LARGE in alice.get("/entries/large?all=1").text
    record_property("figure", f"of one person {grown // 1000} MB")
    assert grown < MOST_OF_ONE
    wait_until(
        lambda: mallory.get("/entries/large?all=1").status_code == 200, 10, "free"
    )


def test_a_body_that_is_sent_without_an_end_is_not_felt(
    server: Gunicorn, record_property
) -> None:
    server.start()
    actions = _others(server)
    resident, over = server.resident(), threading.Event()
    senders = [
        threading.Thread(target=_send_on_and_on, args=(server, over))
        for _ in range(SENDERS)
    ]
    with Timed(*actions, pause=0.02) as timed:
        for sender in senders:
            sender.start()
        time.sleep(SENDING)
        grown = server.resident() - resident
        over.set()
        for sender in senders:
            sender.join()
    p99 = percentile(timed.times, 0.99)
    record_property("figure", f"bodies without an end: p99 {p99 * 1000:.0f} ms")
    assert len(timed.times) > OTHERS * 10
    assert p99 < P99
    assert grown < 20_000


def _send_on_and_on(server: Gunicorn, over: threading.Event) -> None:
    """Send a body that is refused, and another each time the server hangs up."""
    head = compose(b"POST", b"/login", FORM + b"Content-Length: 100000000000\r\n")
    while not over.is_set():
        with connect(server) as line, suppress(OSError):
            line.sendall(head)
            while not over.is_set():
                line.sendall(b"x" * 100_000)


def _others(server: Gunicorn) -> list[Callable[[], None]]:
    """Give what other people do: on connections that they keep, and on new ones."""
    numbers = count()
    people = [Tab(server).sign_up(f"other-{number}") for number in range(OTHERS)]
    return [*(_act_of(each, numbers) for each in people), _come_anew(server, people[0])]


def _come_anew(server: Gunicorn, tab: Tab) -> Callable[[], None]:
    """Open a page like somebody who has not been there yet, who must be let in."""
    request = compose(b"GET", b"/entries", _cookie(tab))

    def come() -> None:
        assert exchange(server, request).status == 200

    return come


def _cookie(tab: Tab) -> bytes:
    return b"Cookie: session=%s\r\n" % tab.cookie.encode()


def _act_of(tab: Tab, numbers: Iterator[int]) -> Callable[[], None]:
    """Read, and write now and then, as somebody else would."""

    def act() -> None:
        if (number := next(numbers)) % 20 == 0:
            assert tab.keep(f"note {number}").status_code == 303
        assert tab.get("/entries").status_code == 200

    return act
