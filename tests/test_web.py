"""What every request and answer goes through: headers, origin, proxies, errors."""

import logging
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial, wraps
from typing import Any

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.test import TestResponse

from config.settings import Settings
from tests.browser import PASSWORD, Browser
from tests.servers import ROOT
from webapp import clock, create_app
from webapp.database import Database
from webapp.errors import StoreUnavailable
from webapp.moments import moment
from webapp.ops import upkeep
from webapp.programs import PATHS
from webapp.sessions.guard import public
from webapp.sessions.models import SessionRecord
from webapp.stores.file import FileStore

SECRET = "the cause"
CREDENTIALS = {"name": "alice", "password": PASSWORD}
FAILURES: dict[str, Exception] = {
    "crash": RuntimeError(SECRET),
    "database": OperationalError(SECRET, {}, Exception(SECRET)),
    "pool": PoolTimeout(SECRET),
    "store": StoreUnavailable(SECRET),
}
STATUSES = [200, 303, 304, 400, 403, 404, 405, 409, 413, 429, 500, 503]
# How a visitor gets these; the others come from a view of the tests.
ANSWERS: dict[int, tuple[str, str, dict[str, Any]]] = {
    200: ("GET", "/login", {}), 303: ("GET", "/entries", {}),
    304: ("GET", "/static/style.css", {}), 404: ("GET", "/nothing", {}),
    403: ("POST", "/login", {"headers": {"Sec-Fetch-Site": "cross-site"}}),
    405: ("POST", "/entries", {}), 413: ("POST", "/login", {"data": "x" * 4_000_000}),
}  # fmt: skip
ADVICE = {400: "Go back, check", 401: "Log in and", 403: "Another site sent this",
          404: "Check the address", 405: "use the buttons", 409: "Reload the page",
          413: "send less", 418: "Go back", 429: "Wait a little", 500: "has been noted",
          501: "has been noted", 503: "Wait a moment, then try again"}  # fmt: skip
VISITED = ["/", "/login", "/signup", "/entries", "/entries/new", "/entries?q=none",
           "/entries/k", "/entries/k/edit", "/entries/k/delete", "/account",
           "/nothing", "/fail/crash", "/healthz", "/static/style.css"]  # fmt: skip


