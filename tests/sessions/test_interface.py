"""What a browser and a developer see of a session."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, flash, session
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from werkzeug.sansio.http import parse_cookie

from tests.browser import PASSWORD, Browser
from webapp.errors import StoreUnavailable
from webapp.in_hand import request_in_hand
from webapp.sessions.guard import public
from webapp.sessions.interface import SESSION_ID, SessionInterface

SECURE = {"base_url": "https://localhost"}


def test_only_a_log_in_sets_a_cookie(app: Flask, alice: Browser) -> None:
    visitor = app.test_client()
    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and not rule.arguments:
            answer = visitor.get(rule.rule)
            assert "Set-Cookie" not in answer.headers, rule.rule
    wrong = {"name": "alice", "password": "wrong"}
    assert "Set-Cookie" not in visitor.post("/login", data=wrong).headers
    right = {"name": "alice", "password": PASSWORD}
    assert "Set-Cookie" in visitor.post("/login", data=right).headers


def test_the_cookie_on_plain_http(client: FlaskClient, alice: Browser) -> None:
    answer = client.post("/login", data={"name": "alice", "password": PASSWORD})
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("session=")
    assert "Secure" not in cookie
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Path=/"))
    assert len(cookie) < 200


def test_the_cookie_on_https_and_how_it_is_cleared(
    client: FlaskClient, alice: Browser
) -> None:
    credentials = {"name": "alice", "password": PASSWORD}
    answer = client.post("/login", data=credentials, **SECURE)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    attributes = {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"}
    assert attributes <= set(cookie.split("; "))
    assert "Domain" not in cookie

    browser = Browser(client, "alice")
    browser.page = client.get("/", **SECURE)
    token = browser._form("/logout", {}).fields["form_token"]
    answer = client.post("/logout", data={"form_token": token}, **SECURE)
    cleared = answer.headers["Set-Cookie"]
    assert cleared.startswith("__Host-session=;")
    assert attributes <= set(cleared.split("; "))


def test_every_log_in_has_a_new_id(browser_of: Callable[[str], Browser]) -> None:
    first, second = browser_of("alice"), browser_of("alice")
    assert _cookie(first) != _cookie(second)
    before = _cookie(first)
    again = {"name": "alice", "password": PASSWORD}
    token = first.open("/")._form("/logout", {}).fields["form_token"]
    first.client.post("/login", data=again | {"form_token": token})
    assert _cookie(first) != before
    assert not Browser(_with_cookie(first, before), "alice").open("/").is_logged_in


def test_a_log_in_with_a_cookie_of_an_attackers_choice(
    app: Flask, alice: Browser
) -> None:
    client = app.test_client()
    client.set_cookie("session", "A" * 43)
    browser = Browser(client, "alice").log_in()
    assert browser.is_logged_in
    assert _cookie(browser) != "A" * 43


def test_logging_out_is_a_post(alice: Browser) -> None:
    assert alice.client.get("/logout").status_code == 405
    assert alice.open("/").is_logged_in


def test_logging_out_ends_the_session(alice: Browser) -> None:
    cookie = _cookie(alice)
    alice.log_out()
    assert "You are logged out." in alice.text
    assert not alice.open("/").is_logged_in
    assert not Browser(_with_cookie(alice, cookie), "alice").open("/").is_logged_in


def test_one_browser_logging_out_leaves_the_other_in(
    browser_of: Callable[[str], Browser],
) -> None:
    one, other = browser_of("alice"), browser_of("alice")
    one.log_out()
    assert other.open("/").is_logged_in


@pytest.mark.parametrize(
    "cookie", ["", "x", "A" * 43, "A" * 4096, "../../etc/passwd", "\0", '"', "é" * 43]
)
def test_a_forged_cookie_is_nobody(app: Flask, alice: Browser, cookie: str) -> None:
    headers = {"Cookie": f"session={cookie}"}
    answer = app.test_client(use_cookies=False).get("/", headers=headers)
    assert answer.status_code == 200
    assert "Log in" in answer.text


def test_static_files_and_health_touch_no_store(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touched(*_arguments: Any) -> None:
        raise AssertionError("the session was opened")

    monkeypatch.setattr(app.session_interface.sessions, "resume", touched)  # type: ignore[attr-defined]
    for path in ("/static/style.css", "/healthz"):
        with alice.client.get(path) as answer:
            assert answer.status_code == 200


def test_a_page_that_changes_nothing_writes_nothing(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.open("/entries")
    store = app.session_interface.sessions._copies._store  # type: ignore[attr-defined]
    writes: list[str] = []
    for method in ("set", "add", "replace", "delete"):
        monkeypatch.setattr(store, method, lambda *_: writes.append("write"))
    alice.open("/entries")
    assert writes == []


def test_nobody_is_logged_out_when_the_store_is_away(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.keep("before", "1")
    _break_store(app, monkeypatch)
    assert alice.open("/entries").is_logged_in
    assert alice.keep("during", "2").status == 200
    assert alice.value("during") == "2"


def test_logging_in_works_when_the_store_is_away(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break_store(app, monkeypatch)
    assert Browser(app.test_client(), "alice").log_in().is_logged_in


def test_a_database_that_is_away_is_a_503_and_no_log_out(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise OperationalError("select", {}, Exception("gone"))

    monkeypatch.setattr(app.session_interface.sessions, "resume", fail)  # type: ignore[attr-defined]
    answer = alice.client.get("/entries")
    assert answer.status_code == 503
    assert "Set-Cookie" not in answer.headers
    assert "gone" not in answer.text


def test_session_transaction_works(app: Flask, alice: Browser) -> None:
    with alice.client.session_transaction() as changed:
        changed["colour"] = "green"
    with alice.client.session_transaction() as found:
        assert found["colour"] == "green"
        assert found.user_id
    assert alice.open("/").is_logged_in


def test_a_developers_session_values_are_kept(
    app: Flask, browser_of: Callable[[str], Browser]
) -> None:
    @app.get("/count")
    def count() -> str:
        session.setdefault("numbers", []).append(1)
        return str(len(session["numbers"]))

    alice = browser_of("alice")
    counts = [alice.client.get("/count").text for _ in range(3)]
    assert counts == ["1", "2", "3"], "a nested change is kept without saying so"


def test_a_visitor_has_no_session_to_write_to(app: Flask) -> None:
    @app.get("/write")
    @public
    def write() -> str:
        session["a"] = 1
        return "unreached"

    app.testing = True
    with pytest.raises(RuntimeError, match="starts at log-in"):
        app.test_client().get("/write")


def test_a_save_that_failed_is_a_503(
    app: Flask, browser_of: Callable[[str], Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.get("/cart")
    def cart() -> str:
        session["cart"] = [1]
        return "kept"

    @app.get("/notice")
    def notice() -> str:
        flash("Saved.")
        return "kept"

    alice = browser_of("alice")
    _break_store(app, monkeypatch)
    assert alice.client.get("/cart").status_code == 503
    assert alice.client.get("/notice").text == "kept"


def test_regenerate_gives_a_new_id(
    app: Flask, browser_of: Callable[[str], Browser]
) -> None:
    @app.get("/rotate")
    def rotate() -> str:
        app.session_interface.regenerate(session)  # type: ignore[attr-defined]
        return "rotated"

    alice = browser_of("alice")
    before = _cookie(alice)
    alice.client.get("/rotate")
    assert _cookie(alice) != before
    assert alice.open("/").is_logged_in
    stale = _with_cookie(alice, before)
    answer = stale.get("/")
    assert "Log in" in answer.text
    assert "Set-Cookie" not in answer.headers, "the good cookie must stay"


def _break_store(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise StoreUnavailable("away")

    interface: Any = app.session_interface
    stores = [interface.sessions._copies._store, *app.extensions["cache"].values()]
    for store in stores:
        for method in ("get", "get_many", "set", "add", "replace", "delete"):
            monkeypatch.setattr(store, method, fail)


def _cookie(browser: Browser) -> str:
    cookie = browser.client.get_cookie("session")
    assert cookie
    return str(cookie.value)


def _with_cookie(browser: Browser, value: str) -> FlaskClient:
    client: FlaskClient = browser.client.application.test_client()
    client.set_cookie("session", value)
    return client


ID, OTHER = "a" * 43, "b" * 43
COOKIES = [
    f"session={ID}", f"device={OTHER}; session={ID}", f"session={ID}; session={OTHER}",
    f"session={OTHER};session={ID}", f" session = {ID} ;", f"xsession={ID}",
    f"session-x={ID}", f"x=session={ID}", f"session=x; session={ID}", "session", "",
    f"session={ID}x", f"session;session={ID}", f"__Host-session={ID}",
    f";;session={ID}", f"Session={ID}", f"a=b, session={ID}",
    f"session={ID}\t; a=b", f"session=\xe4{ID}",
]  # fmt: skip


@pytest.mark.embedded
@pytest.mark.parametrize("sent", COOKIES)
def test_the_cookie_is_the_one_that_werkzeug_takes(app: Flask, sent: str) -> None:
    interface = app.session_interface
    assert isinstance(interface, SessionInterface)
    environ = {"HTTP_COOKIE": sent}
    with app.test_request_context("/static/none", environ_overrides=environ):
        given = parse_cookie(sent).get("session", "")
        expected = given if SESSION_ID.fullmatch(given) else ""
        assert interface._session_id(app, request_in_hand()) == expected
