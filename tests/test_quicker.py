"""Answers are what gunicorn would have sent, in fewer pieces."""

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from gunicorn import util
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.errors import InvalidResponseHeader, InvalidResponseHeaderName
from gunicorn.http.parser import RequestParser

from config import quicker

pytestmark = pytest.mark.embedded

PLAIN = wsgi.Response
HTML = ("Content-Type", "text/html; charset=utf-8")
ANSWERS: list[tuple[str, str, list[tuple[str, str]], list[bytes]]] = [
    ("GET", "200 OK", [HTML, ("Content-Length", "4")], [b"page"]),
    ("GET", "200 OK", [HTML, ("Content-Length", "8")], [b"page", b"more"]),
    ("GET", "200 OK", [HTML, ("Content-Length", "2")], [b"page"]),
    ("GET", "200 OK", [HTML], [b"page", b"", b"more"]),
    ("GET", "200 OK", [HTML, ("content-length", "0")], [b""]),
    ("GET", "200 OK", [HTML, ("Content-Length", "70000")], [b"x" * 70_000]),
    ("HEAD", "200 OK", [HTML, ("Content-Length", "4")], [b"page"]),
    ("HEAD", "200 OK", [HTML, ("Content-Length", "4")], []),
    ("GET", "304 NOT MODIFIED", [("ETag", '"a"')], []),
    ("GET", "204 NO CONTENT", [("Content-Length", "0")], [b""]),
    ("GET", "200 OK", [("X-Odd", " \t padded "), ("Content-Length", "1")], [b"a"]),
    ("GET", "200 OK", [("Connection", "close"), ("Content-Length", "1")], [b"a"]),
    ("GET", "101 UP", [("Connection", "upgrade"), ("Upgrade", "websocket")], []),
    ("GET", "200 OK", [("Set-Cookie", "a=b"), ("Set-Cookie", "c=d"), HTML], [b"a"]),
    ("GET", "200 OK", [("X-Latin", "\xe4"), ("X-Latin", "\xf6")], [b"a"]),
]


class Wire:
    """Notes the pieces that are sent."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def sendall(self, piece: bytes) -> None:
        self.pieces.append(piece)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """Everything as it is in a worker, and as it was afterwards."""
    cfg = Config()
    for owner, name in (
        *((wsgi, "Response"), (wsgi, "base_environ"), (util, "http_date")),
        *((RequestParser, "mesg_class"), (RequestParser, "finish_body")),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    quicker.install(cfg)
    with time_machine.travel("2026-02-03T04:05:06Z", tick=False):
        yield cfg


def send(kind: Any, method: str, status: str, headers: Any, body: list[bytes]) -> Wire:
    asked = SimpleNamespace(method=method, version=(1, 1), should_close=lambda: False)
    wire = Wire()
    answer = kind(asked, wire, Config())
    answer.start_response(status, headers)
    for piece in body:
        answer.write(piece)
    answer.close()
    return wire


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_an_answer_is_gunicorns_in_no_more_pieces(answer: Any) -> None:
    for _ in range(2):  # What is known of a header the second time is the same.
        quick, plain = send(wsgi.Response, *answer), send(PLAIN, *answer)
        assert b"".join(quick.pieces) == b"".join(plain.pieces)
        assert len(quick.pieces) <= len(plain.pieces)


def test_a_page_is_one_piece() -> None:
    assert len(send(wsgi.Response, *ANSWERS[0]).pieces) == 1


@pytest.mark.parametrize(
    ("header", "mistake"),
    [
        (("X-Line", "a\r\nSet-Cookie: b"), InvalidResponseHeader),
        (("X Y", "a"), InvalidResponseHeaderName),
        (("X-Number", 1), TypeError),
        ((b"X-Bytes", "a"), TypeError),
        (("Content-Length", "x"), ValueError),
    ],
)
def test_a_header_that_is_none_is_refused_each_time(
    header: Any, mistake: type[Exception]
) -> None:
    for _ in range(2):
        with pytest.raises(mistake):
            send(wsgi.Response, "GET", "200 OK", [header], [])


def test_the_date_is_that_of_the_second() -> None:
    assert util.http_date() == "Tue, 03 Feb 2026 04:05:06 GMT"
    with time_machine.travel("2026-02-03T04:05:07.999Z", tick=False):
        assert util.http_date() == "Tue, 03 Feb 2026 04:05:07 GMT"
    assert parsedate_to_datetime(util.http_date(0)).year == 1970


def test_each_request_has_an_environ_of_its_own(installed: Config) -> None:
    wsgi.base_environ(installed)["wsgi.multithread"] = "changed"
    assert wsgi.base_environ(installed)["wsgi.multithread"] is False


def test_settings_are_what_they_were(installed: Config) -> None:
    plain = Config()
    for name in plain.settings:
        assert getattr(installed, name) == getattr(plain, name)
