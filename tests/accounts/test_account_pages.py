"""Signing up, logging in and logging out as a person sees it."""

import logging
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.browser import PASSWORD, Browser

WRONG = "noisy-harbour-seven-boats"
FALLBACK = "/entries"
# The person leaves this place, or would see no page there.
ELSEWHERE = {
    "no scheme": "//evil.example",
    "three slashes": "///evil.example",
    "absolute": "https://evil.example",
    "https:": "https:evil.example",
    "backslashes": r"\\evil.example",
    "slash backslash": r"/\evil.example",
    "tab": "/\t/evil.example",
    "script": "javascript:alert(1)",
    "data": "data:text/html,x",
    "space": " //evil.example",
    "control": "\x01//evil.example",
    "dots": "/entries/..//evil.example",
    "bracket": "//[evil.example",
    "log out": "/logout",
    "escaped line": "/entries%0d%0aX-Evil: 1",
    "line": "/entries\r\nX-Evil: 1",
    "line in a key": "/entries/a\r\nX-Evil: 1",
    "line in a query": "/entries?q=\r\nX-Evil: 1",
    "static": "/static/..",
    "style sheet": "/static/style.css",
    "unknown": "/nothing-here",
    "relative": "entries/new",
    "empty": "",
    "NUL": "/\0",
}
OWN = ["/entries/new", "/entries?q=a%26b", "/entries/some~2Fkey", "/entries/é", "/"]
KEYS = ["plain", "what?", "a#b", "50%", "a/b", "a&b=c", "é", "+ +", "~", "new", "..",
        "a%3Fb", "x;y", "?"]  # fmt: skip


def _cookie(browser: Browser) -> str:
    cookie = browser.client.get_cookie("session")
    assert cookie
    return str(cookie.value)


def _post_log_in(client: FlaskClient, **fields: str) -> TestResponse:
    form = {"name": "alice", "password": PASSWORD} | fields
    return client.post("/login", data=form)


@pytest.mark.parametrize("wanted", ELSEWHERE.values(), ids=ELSEWHERE)
def test_log_in_never_leads_elsewhere(
    client: FlaskClient, alice: Browser, wanted: str
) -> None:
    answer = _post_log_in(client, next=wanted)
    assert answer.status_code == 303
    assert answer.headers["Location"] == FALLBACK
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize("path", ["/login", "/signup"])
@pytest.mark.parametrize("wanted", ["//evil.example", "//[evil", "/entries?a=\r\nb"])
def test_an_open_log_in_page_never_leads_elsewhere(
    alice: Browser, path: str, wanted: str
) -> None:
    answer = alice.client.get(path, query_string={"next": wanted})
    assert answer.status_code == 303
    assert answer.headers["Location"] == FALLBACK


@pytest.mark.parametrize("wanted", OWN)
def test_log_in_leads_to_the_page_that_was_wanted(
    app: Flask, alice: Browser, wanted: str
) -> None:
    browser = Browser(app.test_client(), "alice")
    browser.page = browser.client.get("/login", query_string={"next": wanted})
    browser.send(name="alice", password=PASSWORD)
    assert browser.is_logged_in
    assert browser.page.request.full_path.rstrip("?") == wanted


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_opened_before_log_in_is_shown_after_it(
    app: Flask, alice: Browser, key: str
) -> None:
    address = alice.keep(key, "the value of it").address(key)
    browser = Browser(app.test_client(), "alice").open(address)
    assert "Please log in to go on." in browser.text
    browser.send(name="alice", password=PASSWORD)
    assert browser.status == 200
    assert browser.tree.xpath("string(//h1)") == key


def test_the_page_wanted_survives_a_wrong_password_and_a_sign_up(
    app: Flask, alice: Browser
) -> None:
    browser = Browser(app.test_client(), "alice").open("/entries/new")
    browser.send(name="alice", password=WRONG)
    browser.send(name="alice", password=PASSWORD)
    assert browser.path == "/entries/new"
    newcomer = Browser(app.test_client(), "carol").open("/entries/new")
    newcomer.open(newcomer.links()["Make an account"])
    newcomer.send(name="carol", password=PASSWORD)
    assert newcomer.path == "/entries/new"


def test_a_log_in_replaces_the_session_of_this_browser(
    app: Flask, alice: Browser
) -> None:
    before = _cookie(alice)
    token = alice.open("/")._form("/logout", {}).fields["form_token"]
    _post_log_in(alice.client, form_token=token)
    assert _cookie(alice) != before
    assert alice.open("/").is_logged_in
    old = Browser(app.test_client(), "alice")
    old.client.set_cookie("session", before)
    assert not old.open("/").is_logged_in


