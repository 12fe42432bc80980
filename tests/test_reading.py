"""A request is understood as gunicorn does, whichever of the two reads its head."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from hypothesis import given, settings
from hypothesis import strategies as st

from config import reading
from config.reading import QuickRequest

pytestmark = pytest.mark.embedded

PEER = ("192.0.2.1", 4711)
FIELDS = {
    "Host": "holdfast.example",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101",
    "Accept-Language": "de-CH,de;q=0.8",
    "Cookie": "session=abc; device=def",
    "Connection": "keep-alive",
}
HEAD = "".join(f"{name}: {value}\r\n" for name, value in FIELDS.items())
USUAL = f"GET /entries?q=a+b&after=%C3%A4 HTTP/1.1\r\n{HEAD}\r\n".encode()
LENGTH = b"Content-Length: 3\r\nHost"
# What attackers and broken clients send, each in place of the first of the two.
CHANGES = [
    (b"GET ", b"get "), (b"GET ", b"PURGE "), (b"GET ", b"GET  "), (b"GET ", b"G#T "),
    (b"GET ", b"\r\nGET "), (b"GET ", b"\nGET "), (b"GET ", b"CONNECT "),
    (b"/entries?", b"//entries?"), (b"/entries?", b"http://a/entries?"),
    (b"/entries?", b"/\xc3\xa4?"), (b"/entries?", b"/a#b?"), (b"/entries?", b"/a b?"),
    (b"/entries?", b"entries?"), (b"/entries?", b"*"), (b"/entries?", b"/a?b?c#d?"),
    (b"/entries?", b"/[?"), (b"/entries?", b"//[?"), (b"/entries?", b"/:a;b?"),
    (b"HTTP/1.1", b"HTTP/1.0"), (b"HTTP/1.1", b"HTTP/2.0"), (b"HTTP/1.1", b"http/1.1"),
    (b"HTTP/1.1", b"HTTP/1.1 "), (b"HTTP/1.1", b"HTTP/1.10"), (b"HTTP/1.1", b""),
    (b"Host: ", b"Host : "), (b"Host: ", b"Host:"), (b"Host: ", b"Host:\t "),
    (b"Host: ", b"H\xf6st: "), (b"Host: ", b" Host: "), (b"Host: ", b": "),
    (b"Host: ", b"Ho_st: "), (b"Host: ", b"Ho(st: "), (b"Host: ", b"Host; "),
    (b"Host: ", b"Host: a\r\nHost: "), (b"Host: ", b"Host:\r\nhOST: "),
    (b"Host: ", b"Content-Type: a\r\ncontent-type: "), (b"Host: ", b"X-A: 1\r\nX-A: "),
    (b"Host: ", b"X-Forwarded-Proto: https\r\nHost: "),
    (b"Host: ", b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\nHost: "),
    (b"Host: ", b"SCRIPT_NAME: /a\r\nHost: "),
    (b"Host: ", b"Expect: 100-continue\r\nHost: "),
    (b"Host: ", b"expect: more\r\nHost: "), (b"Host: ", b"Content-Length: 3\r\nHost: "),
    (b"Host: ", b"Content-Length: +3\r\nHost: "),
    (b"Host: ", b"Content-Length: \xb2\r\nHost: "),
    (b"Host: ", b"Content-Length: 1\r\nContent-Length: 1\r\nHost: "),
    (b"Host: ", b"Transfer-Encoding: chunked\r\nHost: "),
    (b"Host: ", b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\nHost: "),
    (b"Host: ", b"Transfer-Encoding: gzip, chunked\r\nHost: "),
    (b"Host: ", b"Transfer-Encoding: xchunked\r\nHost: "),
    (b"Host: ", b"Transfer-Encoding: chunked, identity\r\nHost: "),
    (b"\r\nUser", b"\nUser"), (b"\r\nUser", b"\rUser"), (b"\r\nUser", b"\r\n User"),
    (b"\r\nUser", b"\r\n\tUser"), (b"\r\nUser", b" \t\r\nUser"),
    (b"\r\nUser", b"\0User"),
    (b"\r\nUser", b"\x7f\r\nUser"), (b"\r\nUser", b"\x80\xff\r\nUser"),
    (b"\r\nUser", b"\x0b\r\nUser"), (b"\r\nUser", b"\r\n\r\nUser"),
    (b"\r\nUser", b"\r\n:User"), (b"\r\nUser", b"\r\nUser\r\nUser"),
    (b"keep-alive", b"close"), (b"keep-alive", b"Close "), (b"keep-alive", b""),
]  # fmt: skip
PIECES = [
    *(new for _, new in CHANGES), b"GET /", b"POST /a", b" HTTP/1.1\r\n", b"\r\n", b":",
    b"A: b\r\n", b"Host: a\r\n", b"Content-Length: 0\r\n", b" ", b"\n", b"\r", b"\0",
]  # fmt: skip


@dataclass(frozen=True)
class Understood:
    """Everything of a request that anything goes by; `left` is what came after."""

    facts: tuple[Any, ...]
    left: bytes


def understand(
    kind: type[Request], sent: bytes, cut: int = 0, **how: Any
) -> Understood | str:
    """Return what is understood, or which mistake it is; it may come in two pieces."""
    cfg = Config()
    for name, value in {"forwarded_allow_ips": "", **how}.items():
        cfg.set(name, value)
    unreader = IterUnreader([sent[:cut], sent[cut:]] if cut else [sent])
    try:
        found = kind(cfg, unreader, PEER, 1)
    except (ParseException, NoMoreData, StopIteration) as error:
        return f"{type(error).__name__}: {error}"
    address = (found.method, found.uri, found.path, found.query, found.fragment)
    body = type(found.body.reader).__name__, getattr(found.body.reader, "length", None)
    rest = found.headers, found.scheme, found.version, found.should_close(), body
    return Understood((*address, *rest, found._expected_100_continue), unreader.read())


def is_same(sent: bytes, **how: Any) -> bool:
    return understand(QuickRequest, sent, **how) == understand(Request, sent, **how)


def _refuse(_request: Request, _unreader: IterUnreader) -> bytes:
    raise NoMoreData


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], bool]:
    """Tell whether a head is read at once."""

    def is_quick(sent: bytes) -> bool:
        monkeypatch.setattr(Request, "parse", _refuse)
        return isinstance(understand(QuickRequest, sent), Understood)

    return is_quick


def test_what_browsers_send_is_read_at_once(quick: Callable[[bytes], bool]) -> None:
    assert is_same(USUAL)
    assert quick(USUAL)
    assert quick(USUAL.replace(b"GET ", b"POST ").replace(b"Host", LENGTH))
    assert not quick(USUAL.replace(b"HTTP/1.1", b"HTTP/1.0"))


@pytest.mark.parametrize(("old", "new"), CHANGES, ids=[repr(new) for _, new in CHANGES])
def test_what_is_unusual_is_understood_as_gunicorn_does(old: bytes, new: bytes) -> None:
    assert old in USUAL
    for more in (b"", b"body", b"GET / HTTP/1.1\r\n\r\n"):
        assert is_same(USUAL.replace(old, new, 1) + more)


def test_it_may_come_in_pieces() -> None:
    form = USUAL.replace(b"GET ", b"POST ").replace(b"Host", LENGTH)
    sent = form + b"a=bGET / HTTP/1.1\r\n\r\n"
    assert all(is_same(sent, cut=place) for place in range(1, len(sent)))


@settings(derandomize=True, deadline=None, database=None)
@given(st.lists(st.sampled_from(PIECES)), st.integers(0, len(USUAL)))
def test_so_is_what_nobody_would_send(pieces: list[bytes], place: int) -> None:
    assert is_same(b"".join(pieces))
    assert is_same(USUAL[:place] + b"".join(pieces) + USUAL[place:])


@pytest.mark.parametrize("how", [
    {"limit_request_line": 20}, {"limit_request_fields": 4},
    {"limit_request_fields": 5}, {"limit_request_field_size": 40},
    {"forwarded_allow_ips": "192.0.2.1"},
    {"forwarded_allow_ips": "*"}, {"proxy_protocol": "v1", "proxy_allow_ips": "*"},
    {"header_map": "dangerous"}, {"casefold_http_method": True},
], ids=repr)  # fmt: skip
def test_settings_of_gunicorn_hold_for_both(how: dict[str, Any]) -> None:
    proxied = USUAL.replace(b"Host: ", b"X-Forwarded-Proto: https\r\nHost: ")
    for sent in (USUAL, proxied, USUAL.replace(b"GET", b"get")):
        assert is_same(sent, **how)


def test_a_long_head_is_gunicorns(quick: Callable[[bytes], bool]) -> None:
    for size in (7_000, 8_100, 8_300, 20_000):
        for long in (b"/" + b"a" * size + b"?", b"/?" + b"b" * size):
            assert is_same(USUAL.replace(b"/entries?", long))
        assert is_same(USUAL.replace(b"abc", b"c" * size))
    assert not quick(USUAL.replace(b"abc", b"c" * 8_300))


def test_a_client_that_leaves_is_no_mistake() -> None:
    for sent in (b"", b"G", USUAL[:-1]):
        assert is_same(sent)


def test_who_connects_by_a_unix_socket_is_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.test_reading.PEER", "")
    sent = USUAL.replace(b"Host: ", b"X-Forwarded-Proto: https\r\nHost: ")
    assert is_same(sent)
    assert "https" in str(understand(QuickRequest, sent))


def test_the_pattern_comes_to_an_end_with_what_does_not_fit() -> None:
    """No character can be taken by two parts of it, or this would take for ever."""
    for piece in (b"A:", b"A: ", b"A: b\r\n", b"\r\n", b"a", b": ", b"\t"):
        assert not reading.HEAD.match(b"GET / HTTP/1.1\r\n" + piece * 100_000)
