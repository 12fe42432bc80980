"""Guessing passwords is held back before any is hashed; nobody is ever locked out."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from config.settings import Settings, load_settings
from tests.browser import PASSWORD, Browser
from webapp import clock, create_app

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
WRONG = "noisy-harbour-seven-boats"
NEW = "quiet-harbour-eight-boats"
FREE, PER_SOURCE = 5, 30
DOORS = {
    "/login": {"name": "alice", "password": WRONG},
    "/confirm": {"confirm_password": WRONG},
    "/account/password": {"current": WRONG, "password": NEW, "again": NEW},
    "/password": {"name": "alice", "code": WRONG, "password": NEW, "again": NEW},
}


@pytest.fixture(autouse=True)
def time(app: Flask) -> Iterator[Any]:
    """Stand still, later than the application was made."""
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


@pytest.fixture
def make_app(tmp_path: Path) -> Callable[..., Flask]:
    def make(**changed: Any) -> Flask:
        folder = tmp_path / "another"
        cheap = {"password_memory_kib": 8, "password_rounds": 1}
        app = create_app(load_settings(data_dir=folder, **cheap | changed))
        Browser(app.test_client(), "alice").sign_up()
        return app

    return make


def guess(
    app: Flask, name: str = "alice", password: str = WRONG, **origin: str
) -> TestResponse:
    """Try to log in with a browser that was never here before."""
    return log_in(app.test_client(), name, password, **origin)


def log_in(
    client: FlaskClient, name: str, password: str, address: str = "", via: str = ""
) -> TestResponse:
    return client.post(
        "/login",
        data={"name": name, "password": password},
        environ_overrides={"REMOTE_ADDR": address or "127.0.0.1"},
        headers={"X-Forwarded-For": via} if via else {},
    )


def statuses(app: Flask, tries: int, name: str = "alice") -> list[int]:
    return [guess(app, name).status_code for _ in range(tries)]


def knock(browser: Browser, path: str, **fields: str) -> TestResponse:
    """Send a wrong password to one of the doors of a logged-in browser."""
    token = browser.open("/")._form("/logout", {}).fields["form_token"]
    form = DOORS[path] | {"form_token": token} | fields
    answer: TestResponse = browser.client.post(path, data=form)
    return answer


def test_after_five_wrong_ones_the_next_has_to_wait(
    app: Flask, alice: Browser, hashed: list[str], time: Any
) -> None:
    assert statuses(app, FREE) == [401] * FREE
    for password in (WRONG, PASSWORD):
        answer = guess(app, password=password)
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "1"
        assert "Too many attempts. Try again in 1 second." in answer.text
    assert len(hashed) == FREE, "429 comes before any hashing"
    time.shift(1)
    assert guess(app, password=PASSWORD).status_code == 303


def test_the_wait_doubles_and_is_as_long_as_it_says(
    app: Flask, alice: Browser, time: Any
) -> None:
    statuses(app, FREE)
    waits = []
    for _ in range(12):
        waits.append(int(guess(app).headers["Retry-After"]))
        time.shift(waits[-1])
        assert guess(app).status_code == 401
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert "Try again in 15 minutes." in guess(app).text


def test_the_name_counts_in_whatever_case(app: Flask, alice: Browser) -> None:
    for name in ("alice", "ALICE", "Alice", "aLiCe", "alicE"):
        assert guess(app, name).status_code == 401
    assert guess(app, "AlIcE").status_code == 429


def test_other_accounts_are_not_held_back(
    app: Flask, alice: Browser, bob: Browser
) -> None:
    assert statuses(app, FREE + 1)[-1] == 429
    assert guess(app, "bob", PASSWORD).status_code == 303
    assert statuses(app, FREE + 1, "bob") == [401] * FREE + [429]


def test_a_right_password_gives_the_tries_back(app: Flask, alice: Browser) -> None:
    for _ in range(3):
        assert statuses(app, FREE - 1) == [401] * (FREE - 1)
        assert guess(app, password=PASSWORD).status_code == 303


def test_a_browser_that_was_here_before_is_not_held_back_by_strangers(
    app: Flask, alice: Browser
) -> None:
    alice.log_out()
    assert statuses(app, FREE + 1)[-1] == 429
    assert log_in(alice.client, "alice", WRONG).status_code == 401
    assert alice.log_in().is_logged_in
    assert guess(app).status_code == 429, "the strangers still are"


def test_its_failures_do_not_use_up_the_allowance_of_others(
    app: Flask, browser_of: Callable[[str], Browser]
) -> None:
    laptop, phone = browser_of("alice").log_out(), browser_of("alice").log_out()
    tries = [log_in(laptop.client, "alice", WRONG) for _ in range(FREE + 1)]
    assert [each.status_code for each in tries] == [401] * FREE + [429]
    assert phone.log_in().is_logged_in
    assert statuses(app, FREE + 1) == [401] * FREE + [429]


@pytest.mark.parametrize("cookie", ["bob's", "none of ours"])
def test_a_device_cookie_of_another_account_is_worth_nothing(
    app: Flask, alice: Browser, bob: Browser, cookie: str
) -> None:
    device = bob.client.get_cookie("device")
    assert device
    for number in range(FREE + 1):
        client = app.test_client()
        value = device.value if cookie == "bob's" else f"{number:043}"
        client.set_cookie("device", value)
        status = log_in(client, "alice", WRONG).status_code
        assert status == (401 if number < FREE else 429)


@pytest.mark.long
def test_a_hundred_right_log_ins_in_a_row_are_never_limited(
    app: Flask, alice: Browser
) -> None:
    answers = [guess(app, password=PASSWORD).status_code for _ in range(100)]
    assert answers == [303] * 100


@pytest.mark.parametrize(
    ("addresses", "neighbour"),
    [
        (["192.0.2.1"], "192.0.2.2"),
        ([f"2001:db8:0:1::{n:x}" for n in range(40)], "2001:db8:0:2::1"),
        (["192.0.2.1", "::ffff:192.0.2.1"], "::ffff:192.0.2.2"),
        (["fe80::1%eth0", "fe80::2%eth0"], "2001:db8::1"),
    ],
    ids=["IPv4", "IPv6 /64", "mapped", "link-local"],
)
def test_one_source_is_held_back_over_many_names(
    app: Flask, alice: Browser, hashed: list[str], addresses: list[str], neighbour: str
) -> None:
    for number in range(PER_SOURCE):
        address = addresses[number % len(addresses)]
        assert guess(app, f"name-{number}", address=address).status_code == 401
    answer = guess(app, password=PASSWORD, address=addresses[-1])
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
    assert len(hashed) == PER_SOURCE
    assert guess(app, password=PASSWORD, address=neighbour).status_code == 303
    known = log_in(alice.log_out().client, "alice", PASSWORD, addresses[0])
    assert known.status_code == 303, "was here before"


def test_behind_a_proxy_that_is_trusted_its_last_word_is_the_source(
    make_app: Callable[..., Flask],
) -> None:
    app, number = make_app(trusted_proxies=1), 0
    for number in range(PER_SOURCE):
        via = f"198.51.100.{number}, 192.0.2.7"
        assert guess(app, f"name-{number}", via=via).status_code == 401
    assert guess(app, "another", via="192.0.2.8, 192.0.2.7").status_code == 429
    assert guess(app, "another", via="192.0.2.7, 192.0.2.8").status_code == 401


def test_without_a_trusted_proxy_nobody_can_say_where_they_are(app: Flask) -> None:
    for number in range(PER_SOURCE):
        via = f"192.0.2.{number}"
        assert guess(app, f"name-{number}", via=via).status_code == 401
    assert guess(app, "another", via="192.0.2.200").status_code == 429


def test_all_strangers_together_have_a_limit_and_known_browsers_do_not(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(login_limit_everyone="10/1h")
    alice = Browser(app.test_client(), "alice").log_in().log_out()
    for number in range(10):
        address = f"192.0.2.{number}"
        assert guess(app, f"name-{number}", address=address).status_code == 401
    answer = guess(app, password=PASSWORD, address="192.0.2.99")
    assert answer.status_code == 429
    assert 350 <= int(answer.headers["Retry-After"]) <= 360
    assert alice.log_in().is_logged_in


@pytest.mark.parametrize(("first", "second"), [*product(DOORS, DOORS)])
def test_one_limiter_counts_at_every_door(
    alice: Browser, hashed: list[str], first: str, second: str
) -> None:
    assert [knock(alice, first).status_code for _ in range(FREE)] == [401] * FREE
    assert len(hashed) == FREE
    answer = knock(alice, second)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert "Try again in 1 second." in answer.text
    assert len(hashed) == FREE
    assert alice.open("/").is_logged_in


@pytest.mark.parametrize("door", ["/confirm", "/account/password", "/password"])
def test_a_stolen_session_guesses_as_a_stranger(
    app: Flask, alice: Browser, door: str
) -> None:
    alice.client.delete_cookie("device")
    assert [knock(alice, door).status_code for _ in range(FREE)] == [401] * FREE
    assert guess(app, password=PASSWORD).status_code == 429


def test_the_limits_survive_a_restart(
    app: Flask, settings: Settings, alice: Browser
) -> None:
    statuses(app, FREE)
    assert guess(create_app(settings)).status_code == 429


@pytest.mark.parametrize(
    "name",
    ["carol", "o'nan", "é" * 50, "x" * 3000, "BOBBY"],
    ids=["unknown", "quote", "letters", "long", "disabled"],
)
def test_known_and_unknown_names_read_the_same(
    app: Flask, alice: Browser, operator: Callable[..., str], name: str, time: Any
) -> None:
    operator(f"user create bobby --password {NEW}")
    operator("user disable bobby")
    for number in range(FREE + 4):
        pages = []
        for tried in ("alice", name):
            answer = guess(app, tried)
            shown = Browser(app.test_client(), page=answer)
            field = shown.tree.xpath("//input[@name='name']")[0]
            assert field.get("value") == tried
            field.set("value", "")
            other = ("Content-Length", "X-Request-ID")
            headers = {k: v for k, v in answer.headers if k not in other}
            pages.append((answer.status, headers, shown.text))
        assert pages[0] == pages[1]
        assert pages[0][0][:3] == ("401" if number < FREE else "429")