def test_bob_logging_in_at_alices_browser_ends_her_session(
    app: Flask, alice: Browser, bob: Browser
) -> None:
    before = _cookie(alice)
    token = alice.open("/")._form("/logout", {}).fields["form_token"]
    _post_log_in(alice.client, name="bob", form_token=token)
    assert Browser(alice.client, "bob").open("/").is_logged_in
    old = Browser(app.test_client(), "alice")
    old.client.set_cookie("session", before)
    assert not old.open("/").is_logged_in


def test_a_wrong_password_leaves_the_session_that_is_open(alice: Browser) -> None:
    before = _cookie(alice)
    token = alice.open("/")._form("/logout", {}).fields["form_token"]
    assert (
        _post_log_in(alice.client, password=WRONG, form_token=token).status_code == 401
    )
    assert _cookie(alice) == before
    assert alice.open("/").is_logged_in


def test_logging_out_is_a_post_only(alice: Browser) -> None:
    answer = alice.client.get("/logout")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert alice.open("/").is_logged_in


@pytest.mark.parametrize("site", ["http://localhost", "https://localhost"])
def test_logging_out_clears_the_cookie_it_set(
    client: FlaskClient, alice: Browser, site: str
) -> None:
    credentials = {"name": "alice", "password": PASSWORD}
    answer = client.post("/login", data=credentials, base_url=site)
    was_set = _attributes(answer)
    browser = Browser(client, "alice")
    browser.page = client.get("/", base_url=site)
    token = browser._form("/logout", {}).fields["form_token"]
    answer = client.post("/logout", data={"form_token": token}, base_url=site)
    assert answer.status_code == 303
    cleared = _attributes(answer)
    assert cleared == was_set
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    browser.page = client.get("/", base_url=site)
    assert not browser.is_logged_in


def test_a_visitor_who_logs_out_is_told_the_same(client: FlaskClient) -> None:
    browser = Browser(client)
    browser.page = client.post("/logout", follow_redirects=True)
    assert "You are logged out." in browser.text


@pytest.mark.parametrize("path", ["/login", "/signup"])
@pytest.mark.parametrize("name", ["alice", "al ice", '"><b>', "ålice", "x" * 300])
def test_a_failed_form_keeps_the_name_and_never_the_password(
    client: FlaskClient, alice: Browser, path: str, name: str
) -> None:
    browser = Browser(client).submit(path, name=name, password=WRONG)
    assert browser.status >= 400
    form = browser._form("", {"name": "", "password": ""})
    assert form.fields["name"] == name
    assert not form.fields["password"]
    assert WRONG not in browser.page.text
    assert browser.tree.xpath("//input[@name='password'][@type='password']")
    if path == "/login":
        assert browser.tree.xpath("//input[@autofocus]/@name") == ["password"]


@pytest.mark.parametrize("path", ["/login", "/signup"])
@pytest.mark.parametrize("fields", [{}, {"name": "alice"}, {"password": PASSWORD}])
def test_a_form_with_something_missing_is_asked_for_again(
    client: FlaskClient, path: str, fields: dict[str, str]
) -> None:
    browser = Browser(client)
    browser.page = client.post(path, data=fields)
    assert browser.status == 400
    assert browser.tree.xpath("//main//*[contains(@class, 'error')]")
    assert browser.tree.xpath("//input[@name='password']")


def test_a_password_is_in_no_log_and_on_no_page(
    app: Flask,
    browser_of: Callable[[str], Browser],
    operator: Callable[..., str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("webapp").setLevel(logging.DEBUG)
    new = "quiet-harbour-eight-boats"
    alice = browser_of("alice")
    pages = [alice.open("/").page.text]
    for password in (WRONG, PASSWORD, "short"):
        for path in ("/login", "/signup"):
            browser = Browser(app.test_client(), "alice")
            pages.append(
                browser.submit(path, name="alice", password=password).page.text
            )
    said = operator(f"user set-password alice --password {new}")
    said += operator(f"user create alice --password {new}", status=1)
    headers = {"Sec-Fetch-Site": "cross-site"}
    form = {"name": "alice", "password": new}
    pages.append(app.test_client().post("/login", data=form, headers=headers).text)
    everything = "".join(pages) + said + caplog.text
    assert not [secret for secret in (WRONG, PASSWORD, new) if secret in everything]


def _attributes(answer: TestResponse) -> tuple[str, set[str]]:
    """Return the cookie's name and its attributes that say where it belongs."""
    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    passing = ("Expires=", "Max-Age=")
    lasting = {part for part in attributes if not part.startswith(passing)}
    return name.split("=")[0], lasting
