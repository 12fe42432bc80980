"""What no browser sends: odd cookies, headers, bodies and paths, and any mixture."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.faults.conftest import SiteOf
from tests.faults.people import INSIDE, Tab
from tests.faults.site import Site
from tests.faults.wire import KeptAlive, Reply, compose, exchange

pytestmark = pytest.mark.fault("R16")

# In one round; ten rounds are the 10,000 of the longer form.
FUZZ = 1_000
WITHIN = 1.0
GROWTH = 20_000  # KiB resident
TEXT = "The harbour is quiet."
REFUSED = {400, 401, 403, 404, 405, 409, 413, 414, 415, 416, 422, 429, 431}
HARMLESS = {200, 206, 303, 304, 308}

FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
JSON = b"Content-Type: application/json\r\n"
ODD = {
    "NUL": b"\0",
    "latin-1": b"\xe9\xff",
    "surrogate": b"\xed\xa0\x80",
    "escaped surrogate": b'"\\ud800"',
    "deep": b"[" * 30_000,
    "deep objects": b'{"a":' * 10_000,
    "NaN": b"[NaN, Infinity, -Infinity]",
    "a key twice": b'{"a": 1, "a": 2}',
    "a long number": b"9" * 5_000,
    "70 kB": b"k" * 70_000,
    "overlong": b"\xc0\xaf",
    "cut": b"\xe2\x82",
    "lines": b"\r\n\r\nSet-Cookie: session=stolen",
    "template": b"{{7*7}}${7*7}<%=7*7%>",
    "SQL": b"'; DROP TABLE users; --",
    "format": b"%s%n%x{0.__class__}",
}
PATHS = [b"/", b"/entries", b"/entries/diary", b"/entries/new", b"/entries/diary/edit",
         b"/entries/diary/delete", b"/login", b"/signup", b"/logout", b"/confirm",
         b"/password", b"/sessions", b"/sessions/1/end", b"/account",
         b"/account/history", b"/static/style.css", b"/healthz",
         b"/entries/..%2f..%2fetc%2fpasswd",
         b"/static/../webapp/__init__.py", b"/static/..%2f..%2fwsgi.py",
         b"//evil.example/", b"/\\evil.example", b"/entries//", b"/./entries/.",
         b"http://evil.example/entries", b"*", b"/sessions/9223372036854775808/end",
         b"/sessions/-1/end", b"/entries/%ED%A0%80", b"/entries/%00",
         b"/entries?after=9223372036854775808", b"/entries?before=-1",
         b"/entries/" + b"x" * 7_000]  # fmt: skip
COOKIES = {
    "4 kB": b"Cookie: session=" + b"a" * 4_000 + b"\r\n",
    "64 kB": b"Cookie: session=" + b"a" * 64_000 + b"\r\n",
    "900 pairs": b"Cookie: " + b"; ".join(b"c%d=%d" % (n, n) for n in range(900)),
    "900 headers": b"".join(b"Cookie: c%d=1\r\n" % n for n in range(900)),
    "NUL": b"Cookie: session=\0\r\n",
    "latin-1": b"Cookie: session=\xe9\xff\r\n",
    "twice": b"Cookie: session=a; session=b\r\nCookie: session=c\r\n",
    "surrogate": b"Cookie: session=%ED%A0%80; device=\xed\xa0\x80\r\n",
    "no pairs": b"Cookie: ;=;==;session\r\n",
    "quotes": b'Cookie: session="\\342\\202"; device=\'\r\n',
}
HEADERS = {
    "two hosts": b"Host: evil.example\r\n",
    "two lengths": b"Content-Length: 1\r\nContent-Length: 2\r\n",
    "less than nothing": b"Content-Length: -1\r\n",
    "a length without end": b"Content-Length: " + b"9" * 100 + b"\r\n",
    "length and chunks": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "odd chunks": b"Transfer-Encoding: chunked, identity\r\n",
    "folded": b"X-Folded: a\r\n b\r\n",
    "no colon": b"nothing\r\n",
    "method": b"X-HTTP-Method-Override: DELETE\r\n",
    "address": b"X-Forwarded-For: ' OR 1=1, \xff, ::ffff:1, 999.9.9.9\r\n",
    "scheme": b"X-Forwarded-Proto: javascript\r\nX-Forwarded-Host: evil.example\r\n",
    "range": b"Range: bytes=" + b"0-1," * 1_000 + b"0-1\r\n",
    "dates": b"If-Modified-Since: Mon, 99 Foo 99999 99:99:99 GMT\r\n",
    "tags": b'If-None-Match: "\xff, W/"\r\n',
    "languages": b"Accept-Language: " + b"a;q=1e999," * 700 + b"\r\n",
    "browser": b"User-Agent: " + b"Mozilla/5.0 (" * 500 + b"\r\n",
    "charset": FORM.replace(b"\r", b"; charset=utf-7\r"),
    "boundary": b"Content-Type: multipart/form-data; boundary=" + b"-" * 300 + b"\r\n",
    "no boundary": b"Content-Type: multipart/form-data\r\n",
}

CHUNKED = FORM + b"Transfer-Encoding: chunked\r\n"
CHUNKS = {
    "no size": b"zz\r\nname=\r\n0\r\n\r\n",
    "less than nothing": b"-5\r\nname=\r\n0\r\n\r\n",
    "an empty size": b"\r\nname=\r\n0\r\n\r\n",
    "longer than it says": b"5\r\nname=alice\r\n0\r\n\r\n",
    "no extension": b"5;=\r\nname=\r\n0\r\n\r\n",
    "a trailer without colon": b"5\r\nname=\r\n0\r\nnothing\r\n\r\n",
    "a trailer without end": b"5\r\nname=\r\n0\r\nX: 1\n\r\n\r\n",
    "a size of 70 kB": b"0" * 70_000 + b"5\r\nname=\r\n0\r\n\r\n",
}


@pytest.fixture(scope="module")
def site(site_of: SiteOf) -> Site:
    return site_of("files", 1)


@pytest.fixture(scope="module")
def alice(site: Site) -> Tab:
    _, alice = site.new_person()
    alice.keep("diary", TEXT)
    return alice


def _check(reply: Reply) -> None:
    """Refused or harmless, soon, and nothing of the inside is shown."""
    assert reply.status in REFUSED | HARMLESS, reply.content[:500]
    assert not INSIDE.search(reply.content.decode("latin-1")), reply.content
    assert b"stolen" not in reply.content.partition(b"\r\n\r\n")[0]
    assert reply.seconds < WITHIN


def _cookie(tab: Tab) -> bytes:
    return b"Cookie: session=%s\r\n" % tab.cookie.encode()


def _is_unharmed(site: Site, alice: Tab) -> None:
    assert TEXT in alice.get("/entries/diary").text
    assert site.first.client().get("/healthz").status_code == 200


@pytest.mark.parametrize("cookie", COOKIES.values(), ids=COOKIES)
def test_an_odd_cookie_is_nobodys(site: Site, alice: Tab, cookie: bytes) -> None:
    cookie = cookie.removesuffix(b"\r\n") + b"\r\n"
    for path in PATHS:
        reply = exchange(site.first, compose(b"GET", path, cookie))
        _check(reply)
        assert TEXT.encode() not in reply.content
    _is_unharmed(site, alice)


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_an_odd_header_changes_nothing(site: Site, alice: Tab, header: bytes) -> None:
    for path in PATHS:
        for method in (b"GET", b"POST"):
            headers = _cookie(alice) + header
            _check(exchange(site.first, compose(method, path, headers)))
    _is_unharmed(site, alice)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_body_or_key_is_explained(site: Site, alice: Tab, odd: bytes) -> None:
    token = alice.form_token().encode()
    key = quote(odd[:7_000]).encode()[:6_000]
    for kind in (b"json", b"text"):
        fields = b"form_token=%s&kind=%s&key=" % (token, kind)
        forms = [fields + b"odd&value=" + odd, fields + quote(odd).encode()]
        for form in forms:
            headers = _cookie(alice) + FORM
            request = compose(b"POST", b"/entries/new", headers, form)
            _check(exchange(site.first, request))
    for headers in (FORM, JSON, b""):
        request = compose(b"POST", b"/login", headers, odd)
        _check(exchange(site.first, request))
    for path in (b"/entries/" + key, b"/entries?q=" + key, b"/login?next=" + key):
        _check(exchange(site.first, compose(b"GET", path, _cookie(alice))))
    _is_unharmed(site, alice)


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("path", [b"/login", b"/logout", b"/entries/new"])
def test_malformed_chunks_are_refused(
    site: Site, alice: Tab, path: bytes, chunks: bytes
) -> None:
    headers = CHUNKED if path == b"/login" else _cookie(alice) + CHUNKED
    reply = exchange(site.first, compose(b"POST", path, headers) + chunks)
    assert reply.status == 400
    _check(reply)
    kept_alive = compose(b"POST", path, headers).replace(b"Connection: close\r\n", b"")
    assert exchange(site.first, kept_alive + chunks).content.count(b"HTTP/1.1") == 1
    assert "Traceback" not in site.first.log.read_text()
    _is_unharmed(site, alice)


def test_chunks_without_an_end_are_too_large(site: Site, alice: Tab) -> None:
    """What comes of them first is never taken for all of it."""
    fields = b"form_token=%s&key=k&kind=text&value=" % alice.form_token().encode()
    for path, size in ((b"/logout", 40_000), (b"/entries/new", 2_000_000)):
        body = fields + b"x" * size
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        request = compose(b"POST", path, _cookie(alice) + CHUNKED) + chunks
        assert exchange(site.first, request).status == 413
    _is_unharmed(site, alice)


@pytest.mark.parametrize("size", [3_000_000, 30_000_000])
def test_a_large_body_is_refused_before_it_is_read(
    site: Site, alice: Tab, size: int
) -> None:
    resident = site.first.resident()
    body = b"value=" + b"x" * size
    own = _cookie(alice)
    senders = [
        (path, headers) for path in (b"/login", b"/signup") for headers in (FORM, JSON)
    ]
    senders += [
        (path, own + FORM) for path in (b"/entries/new", b"/logout", b"/nowhere")
    ]
    for path, headers in senders:
        reply = exchange(site.first, compose(b"POST", path, headers, body))
        assert reply.status == 413
        _check(reply)
    assert site.first.resident() - resident < GROWTH
    _is_unharmed(site, alice)


def test_who_sends_too_much_is_told_what_becomes_of_the_connection(site: Site) -> None:
    with KeptAlive(site.first) as line:
        status, header = line.ask("POST /login", FORM.decode(), "x" * 30_000_000)
        assert status == 413
        assert b"connection: keep-alive" in header
        assert line.ask("GET /healthz")[0] == 200
        announced = f"{FORM.decode()}Content-Length: 60000000\r\n"
        status, header = line.ask("POST /login", announced)
        assert status == 413
        assert b"connection: close" in header


def test_no_mixture_of_it_all_is_a_failure_of_ours(
    site: Site, alice: Tab, rounds: int
) -> None:
    own = [b"", _cookie(alice)]
    any_header = st.sampled_from([*COOKIES.values(), *HEADERS.values(), FORM, JSON])
    anything = st.sampled_from(list(ODD.values())) | st.binary(max_size=200)
    resident = site.first.resident()

    @settings(
        max_examples=FUZZ * rounds,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"PATCH", b"x"]),
        st.sampled_from(PATHS),
        st.sampled_from(own),
        st.lists(any_header, max_size=2),
        anything,
    )
    def send(
        method: bytes, path: bytes, cookie: bytes, headers: list[bytes], body: bytes
    ) -> None:
        lines = [each.removesuffix(b"\r\n") + b"\r\n" for each in headers]
        request = compose(method, path, cookie + b"".join(lines), body)
        _check(exchange(site.first, request))

    send()
    _is_unharmed(site, alice)
    assert site.first.resident() - resident < GROWTH
