"""Whatever is sent, the answer is a page that says what to do, and nothing is lost."""

import re
from collections.abc import Iterator
from io import BytesIO
from itertools import product
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from werkzeug.test import create_environ, run_wsgi_app

from tests.browser import Browser

# Hundreds of requests; what an attacker tries is not what breaks from hour to hour.
pytestmark = pytest.mark.long

FORM = "application/x-www-form-urlencoded"
UPLOAD = "multipart/form-data"
TEXT = "Dear diary, the harbour is quiet."
BAD = {
    "NUL": "%00",
    "surrogate": "%ED%A0%80",
    "no UTF-8": "%FF%FE",
    "overlong": "%C0%AF",
    "cut": "%E2%82",
    "half an escape": "%",
    "no escape": "%zz",
    "raw": "\xff\0\x80",
    "line": "%0D%0A",
    "bidi": "%E2%80%AE",
    "long": "x" * 5000,
}
NO_TEXT = {BAD[name] for name in ("surrogate", "no UTF-8", "overlong", "cut", "raw")}
PAGES = ["/", "/signup", "/login", "/password", "/entries", "/entries/new",
         "/entries/diary", "/entries/diary/edit", "/entries/diary/delete",
         "/healthz"]  # fmt: skip
# None of these is right: sent as they are, they change nothing.
FORMS: dict[str, dict[str, str]] = {
    "/login": {"name": "alice", "password": "wrong", "next": "/entries"},
    "/signup": {"name": "alice", "password": "wrong", "next": "/entries"},
    "/password": {"name": "alice", "code": "7", "password": "wrong", "again": "wrong"},
    "/entries/new": {"key": "diary", "value": "gone", "kind": "text"},
    "/entries/diary/edit": {"version": "0", "value": "gone", "kind": "text"},
    "/entries/diary/delete": {"version": "0"},
}
FIELDS = [(path, field) for path, fields in FORMS.items() for field in fields]


@pytest.fixture
def alice(alice: Browser) -> Iterator[Browser]:
    """Alice, whose diary is the same afterwards, and who is still logged in."""
    alice.keep("diary", TEXT)
    yield alice
    assert alice.open("/entries").is_logged_in
    assert alice.value("diary") == TEXT


@pytest.fixture(params=["visitor", "alice"])
def client(request: pytest.FixtureRequest, app: Flask, alice: Browser) -> FlaskClient:
    return alice.client if request.param == "alice" else app.test_client()


def _token(browser: Browser) -> str:
    return str(browser.open("/")._form("/logout", {}).fields["form_token"])


def _advice(browser: Browser) -> str:
    """Return what the page says about a mistake."""
    found = browser.tree.xpath(
        "//main//*[contains(@class, 'error')]"
        "| //main/p[@class='status']/following-sibling::p[1]"
    )
    return " ".join(element.text_content() for element in found).strip()


def _is_explained(answer: Any) -> bool:
    """Tell whether it is no failure of ours, and a mistake is explained."""
    browser = Browser(None, page=answer)
    assert browser.status < 500
    assert browser.status < 400 or _advice(browser), browser.text
    return browser.status >= 400


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_no_path_and_no_query_breaks_a_page(client: FlaskClient, bad: str) -> None:
    for path in ("/", "/static/", "/login/", "/entries/diary/"):
        assert _is_explained(_get(client, path + bad)), path
    _is_explained(_get(client, f"/entries/{bad}"))
    for page in PAGES:
        _is_explained(_get(client, f"{page}?next={bad}&q={bad}&key={bad}&{bad}={bad}"))
    for name in ("before", "after"):
        _is_explained(_get(client, f"/entries?{name}={bad}"))


@pytest.mark.parametrize("bad", sorted(NO_TEXT), ids=ascii)
def test_a_path_that_is_no_utf_8_is_no_other_key(alice: Browser, bad: str) -> None:
    """As a server has it: Werkzeug's client would put U+FFFD in its place."""
    alice.keep("\ufffd", TEXT)
    path = unquote_to_bytes(f"/entries/{bad}".encode("latin-1")).decode("latin-1")
    answer = alice.client.get("/entries", environ_overrides={"PATH_INFO": path})
    assert answer.status_code == 400
    assert _is_explained(answer)
    assert alice.value("\ufffd") == TEXT