@pytest.fixture
def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The application without upkeep, and with a view that fails in every way."""
    monkeypatch.setattr(upkeep, "PAUSE", 3600)
    app = create_app(settings)

    @app.get("/fail/<how>")
    @public
    def fail(how: str) -> str:
        if how.isdecimal():
            abort(int(how))
        raise FAILURES[how]

    return app


@pytest.fixture(params=STATUSES)
def answer(request: pytest.FixtureRequest, client: FlaskClient) -> TestResponse:
    """An answer of every status in turn, over https."""
    answer = _answer(client, request.param, base_url="https://localhost")
    assert answer.status_code == request.param
    return answer


def test_every_answer_has_the_security_headers(
    client: FlaskClient, answer: TestResponse
) -> None:
    headers = answer.headers
    (policy,) = headers.getlist("Content-Security-Policy")
    assert policy == (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    for name in ("Referrer", "Cross-Origin-Opener", "Cross-Origin-Resource"):
        assert headers[f"{name}-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    plain = _answer(client, answer.status_code)
    assert "Strict-Transport-Security" not in plain.headers
    is_file = answer.status_code == 304
    assert headers["Cache-Control"] == ("no-cache" if is_file else "no-store")
    assert headers.get("Vary") == ("Accept-Encoding" if is_file else "Cookie")
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("path", VISITED)
def test_every_page_has_a_title_a_heading_labels_no_inline_script_and_a_head(
    app: Flask, alice: Browser, path: str
) -> None:
    alice.keep("k", "value")
    for client in (alice.client, app.test_client()):
        page = client.get(path, buffered=True, follow_redirects=True)
        assert "Set-Cookie" not in page.headers, "a session begins at log-in only"
        if page.mimetype == "text/html":
            _check_page(Browser(client, page=page))
        head = client.head(path, buffered=True, follow_redirects=True)
        assert (head.status_code, head.data) == (page.status_code, b"")
        assert head.headers["Content-Type"] == page.headers["Content-Type"]
    with app.extensions["database"].read() as db:
        assert len(db.execute(select(SessionRecord.id)).all()) == 1, "that of alice"


@pytest.mark.parametrize("path", ["/static/style.css", "/static/none", "/healthz"])
def test_a_machines_url_touches_no_store_and_no_database(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    touched: list[str] = []
    for name in ("get", "get_many", "set", "add", "replace", "delete"):
        monkeypatch.setattr(FileStore, name, lambda *_: touched.append("store"))
    engine = app.extensions["database"].engine
    event.listen(engine, "checkout", lambda *_: touched.append("database"))
    answer = alice.client.get(path, buffered=True)
    assert answer.status_code == (404 if "none" in path else 200)
    assert touched == []


@pytest.mark.parametrize(
    ("site", "origin", "allowed"),
    [
        ("same-origin", None, True), ("none", None, True), ("same-site", None, False),
        ("cross-site", None, False), ("garbage", None, False), ("", None, False),
        ("cross-site", "http://localhost", False), (None, None, True),
        (None, "http://localhost", True), (None, "https://localhost", False),
        (None, "http://localhost:81", False), (None, "http://evil.example", False),
        (None, "http://localhost.evil.example", False), (None, "null", False),
    ],
)  # fmt: skip
def test_another_site_can_send_no_form(
    app: Flask, alice: Browser, site: str | None, origin: str | None, allowed: bool
) -> None:
    given = {"Sec-Fetch-Site": site, "Origin": origin}
    headers = {name: value for name, value in given.items() if value is not None}
    form = CREDENTIALS | {"key": "k", "form_token": _token(alice)}
    visitor, carol = app.test_client(), app.test_client()
    for client, path, name in (
        (visitor, "/login", "alice"),
        (carol, "/signup", "carol"),
        (alice.client, "/entries/new", "alice"),
        (alice.client, "/logout", "alice"),
    ):
        answer = client.post(path, data=form | {"name": name}, headers=headers)
        assert answer.status_code == (303 if allowed else 403), path
        assert client.get("/login", headers=headers).status_code in (200, 303)
    assert (visitor.get_cookie("session") is not None) == allowed
    assert alice.open("/").is_logged_in != allowed


HEADER = "send the form_token of one of its pages as X-Form-Token"


def test_every_form_needs_the_token_of_its_session(
    app: Flask, browser_of: Callable[[str], Browser]
) -> None:
    alice = browser_of("alice").keep("1", "kept")
    others = [_token(browser_of("alice")), _token(browser_of("bob"))]
    form = {"key": "n", "value": "", "version": "1"} | CREDENTIALS
    forms = {
        re.sub("<.*?>", "1", rule.rule)
        for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or ())
    }
    for path in forms - {"/login", "/signup", "/password"}:
        is_of_people = not path.startswith(PATHS)
        words = "copy what you typed, reload the page" if is_of_people else HEADER
        for token in (None, "", "x", "é", _token(alice)[:-1], *others):
            data = form if token is None else form | {"form_token": token}
            answer = alice.client.post(path, data=data)
            assert answer.status_code == 403
            assert words in answer.text
    assert alice.value("1") == "kept"
    assert alice.open("/").is_logged_in


@pytest.mark.parametrize("path", ["/entries/new", "/logout", "/confirm"])
def test_json_for_a_form_is_told_that_a_form_is_wanted(
    alice: Browser, path: str
) -> None:
    answer = alice.client.post(path, json={"form_token": _token(alice)})
    assert answer.status_code == 415
    assert "takes the fields of a form, no application/json" in answer.text
    assert alice.open("/").is_logged_in


def test_the_page_of_a_missing_file_does_not_guess_who_asks(alice: Browser) -> None:
    for client in (alice.client, alice.client.application.test_client()):
        answer = client.get("/static/missing.css")
        assert answer.status_code == 404
        assert "Log in" not in answer.text
        assert "Sign up" not in answer.text


@pytest.mark.parametrize("status", ADVICE)
def test_an_error_page_says_what_happened_and_what_to_do(
    client: FlaskClient, status: int
) -> None:
    page = _answer(client, status)
    browser = Browser(client, page=page)
    assert browser.tree.xpath("string(//*[@class='status'])") == str(status)
    assert ADVICE[status] in browser.text
    assert browser.links()["To the first page"] == "/"
    _check_page(browser)
    assert page.status_code == status
    assert ("Retry-After" in page.headers) == (status == 503)
    assert ("Allow" in page.headers) == (status == 405)


@pytest.mark.parametrize("how", ["crash", "database", "pool", "store"])
def test_the_cause_of_a_failure_is_in_the_log_and_never_on_a_page(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    answer = client.get(f"/fail/{how}")
    assert answer.status_code == (500 if how == "crash" else 503)
    for word in (SECRET, "Traceback", "File ", str(ROOT), "Error"):
        assert word not in answer.text
    assert caplog.records[-1].levelno == logging.ERROR
    assert SECRET in caplog.text
    assert f"/fail/{how}" in caplog.text
    assert how != "crash" or "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("path", "status"), [("/entries/k", 503), ("/nothing", 404), ("/fail/crash", 500)]
)
def test_an_error_page_needs_neither_database_nor_name(
    alice: Browser, monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    """A copy that was just rebuilt from its record has no name in it yet."""
    with alice.client.session_transaction() as session:
        del session["_name"]

    def fail(*_given: Any) -> None:
        raise FAILURES["database"]

    monkeypatch.setattr(Database, "read", fail)
    assert alice.open(path).status == status
    _check_page(alice)


@pytest.mark.parametrize(
    ("trusted", "forwarded_for", "proto", "address", "is_https"),
    [
        (0, "6.6.6.6", "https", "127.0.0.1", False),
        (1, "", "", "127.0.0.1", False),
        (1, "1.1.1.1", "https", "1.1.1.1", True),
        (1, "6.6.6.6, 1.1.1.1", "https, http", "1.1.1.1", False),
        (1, "6.6.6.6, 2001:db8::1", "http, https", "2001:db8::1", True),
        (2, "6.6.6.6, 1.1.1.1, 2.2.2.2", "http, https, http", "1.1.1.1", True),
        (1, "6.6.6.6, 1.1.1.1:4711", "https", "1.1.1.1", True),
        (1, "6.6.6.6, [2001:db8::1]:4711", "https", "2001:db8::1", True),
        (1, "6.6.6.6, [2001:db8::1]", "https", "2001:db8::1", True),
        (2, "1.1.1.1, 2.2.2.2", "http, https", "1.1.1.1", False),
        (2, "1.1.1.1, 2.2.2.2", "https", "1.1.1.1", True),
        (2, "6.6.6.6", "http", "127.0.0.1", False),
    ],
)  # fmt: skip
def test_only_what_trusted_proxies_say_is_believed(
    settings: Settings, trusted: int, forwarded_for: str, proto: str, address: str,
    is_https: bool,
) -> None:  # fmt: skip
    changed = {"trusted_proxies": trusted, "plain_http": "served"}
    app = create_app(settings.model_copy(update=changed))
    headers = {"X-Forwarded-For": forwarded_for, "X-Forwarded-Proto": proto}
    headers |= {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"}
    answer = app.test_client().post("/signup", data=CREDENTIALS, headers=headers)
    assert answer.location == "/entries"
    with app.extensions["database"].read() as db:
        assert db.execute(select(SessionRecord.address)).scalar_one() == address
    for cookie in answer.headers.getlist("Set-Cookie"):
        name, *how = cookie.split("; ")
        assert name.startswith("__Host-") == is_https
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {*how}
        assert ("Secure" in how, "Domain" in cookie) == (is_https, False)
    assert ("Strict-Transport-Security" in answer.headers) == is_https


PLAIN = {"X-Forwarded-Proto": "http"}


@pytest.fixture
def behind_proxy(settings: Settings) -> FlaskClient:
    app = create_app(settings.model_copy(update={"trusted_proxies": 1}))
    return app.test_client()


@pytest.mark.parametrize(
    ("path", "host", "location"),
    [
        ("/", "example.org", "https://example.org/"),
        ("/login?next=/entries/a%2Fb", "example.org:80", "https://example.org/login?next=/entries/a%2Fb"),
        ("/nothing//here?q=%C3%A9", "[::1]", "https://[::1]/nothing//here?q=%C3%A9"),
    ],
)  # fmt: skip
def test_plain_http_is_sent_on_to_https(
    behind_proxy: FlaskClient, path: str, host: str, location: str
) -> None:
    answer = behind_proxy.get(f"http://{host}{path}", headers=PLAIN)
    assert (answer.status_code, answer.location) == (308, location)


def test_a_form_in_plain_http_is_refused(behind_proxy: FlaskClient) -> None:
    answer = behind_proxy.post("/signup", data=CREDENTIALS, headers=PLAIN)
    assert answer.status_code == 403
    assert "https://" in answer.text
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/static/style.css"])
def test_machines_that_watch_need_no_tls(behind_proxy: FlaskClient, path: str) -> None:
    with behind_proxy.get(path, headers=PLAIN) as answer:
        assert answer.status_code == (308 if path.startswith("/static") else 200)


def test_plain_http_is_served_where_nobody_speaks_of_tls(
    behind_proxy: FlaskClient, settings: Settings, client: FlaskClient
) -> None:
    assert behind_proxy.get("/login").status_code == 200
    assert client.get("/login", headers=PLAIN).status_code == 200, "not believed"
    changed = {"trusted_proxies": 1, "plain_http": "served"}
    served = create_app(settings.model_copy(update=changed)).test_client()
    assert served.get("/login", headers=PLAIN).status_code == 200


def _answer(client: FlaskClient, status: int, **options: Any) -> TestResponse:
    method, path, more = ANSWERS.get(status, ("GET", f"/fail/{status}", {}))
    if status == 304:
        first = client.get(path, buffered=True)
        more = {"headers": {"If-None-Match": first.headers["ETag"]}}
    return client.open(path, method=method, buffered=True, **more, **options)


def _token(browser: Browser) -> str:
    return str(browser.open("/")._form("/logout", {}).fields["form_token"])


def _check_page(browser: Browser) -> None:
    tree = browser.tree
    assert tree.get("lang") == "en"
    assert tree.xpath("string(//title)").strip() not in ("", "· Holdfast")
    (heading,) = tree.iter("h1")
    assert heading.text_content().strip()
    for field in tree.xpath("//input[not(@type='hidden')] | //textarea"):
        labels = tree.xpath("//label[@for=$id]", id=field.get("id") or "")
        assert (labels or field.xpath("ancestor::label"))[0].text_content().strip()
    inline = (
        "//script[not(@src)] | //style | //@style | //@*[starts-with(name(), 'on')]"
    )
    assert tree.xpath(inline) == []
    assert len(tree.xpath("//@id")) == len(set(tree.xpath("//@id")))


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (1, "a day"),
        (16, "16 days"),
        (59, "59 days"),
        (60, "2 months"),
        (90, "3 months"),
    ],
)
def test_days_are_counted_in_months_when_there_are_two(days: int, said: str) -> None:
    ago = timedelta(days=days)
    assert moment(clock.now() - ago).striptags() == f"{said} ago"
    ahead = moment(clock.now() + ago + timedelta(minutes=1)).striptags()
    assert ahead == f"{said} from now"


def test_a_coroutine_is_no_plain_function(app: Flask) -> None:
    async def view() -> str:
        return ""

    @wraps(view)
    def marked() -> str:
        return ""

    assert app.ensure_sync(marked) is marked
    with pytest.raises(RuntimeError, match="async"):
        app.ensure_sync(view)
    with pytest.raises(RuntimeError, match="async"):
        app.ensure_sync(partial(view))
