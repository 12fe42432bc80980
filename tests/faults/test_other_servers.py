"""Slow clients at the servers that are not gunicorn: cut off, and nobody else waits."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.faults.people import Timed, percentile, wait_until
from tests.faults.wire import connect
from tests.other_servers import ModWsgi, OtherServer, Uwsgi

pytestmark = pytest.mark.fault("R17")

HALF_A_HEADER = b"GET /login HTTP/1.1\r\nHost: localhost\r\n"
HALF_A_BODY = (
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname="
)
# mod_wsgi has 20 threads, and a slow body takes one.
EACH = {Uwsgi: 200, ModWsgi: 15}
CUT_OFF_WITHIN = 25
USUAL = 0.3


@pytest.fixture(params=EACH, ids=lambda server: server.program)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OtherServer]:
    server: OtherServer = request.param(tmp_path)
    yield server.start()
    server.close()


def test_who_says_nothing_more_is_cut_off_and_holds_nobody_up(
    server: OtherServer,
) -> None:
    visitor = server.client()
    with ExitStack() as stack:
        lines = [
            stack.enter_context(connect(server)) for _ in range(2 * EACH[type(server)])
        ]
        for number, line in enumerate(lines):
            line.sendall(HALF_A_BODY if number % 2 else HALF_A_HEADER)
        visit = Timed(lambda: visitor.get("/login").raise_for_status(), pause=0.05)
        with visit as visits:
            wait_until(lambda: all(map(_is_over, lines)), CUT_OFF_WITHIN, "cut off")
    assert len(visits.times) > 100
    assert percentile(visits.times, 0.99) < USUAL


def _is_over(line: socket.socket) -> bool:
    """Tell whether the server has answered without the rest, or hung up."""
    line.setblocking(False)
    with suppress(BlockingIOError):
        with suppress(ConnectionError):
            line.recv(1, socket.MSG_PEEK)
        return True
    return False