@pytest.mark.parametrize(("path", "field"), FIELDS, ids=["-".join(f) for f in FIELDS])
def test_no_field_breaks_a_form(
    app: Flask, alice: Browser, path: str, field: str
) -> None:
    right = {"form_token": _token(alice)} | FORMS[path]
    for bad in BAD.values():
        body = "&".join(f"{name}={it}" for name, it in (right | {field: bad}).items())
        for client in (alice.client, app.test_client()):
            answer = client.post(path, data=body.encode("latin-1"), content_type=FORM)
            _is_explained(answer)


@pytest.mark.parametrize("bad", sorted(NO_TEXT), ids=ascii)
def test_what_is_no_utf_8_is_refused_and_never_altered(
    alice: Browser, bad: str
) -> None:
    form = {"form_token": _token(alice), "kind": "text", "key": "k", "value": "v"}
    for field in ("key", "value", "extra"):
        body = "&".join(f"{name}={it}" for name, it in (form | {field: bad}).items())
        answer = alice.client.post(
            "/entries/new", data=body.encode("latin-1"), content_type=FORM
        )
        assert answer.status_code == 400
        parts = {name: value.encode() for name, value in form.items()}
        parts[field] = unquote_to_bytes(bad.encode("latin-1"))
        uploaded = b"".join(
            b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
            % (name.encode(), value)
            for name, value in parts.items()
        )
        answer = alice.client.post(
            "/entries/new",
            data=uploaded + b"--b--\r\n",
            content_type=f"{UPLOAD}; boundary=b",
        )
        assert answer.status_code == 400
    if bad.isascii():
        assert alice.client.get(f"/entries?q={bad}").status_code == 400
    assert "No key and no value" in alice.open("/entries?q=k&extra=v").text


def test_a_form_token_of_garbage_is_refused(alice: Browser) -> None:
    for path, bad in product(FORMS, BAD.values()):
        body = b"form_token=" + bad.encode("latin-1")
        answer = alice.client.post(path, data=body, content_type=FORM)
        # Visitors' forms have no token; what is sent here lacks their fields.
        is_visitors = path in ("/login", "/signup", "/password")
        assert answer.status_code == (400 if is_visitors or bad in NO_TEXT else 403)
        assert _is_explained(answer)


COOKIES = ["session=\xff", "session=\0", "session=%00%ED%A0%80", "session", ";=;==",
           "session=" + "A" * 43, "session=" + "A" * 70_000, "a=b; " * 900,
           'session="; session=\'', "__Host-session=" + "A" * 43]  # fmt: skip


@pytest.mark.parametrize("cookie", COOKIES, ids=range(len(COOKIES)))
def test_a_cookie_of_garbage_is_a_visitor(
    app: Flask, alice: Browser, cookie: str
) -> None:
    visitor = app.test_client(use_cookies=False)
    for path in ("/", "/login", "/signup"):
        assert visitor.get(path, headers={"Cookie": cookie}).status_code == 200
    answer = visitor.get("/entries", headers={"Cookie": cookie})
    assert answer.location.startswith("/login")


def test_a_cookie_sent_twice_harms_nobody(app: Flask, alice: Browser) -> None:
    own = f"session={alice.client.get_cookie('session').value}"
    forged, visitor = "session=" + "A" * 43, app.test_client(use_cookies=False)
    for cookie in (f"{own}; {forged}", f"{forged}; {own}", f"{own}; {own}"):
        answer = visitor.get("/entries", headers={"Cookie": cookie})
        assert answer.status_code in (200, 303)


@pytest.mark.parametrize("path", [*FORMS, "/logout"])
def test_too_large_a_body_is_413(alice: Browser, path: str) -> None:
    answer = alice.client.post(path, data={"value": "x" * 4_000_000})
    assert answer.status_code == 413
    assert _is_explained(answer)


