"""What the API of breached passwords is asked, and what of its answers is believed."""

import base64
import gzip
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from prometheus_client import REGISTRY

from tests.accounts.range_server import (
    BREACHED,
    ETAG,
    MAX_AGE,
    RangeApi,
    Request,
    prefix_of,
    sha1,
)
from tests.browser import PASSWORD
from tests.servers import free_port
from webapp.accounts import breaches, range_api
from webapp.accounts.breaches import Breaches
from webapp.stores import Store, open_store

pytestmark = pytest.mark.embedded

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
SOON = timedelta(seconds=MAX_AGE - 60)
LATER = timedelta(seconds=MAX_AGE + 60)


def counted(result: str) -> float:
    name = "holdfast_breach_checks_total"
    return REGISTRY.get_sample_value(name, {"result": result}) or 0.0


def test_what_is_sent_and_nothing_else(
    api: RangeApi, checks: Breaches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login anna password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for password in (BREACHED, PASSWORD):
        checks.has(password)
    [(path, headers), (_, later)] = api.asked
    assert path == f"/range/{prefix_of(BREACHED)}"
    assert headers == later, "no cookie"
    assert headers == {
        "Host": f"127.0.0.1:{api.server_port}",
        "Accept": "text/plain",
        "Accept-Encoding": "identity",
        "Add-Padding": "true",
        "User-Agent": "Holdfast",
    }


@pytest.mark.parametrize("count", [1, 10, 0], ids=["once", "ten times", "padding"])
def test_a_line_counts_when_its_count_does(
    api: RangeApi, checks: Breaches, count: int
) -> None:
    api.breach(PASSWORD, count)
    assert checks.has(PASSWORD) == (count > 0)


def test_other_lines_of_the_same_prefix_are_no_match(
    api: RangeApi, checks: Breaches
) -> None:
    before, known = counted("clean"), sha1(PASSWORD)
    for other in set("0123456789ABCDEF") - {known[-1]}:
        api.counts[known[:-1] + other] = 7
    assert not checks.has(PASSWORD)
    assert counted("clean") == before + 1


@pytest.mark.parametrize("store_url", ["file", "fakeredis", "redis"], indirect=True)
def test_a_kept_answer_is_believed_and_revalidated_also_after_a_restart(
    api: RangeApi, store_url: str
) -> None:
    with time_machine.travel(START, tick=False) as clock:

        def look() -> None:
            """Ask as an application that has only just been started."""
            checks = Breaches(api.url, open_store(store_url, "cache"))
            assert checks.has(BREACHED)

        look()
        clock.shift(SOON)
        look()
        assert len(api.asked) == 1, "max-age is not over"
        clock.shift(LATER - SOON)
        look()
        assert len(api.asked) == 2
        assert api.asked[1][1]["If-None-Match"] == ETAG
        clock.shift(SOON)
        look()
        assert len(api.asked) == 2, "the 304 has a max-age as well"


def test_what_must_not_be_kept_is_not(api: RangeApi, checks: Breaches) -> None:
    api.answer = lambda request: request.send(
        api.lines(request.path[-5:]), Cache_Control="no-store"
    )
    assert checks.has(BREACHED)
    assert checks.has(BREACHED)
    assert len(api.asked) == 2


def test_no_answer_is_kept_longer_than_a_day(api: RangeApi, checks: Breaches) -> None:
    api.answer = lambda request: request.send(
        api.lines(request.path[-5:]), Cache_Control="max-age=31536000000000"
    )
    with time_machine.travel(START, tick=False) as clock:
        for _ in range(2):
            assert checks.has(BREACHED)
            clock.shift(timedelta(hours=23))
        assert len(api.asked) == 1
        clock.shift(timedelta(hours=2))
        assert checks.has(BREACHED)
        assert len(api.asked) == 2


def test_without_the_store_it_is_asked_each_time(api: RangeApi) -> None:
    away = open_store(f"redis://127.0.0.1:{free_port()}/0", "cache")
    checks = Breaches(api.url, away)
    assert [checks.has(BREACHED) for _ in range(2)] == [True, True]
    assert len(api.asked) == 2


@pytest.mark.parametrize(
    "garbage",
    [7, "é", "no base64", base64.b64encode(b"cc=4,\x81").decode(),
     base64.b64encode(b"cc=4,\x07").decode(), base64.b64encode(b"cc=4,\x80").decode()],
    ids=["number", "letters", "text", "cut", "no object", "empty object"],
)  # fmt: skip
def test_garbage_in_the_store_is_asked_for_anew(
    api: RangeApi, store: Store, garbage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaches, "PAUSE", 0.0)
    checks = Breaches(api.url, store)
    key = f"breaches:{api.url}{prefix_of(BREACHED)}"
    store.set(key, garbage, timeout=60)
    checks.has(BREACHED)
    assert checks.has(BREACHED), "at the second look at the latest"


def page(text: bytes, status: int = 200, **headers: str) -> Callable[[Request], None]:
    cached = {"Cache_Control": "max-age=60", "ETag": ETAG}
    return lambda request: request.send(text, status, **(cached | headers))


def raw(content: bytes) -> Callable[[Request], None]:
    def answer(request: Request) -> None:
        request.wfile.write(content)
        request.close_connection = True

    return answer


LINE = b"0" * 35 + b":1\r\n"
OK = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nDate: %s\r\n" % (
    b"Thu, 01 Jan 2099 12:00:00 GMT"
)
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BAD = {
    "500": page(b"Out of order", 500),
    "404": page(b"", 404),
    "429": page(b"", 429, Retry_After="3600"),
    "moved for ever": page(b"", 301, Location="/range/other"),
    "moved": page(b"", 302, Location="/range/other"),
    "web page": page(b"<!doctype html><h1>Welcome to the hotel</h1>"),
    "empty": page(b""),
    "one bad line": page(LINE * 500 + b"no\r\n" + LINE * 500),
    "huge": page(LINE * 20_000),
    "packed": page(gzip.compress(LINE * 9), Content_Encoding="gzip"),
    "no date": page(LINE * 9, Date="yesterday"),
    "cut": raw(OK + b"Content-Length: 999\r\n\r\n" + LINE),
    "cut chunk": raw(CHUNKED + b"13A\r\n" + LINE),
    "no last chunk": raw(CHUNKED + b"26\r\n" + LINE + b"\r\n"),
    "no end": raw(OK + b"\r\n" + LINE),
    "no header": raw(OK + b"not a header\r\nContent-Length: 38\r\n\r\n" + LINE),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "nothing": raw(b""),
}


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_a_bad_answer_stops_nobody_and_is_not_kept(
    api: RangeApi,
    store: Store,
    answer: Callable[[Request], None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("WARNING")
    checks, before = Breaches(api.url, store), counted("unavailable")
    api.answer = answer
    assert not checks.has(BREACHED)
    assert len(api.asked) == 1, "nothing is followed"
    assert not checks.has(BREACHED)
    assert len(api.asked) == 1, "left alone for a while"
    assert counted("unavailable") == before + 2
    [record] = caplog.records
    assert record.getMessage().startswith("New passwords are not looked for")
    assert prefix_of(BREACHED) not in caplog.text
    api.answer = api.answer_well
    assert Breaches(api.url, store).has(BREACHED)


def test_a_bad_date_of_a_304_is_not_kept(
    api: RangeApi, checks: Breaches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaches, "PAUSE", 0.0)
    api.answer = lambda request: request.send(
        api.lines(request.path[-5:]), ETag=ETAG, Date=""
    )
    assert checks.has(BREACHED)
    api.answer = page(b"", 304, Date="yesterday", Content_Length="")
    checks.has(BREACHED)
    api.answer = api.answer_well
    checks.has(BREACHED)
    assert checks.has(BREACHED)


@pytest.mark.long
@pytest.mark.parametrize(
    "start",
    [OK + b"X-Drip: ", OK + b"Content-Length: 99999\r\n\r\n" + LINE, CHUNKED],
    ids=["headers", "body", "chunks"],
)
def test_a_server_that_drips_is_hung_up_on(
    api: RangeApi, store: Store, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(range_api, "TIMEOUT", 0.5)
    api.answer = lambda request: api.drip(request, start)
    begin = time.monotonic()
    assert not Breaches(api.url, store).has(BREACHED)
    assert time.monotonic() - begin < 2
    assert api.hung_up.wait(5), "nothing goes on behind anybody's back"
    api.answer = api.answer_well
    monkeypatch.setattr(range_api, "TIMEOUT", 10.0)
    assert Breaches(api.url, store).has(BREACHED), "nothing of it was kept"


def test_the_proxy_of_the_environment_is_used(
    api: RangeApi, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{api.server_port}")
    url = "http://localhost:1/range/"
    assert Breaches(url, store).has(BREACHED)
    assert api.asked[0][0] == url + prefix_of(BREACHED)
    monkeypatch.setenv("no_proxy", "localhost")
    assert not Breaches(url, store).has(PASSWORD)
    assert len(api.asked) == 1


def test_only_a_server_that_proves_who_it_is_is_believed(
    api: RangeApi, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "localhost.pem"
    api.use_tls(file)
    url = f"https://localhost:{api.server_port}/range/"
    assert not Breaches(url, store).has(BREACHED)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    checks = Breaches(url, store)
    # Each would read its file for 40 ms, and nobody else be served meanwhile.
    for name in ("load_default_certs", "load_verify_locations"):
        monkeypatch.setattr(ssl.SSLContext, name, None)
    assert checks.has(BREACHED)
    monkeypatch.undo()
    other_name = url.replace("localhost", "127.0.0.1")
    assert not Breaches(other_name, store).has(BREACHED)
    assert len(api.asked) == 1
