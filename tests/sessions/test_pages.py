"""The page of one's sessions: where one is logged in, for how long, and ending that."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask

from config.settings import Settings, load_settings
from tests.browser import PASSWORD, Browser
from webapp import clock, create_app
from webapp.sessions.views import LISTED

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
NEW = "quiet-harbour-eight-boats"
IOS = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
PHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {IOS}"


@pytest.fixture(autouse=True)
def time(app: Flask) -> Iterator[Any]:
    """Stand still, later than the application was made."""
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    cheap = {"password_memory_kib": 8, "password_rounds": 1}
    return load_settings(data_dir=tmp_path / "data", max_sessions=4, **cheap)


@pytest.fixture
def laptop(alice: Browser) -> Browser:
    alice.client.environ_base["HTTP_USER_AGENT"] = LINUX
    return alice.log_out().log_in()


def on_phone(app: Flask, name: str = "alice", **fields: str) -> Browser:
    client = app.test_client()
    client.environ_base |= {"HTTP_USER_AGENT": PHONE, "REMOTE_ADDR": "203.0.113.9"}
    return Browser(client, name).submit(
        "/login", name=name, password=PASSWORD, **fields
    )


def alive(browser: Browser) -> list[str]:
    return _lines(browser, "//ul[@class='lines'][1]/li")


def over(browser: Browser) -> list[str]:
    return _lines(browser, "//h2[text()='Over']/following::ul[1]/li")


def _lines(browser: Browser, path: str) -> list[str]:
    """Return what is written there, without the pictures."""
    found = browser.open("/sessions").tree.xpath(path)
    parts = [line.xpath(".//text()[not(ancestor::svg)]") for line in found]
    return [" ".join("".join(texts).split()) for texts in parts]


def ends(browser: Browser) -> list[str]:
    """Return where the buttons of the page lead that end one session."""
    actions = [form.action for form in browser.open("/sessions").tree.forms]
    return [action for action in actions if action.endswith("/end")]


def post(browser: Browser, path: str) -> Browser:
    token = browser.open("/account")._form("/logout", {}).fields["form_token"]
    form = {"form_token": token}
    browser.page = browser.client.post(path, data=form, follow_redirects=True)
    return browser


def cookie(app: Flask, path: str = "/login", **fields: str) -> Morsel[str]:
    form = {"name": "alice", "password": PASSWORD} | fields
    answer = app.test_client().post(path, data=form)
    cookies = SimpleCookie("\r\n".join(answer.headers.getlist("Set-Cookie")))
    return cookies["session"]


def test_every_browser_is_listed(
    app: Flask, laptop: Browser, bob: Browser, time: Any
) -> None:
    time.shift(HOUR)
    phone = on_phone(app, keep="yes")
    time.shift(HOUR / 2)
    phone.open("/")
    time.shift(HOUR / 4)
    assert alive(laptop) == [
        "Firefox on Linux This browser 127.0.0.1 · signed in 2 hours ago · "
        "last seen now",
        "Mobile Safari on iOS Kept logged in 203.0.113.9 · signed in 45 minutes ago · "
        "last seen 15 minutes ago Log out",
    ]
    assert over(laptop) == [
        "Werkzeug logged out 2 hours ago · 127.0.0.1 · signed in 2 hours ago"
    ]
    exact = laptop.tree.xpath("//ul[@class='lines'][1]/li[2]//time/@title")
    assert exact == ["2099-01-01 13:00:00 UTC", "2099-01-01 13:30:00 UTC"]
    this, other = alive(phone)
    assert this.startswith("Mobile Safari on iOS This browser Kept logged in")
    assert other.endswith("last seen now Log out")
    assert len(alive(bob)) == 1


def test_ending_one(app: Flask, laptop: Browser) -> None:
    phone, tablet = on_phone(app), on_phone(app)
    newest, _ = ends(laptop)
    assert "That session is over" in laptop.send(newest).text
    assert tablet.open("/entries").path == "/login"
    assert phone.open("/entries").is_logged_in
    assert laptop.open("/entries").is_logged_in
    assert over(laptop)[0].startswith(
        "Mobile Safari on iOS ended from another session now · 203.0.113.9"
    )
    assert post(laptop, newest).status == 404, "it is over already"


def test_ending_all_others(app: Flask, laptop: Browser, bob: Browser) -> None:
    others = [on_phone(app), on_phone(app)]
    laptop.open("/sessions").send("/sessions/end-others")
    assert "2 other sessions ended." in laptop.text
    assert [each.open("/entries").path for each in others] == ["/login"] * 2
    assert len(alive(laptop)) == 1
    assert "Log out everywhere else" not in laptop.text, "there is nothing to end"
    assert bob.open("/entries").is_logged_in


def test_ending_the_session_one_is_in_logs_out(app: Flask, laptop: Browser) -> None:
    phone = on_phone(app)
    [this] = ends(phone)
    assert post(laptop, this).path == "/login"
    assert not laptop.client.get_cookie("session")
    assert phone.open("/entries").is_logged_in


def test_sessions_of_others_are_not_to_be_found(
    app: Flask, laptop: Browser, bob: Browser
) -> None:
    phone = on_phone(app)
    paths = [*ends(laptop), *ends(phone), "/sessions/999/end"]
    assert [post(bob, path).status for path in paths] == [404] * 3
    assert phone.open("/entries").is_logged_in
    assert laptop.open("/entries").is_logged_in
    assert ends(bob) == []


def test_ending_is_immediate_in_every_process(
    app: Flask, settings: Settings, laptop: Browser
) -> None:
    phone = on_phone(app)
    phone.client.application = create_app(settings)
    assert phone.open("/entries").is_logged_in
    assert phone.open("/entries").is_logged_in, "by the copy"
    laptop.open("/sessions").send("/sessions/end-others")
    assert phone.open("/entries").path == "/login"


@pytest.mark.parametrize("how", ["one", "others"])
def test_ending_needs_a_fresh_password(
    app: Flask, laptop: Browser, time: Any, how: str
) -> None:
    phone = on_phone(app)
    time.shift(timedelta(minutes=15))
    [path] = ends(laptop) if how == "one" else ["/sessions/end-others"]
    laptop.open("/sessions")
    assert laptop.send(path).status == 403
    assert phone.open("/entries").is_logged_in
    assert laptop.send(confirm_password=NEW).status == 401
    assert phone.open("/entries").is_logged_in
    assert laptop.send(confirm_password=PASSWORD).path == "/sessions"
    assert phone.open("/entries").path == "/login"


END: dict[str, Callable[..., object]] = {
    "logged out": lambda phone, *_: phone.log_out(),
    "by the operator": lambda _, operator, __: operator("session end alice"),
    "timed out": lambda phone, _, time: (time.shift(3 * HOUR), phone.open("/entries")),
    "timed out unseen": lambda _, __, time: time.shift(3 * HOUR),
}


@pytest.mark.parametrize("how", END)
def test_ended_ones_are_listed_for_90_days_and_no_longer(
    app: Flask, alice: Browser, operator: Callable[..., str], time: Any, how: str
) -> None:
    alice.log_out()
    time.shift(HOUR)
    phone = on_phone(app)
    END[how](phone, operator, time)
    over_at = START + HOUR + (2 * HOUR if "timed out" in how else 0 * HOUR)
    said = f"Mobile Safari on iOS {how.removesuffix(' unseen')}"
    time.move_to(over_at + 90 * DAY - SECOND)
    assert any(line.startswith(said) for line in over(alice.log_in()))
    time.move_to(over_at + 90 * DAY + SECOND)
    assert not any(line.startswith(said) for line in over(alice))


@pytest.mark.parametrize("path", ["/login", "/signup"])
def test_the_cookie_lasts_only_where_that_was_asked_for(
    app: Flask, alice: Browser, path: str
) -> None:
    first, second = ("alice", "alice") if path == "/login" else ("carol", "dave")
    passing = cookie(app, path, name=first)
    assert (passing["expires"], passing["max-age"]) == ("", "")
    lasting = cookie(app, path, name=second, keep="yes")
    assert lasting["expires"] == "Sat, 31 Jan 2099 12:00:00 GMT"


def test_a_kept_cookie_stays_one_under_its_new_id(app: Flask, time: Any) -> None:
    Browser(app.test_client(), "carol").sign_up()
    phone = on_phone(app, "carol", keep="yes")
    before = phone.client.get_cookie("session")
    time.shift(HOUR)
    phone.submit("/confirm", confirm_password=PASSWORD)
    after = phone.client.get_cookie("session")
    assert before
    assert after
    assert after.value != before.value
    assert after.expires == before.expires == START + 30 * DAY


@pytest.mark.parametrize(
    ("keep", "idle", "lifetime"),
    [("no", 2 * HOUR, 24 * HOUR), ("yes", 30 * DAY, 30 * DAY)],
    ids=["usual", "kept"],
)
def test_a_session_ends_unused_and_after_its_lifetime(
    app: Flask, laptop: Browser, time: Any, keep: str, idle: timedelta, lifetime: Any
) -> None:
    unused, late, used = (on_phone(app, keep=keep) for _ in range(3))
    time.shift(idle - SECOND)
    assert late.open("/entries").is_logged_in
    for _ in range(lifetime // idle):
        assert used.open("/entries").is_logged_in
        time.shift(idle - SECOND)
    time.move_to(START + idle)
    assert unused.open("/entries").path == "/login"
    time.move_to(START + lifetime - SECOND)
    assert used.open("/entries").is_logged_in
    time.shift(SECOND)
    assert used.open("/entries").path == "/login"


def test_one_session_too_many_ends_the_oldest(app: Flask, alice: Browser) -> None:
    browsers = [on_phone(app) for _ in range(4)]
    assert not alice.open("/entries").is_logged_in
    assert all(each.open("/entries").is_logged_in for each in browsers)
    assert over(browsers[0])[0].startswith("Werkzeug replaced now")
    assert "ended: replaced" in browsers[0].open("/account/history").text


def test_sessions_that_timed_out_take_no_room(app: Flask, time: Any) -> None:
    Browser(app.test_client(), "carol").sign_up().log_out()
    phone = on_phone(app, "carol", keep="yes")
    for _ in range(4):
        time.shift(DAY)
        assert on_phone(app, "carol").is_logged_in, "and not used any more"
    assert phone.open("/entries").is_logged_in, "two were alive at most"


def test_the_page_lists_some_sessions_and_leads_to_the_others(
    tmp_path: Path, time: Any
) -> None:
    cheap = {"password_memory_kib": 8, "password_rounds": 1}
    app = create_app(load_settings(data_dir=tmp_path / "many", **cheap))
    alice = Browser(app.test_client(), "alice").sign_up()
    for number in range(20):
        time.shift(SECOND)
        client = app.test_client()
        client.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"
        Browser(client, "alice").log_in()
    Browser(app.test_client(), "alice").log_in().log_out()
    first = alive(alice)
    assert len(first) == LISTED
    assert over(alice) == []
    alice.open(alice.open("/sessions").links()["More →"])
    assert "Log out everywhere else" in alice.text
    rest = alice.tree.xpath("//ul[@class='lines'][1]/li")
    assert len(rest) == 21 - LISTED
    assert "logged out" in alice.tree.xpath("//ul[@class='lines'][2]")[0].text_content()