def test_too_many_parts_are_413(client: FlaskClient) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nalice\r\n'
    sent = {"data": part * 1500 + b"--x--", "content_type": f"{UPLOAD}; boundary=x"}
    for path in FORMS:
        answer = client.post(path, **sent)
        assert answer.status_code in (413, 303), "a visitor may be sent to the log-in"
        _is_explained(answer)


@pytest.mark.parametrize("text", ["x", "é", "€", "😀", "\n", "a\n"])
def test_the_largest_value_is_taken_however_a_browser_writes_it(
    alice: Browser, text: str
) -> None:
    """A browser ends lines with two characters, and writes each as three."""
    value = text * (256_000 // len(text.encode()))
    form = {"form_token": _token(alice), "key": "é" * 200}
    form["value"] = value.replace("\n", "\r\n")
    assert alice.client.post("/entries/new", data=form).status_code == 303


@pytest.mark.parametrize("path", [*PAGES, "/logout", "/static/style.css"])
def test_a_wrong_method_is_405_and_says_which_are_right(
    client: FlaskClient, path: str
) -> None:
    right = "POST" if path in (*FORMS, "/logout") else "GET"
    for method in {"POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"} - {right}:
        answer = client.open(path, method=method)
        assert answer.status_code == 405, method
        assert right in answer.headers["Allow"]
        assert _is_explained(answer)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_url_is_404_for_everybody(client: FlaskClient, method: str) -> None:
    for path in ("/nothing", "/entries/diary/x", "/entries/", "/.git/config", "/apis"):
        answer = client.open(path, method=method)
        assert answer.status_code == 404, path
        assert _is_explained(answer)


def test_an_unknown_key_is_404_and_so_is_anothers(alice: Browser, bob: Browser) -> None:
    for browser, key in ((alice, "nothing"), (bob, "diary")):
        for verb in ("", "/edit", "/delete"):
            answer = browser.client.get(f"/entries/{key}{verb}")
            assert answer.status_code == 404
            assert _is_explained(answer)


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("how", ["missing", "repeated", "uploaded", "JSON", "text"])
def test_a_form_sent_otherwise_is_explained(
    app: Flask, alice: Browser, path: str, how: str
) -> None:
    fields = FORMS[path]
    senders = {alice.client: {"form_token": _token(alice)}, app.test_client(): {}}
    for client, token in senders.items():
        twice = {name: [value, "x"] for name, value in fields.items()}
        files = {name: (BytesIO(b"text"), "file.txt") for name in fields}
        sent: dict[str, dict[str, Any]] = {
            "missing": {"data": token},
            "repeated": {"data": token | twice},
            "uploaded": {"data": token | files},
            "JSON": {"json": token | fields},
            "text": {"data": b"x", "content_type": "text/plain; charset=none"},
        }
        answer = client.post(path, **sent[how])
        assert _is_explained(answer) or answer.location.startswith("/login")


@pytest.mark.parametrize("length", ["0", "7", "-5", "many", "9" * 5000])
def test_headers_that_lie_about_the_body(client: FlaskClient, length: str) -> None:
    for kind in (FORM, UPLOAD, f"{UPLOAD}; boundary=", "x", "", "/", ";" * 500):
        headers = {"Content-Type": kind, "Content-Length": length}
        stream = BytesIO(b"--\r\nname")
        answer = client.post("/login", input_stream=stream, headers=headers)
        assert answer.status_code in (400, 403, 413)
        assert _is_explained(answer)


DEEP = "[" * 10_000 + "]" * 10_000
NO_JSON = {"surrogate": '"\\ud800"', "swapped": '"\\udc00\\ud800"', "empty": "",
           "deep": DEEP, "open": '{"a":' * 10_000, "huge": "9" * 200_000,
           "BOM": "\ufeff1", "negative": "-" + "9" * 5000, "NaN": "NaN",
           "infinite": "-Infinity", "comma": "[1,]", "two": "1 2"}  # fmt: skip


@pytest.mark.parametrize("value", NO_JSON.values(), ids=NO_JSON)
def test_what_is_not_json_is_explained_and_kept_in_the_form(
    alice: Browser, value: str
) -> None:
    alice.submit("/entries/new", key="numbers", value=value, kind="json")
    assert alice.status == 400
    assert "This is not JSON: " in _advice(alice)
    assert alice.tree.xpath("string(//textarea)") == value


NUMBERS = ["-1", "0", "x", "", "1.5", "9" * 19, "9" * 30, "9" * 5000, "٣", "1e3", "0x1"]


@pytest.mark.parametrize("name", ["before", "after"])
def test_no_place_in_the_list_breaks_it(alice: Browser, name: str) -> None:
    more = ("", "&q=diary", "&before=1&after=1", "&before=x")
    for number, others in product(NUMBERS, more):
        address = f"/entries?{name}={number}{others}"
        _is_explained(alice.client.get(address, follow_redirects=True))


def test_no_number_in_a_path_breaks_a_page(alice: Browser) -> None:
    form = {"form_token": _token(alice)}
    headers = {"X-Form-Token": form["form_token"]}
    rules = [
        rule
        for rule in alice.client.application.url_map.iter_rules()
        if re.search(r"<(int|row_id)\b", rule.rule)
    ]
    assert len(rules) > 6
    for rule, number in product(rules, ["0", str(2**63 - 1), str(2**63), "9" * 5000]):
        path = re.sub(r"<entry_key:\w+>", "diary", rule.rule)
        path = re.sub(r"<\w+:\w+>", number, path)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            answer = alice.client.open(path, method=method, data=form, headers=headers)
            assert answer.status_code == 404, path


@pytest.mark.parametrize("path", ["/entries/diary/edit", "/entries/diary/delete"])
def test_no_version_breaks_a_form(alice: Browser, path: str) -> None:
    form = FORMS[path] | {"form_token": _token(alice)}
    for version in NUMBERS:
        answer = alice.client.post(path, data=form | {"version": version})
        assert answer.status_code in (400, 409)
        assert _is_explained(answer)


RAW = [bad.encode("latin-1") for bad in BAD.values()]
ANYTHING = st.binary(max_size=60) | st.sampled_from(RAW)
ADDRESSES = st.sampled_from([path.encode() for path in (*PAGES, *FORMS)]) | ANYTHING
FIELD = st.tuples(st.sampled_from([b"name", b"password", b"key", b"next"]), ANYTHING)
METHODS = st.sampled_from(["GET", "POST", "HEAD", "PUT"])
REPEATABLE = bounded(
    max_examples=200, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


@pytest.mark.long
@REPEATABLE
@given(
    start=st.tuples(METHODS, ADDRESSES, ANYTHING),
    kind=st.sampled_from([FORM, f"{UPLOAD}; boundary=x"]) | st.text(),
    body=st.lists(FIELD.map(b"=".join)).map(b"&".join),
    is_alice=st.booleans(),
)
def test_no_request_of_random_bytes_is_a_failure_of_ours(
    app: Flask, alice: Browser, start: tuple[str, bytes, bytes], kind: str, body: bytes,
    is_alice: bool,
) -> None:  # fmt: skip
    """Without the token of a form nothing that alice sends changes anything."""
    method, path, query = start
    cookie = alice.client.get_cookie("session").value if is_alice else ""
    environ = create_environ(method=method, input_stream=BytesIO(body)) | {
        "PATH_INFO": "/" + path.lstrip(b"/").decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_COOKIE": f"session={cookie}",
    }
    assert run_wsgi_app(app.wsgi_app, environ, buffered=True)[1] < "500"


def _get(client: FlaskClient, address: str) -> Any:
    """Ask for the address as it is, whatever bytes are in it."""
    path, _, query = address.partition("?")
    environ = {"REQUEST_URI": address, "QUERY_STRING": query}
    return client.get(path, environ_overrides=environ)
