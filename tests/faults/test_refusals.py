"""What gunicorn refuses before the application is asked is told as everything else."""

import json
import time

import pytest

from config.headers import HEADERS
from tests.faults.conftest import SiteOf
from tests.faults.site import Site
from tests.faults.wire import compose, connect, exchange
from webapp.programs import PATHS, PROBLEMS

pytestmark = pytest.mark.fault("R16")

MALFORMED = b"no<b>colon\r\n"
LONG = b"X: " + b"<b>" * 3_000 + b"\r\n"
OF_PEOPLE = [
    (400, compose(b"<b>x", b"/")),
    (400, compose(b"GET", b"/", MALFORMED)),
    (400, compose(b"POST", b"/login", b"Transfer-Encoding: x<b>chunked\r\n")),
    (414, compose(b"GET", b"/" + b"<b>" * 3_000)),
    (431, compose(b"GET", b"/", LONG)),
    *[
        (400, compose(b"GET", path, MALFORMED))
        for path in (b"/stored", b"/api", b"/entries?next=/api/v1/x", b"/api/v10")
    ],
]
OF_PROGRAMS = [
    (400, compose(b"GET", b"/retrieve?key=k", MALFORMED)),
    (400, compose(b"PUT", b"/api/v1/entries/k", b"Transfer-Encoding: x\r\n")),
    (414, compose(b"GET", b"/api/v1/entries/" + b"k" * 9_000)),
    (431, compose(b"POST", b"/store", LONG)),
]


@pytest.fixture(scope="module")
def site(site_of: SiteOf) -> Site:
    return site_of("files", 1)


def refused(site: Site, status: int, request: bytes) -> tuple[str, bytes]:
    """Return content type and body of an answer that has all headers and no echo."""
    reply = exchange(site.first, request)
    assert reply.status == status
    assert reply.seconds < 1
    head, _, body = reply.content.partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    expected = {**HEADERS, "Cache-Control": "no-store", "Connection": "close"}
    assert expected.items() <= lines.items()
    assert int(lines["Content-Length"]) == len(body)
    assert b"<b>" not in body
    assert b"&lt;" not in body
    return lines["Content-Type"], body


@pytest.mark.parametrize(("status", "request_"), OF_PEOPLE)
def test_people_are_told_by_a_page(site: Site, status: int, request_: bytes) -> None:
    content_type, body = refused(site, status, request_)
    assert content_type == "text/html; charset=utf-8"
    assert b"<h1>" in body


@pytest.mark.parametrize(("status", "request_"), OF_PROGRAMS)
def test_programs_are_told_by_a_problem(
    site: Site, status: int, request_: bytes
) -> None:
    content_type, body = refused(site, status, request_)
    assert content_type == "application/problem+json"
    told = json.loads(body)
    kind = PROBLEMS[told["type"].removeprefix("/api#problem-")]
    assert (kind.status, kind.title, told["status"]) == (status, told["title"], status)
    path = request_.split()[1].partition(b"?")[0].decode()
    assert path.startswith(told["instance"])
    assert told["instance"].startswith(PATHS)


def test_a_request_that_comes_in_pieces_and_after_another_is_told_so_too(
    site: Site,
) -> None:
    with connect(site.first) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert line.recv(9_000).startswith(b"HTTP/1.1 200")
        for piece in (b"GE", b"T /sto", b"re HTTP/1.1\r\n", MALFORMED + b"\r\n"):
            line.sendall(piece)
            time.sleep(0.05)
        assert b"application/problem+json" in line.recv(9_000)
