"""Promises of OWASP ASVS 5.0, V6 and V7, that hold on every page or at every door."""

import re
import secrets
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from werkzeug.routing import Rule

import webapp.accounts
from config.kinds import Rate
from config.settings import Settings
from tests.accounts.codes import NEW, code_of, is_used, log_in, use
from tests.browser import PASSWORD, Browser
from tests.servers import ROOT
from webapp import clock
from webapp.accounts.codes import FOR_FORGOTTEN, FOR_NEW, LETTERS
from webapp.accounts.models import User

START = datetime(2099, 1, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WRONG = "noisy-harbour-seven-boats"
PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0"
LISTED = Path(webapp.accounts.__file__).with_name("common_passwords.txt")
COMMON = [each for each in LISTED.read_text("utf-8").splitlines() if len(each) >= 15]
REFUSED = {
    "14 characters": "kiosk-walnut-7",
    "14 beyond the BMP": "😀😃😄😁😆😅😂🤣😊😇🙂🙃😉😌",
    "name": "carolcarolcarol",
    "name and digits": "carol1234567890",
    "application": "holdfast1234567",
    "1025 bytes": secrets.token_hex(512) + "x",
}
ACCEPTED = {
    "15 characters": "kiosk-walnut-72",
    "15 beyond the BMP": "😀😃😄😁😆😅😂🤣😊😇🙂🙃😉😌😍",
    "digits": "830174659206571",
    "spaces and marks": "  kio\u0308sk walnut harbour  ",
    "64": secrets.token_hex(32),
    "1000": secrets.token_hex(500),
}
AUTOCOMPLETE = {
    "/login": {"password": "current-password"},
    "/signup": {"password": "new-password"},
    "/password": dict.fromkeys(("password", "again"), "new-password"),
    "/confirm": {"confirm_password": "current-password"},
    "/account": dict.fromkeys(("password", "again"), "new-password")
    | {"current": "current-password"},
}
DOCUMENTED = {
    "SESSION_IDLE": ("2 h", HOUR * 2),
    "SESSION_LIFETIME": ("24 h", HOUR * 24),
    "KEPT_SESSION_IDLE": ("30 d", DAY * 30),
    "KEPT_SESSION_LIFETIME": ("30 d", DAY * 30),
    "FRESH_FOR": ("15 min", HOUR / 4),
    "MAX_SESSIONS": ("50", 50),
    "LOGIN_ATTEMPTS": ("5, then 1 s, 2 s, 4 s … 15 min", 5),
    "LOGIN_LONGEST_WAIT": ("5, then 1 s, 2 s, 4 s … 15 min", HOUR / 4),
    "LOGIN_LIMIT_SOURCE": ("30, and 30 more in 5 min", Rate(30, HOUR / 12)),
    "LOGIN_LIMIT_EVERYONE": ("5,000, and 5,000 more in 1 h", Rate(5000, HOUR)),
    "SIGN_UP_LIMIT_SOURCE": ("200, and 200 more in 1 h", Rate(200, HOUR)),
    "HASH_QUEUE": ("20", 20),
}


@pytest.fixture(autouse=True)
def time(app: Flask) -> Iterator[Any]:
    """Stand still, later than the application was made."""
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


def addresses(app: Flask, method: str) -> list[str]:
    """Return an address of every route that has the method, files left out."""

    def fill(rule: Rule) -> str:
        return re.sub(r"<\w+:(\w+)>", lambda found: values[found[1]], rule.rule)

    values = dict.fromkeys(("record_id", "session_id", "token_id", "number"), "1")
    values["key"] = "diary"
    return [
        fill(rule)
        for rule in app.url_map.iter_rules()
        if method in (rule.methods or ()) and rule.endpoint != "static"
    ]


def on_phone(app: Flask, password: str = PASSWORD, name: str = "alice") -> Browser:
    client = app.test_client()
    client.environ_base |= {"HTTP_USER_AGENT": PHONE, "REMOTE_ADDR": "203.0.113.9"}
    return Browser(client, name, password).log_in()


def history(browser: Browser) -> list[str]:
    lines = browser.open("/account/history").tree.xpath("//ol[@class='lines']/li")
    return [" ".join(line.text_content().split()) for line in lines]


def notices(browser: Browser) -> list[str]:
    return [each.text_content() for each in browser.tree.find_class("notice")]


@pytest.mark.parametrize("setting", DOCUMENTED)
def test_6_1_1_and_7_1_1_the_limits_in_force_are_documented(setting: str) -> None:
    lines = (ROOT / "docs" / "sessions.md").read_text("utf-8").splitlines()
    [row] = [line for line in lines if line.startswith("|") and f"`{setting}`" in line]
    words, value = DOCUMENTED[setting]
    assert words in [cell.strip() for cell in row.split("|")]
    assert Settings.model_fields[setting.lower()].default == value


@pytest.mark.parametrize("password", REFUSED.values(), ids=REFUSED)
def test_6_2_1_passwords_that_cannot_be_chosen(app: Flask, password: str) -> None:
    assert Browser(app.test_client(), "carol", password).sign_up().status == 400
    carol = Browser(app.test_client(), "carol").sign_up()
    carol.submit("/account", current=PASSWORD, password=password, again=password)
    assert carol.status == 400
    assert carol.log_out().log_in().is_logged_in


def test_6_2_4_and_6_2_12_common_passwords_cannot_be_chosen(
    app: Flask, alice: Browser
) -> None:
    assert len(COMMON) > 3000
    for password in COMMON[:: len(COMMON) // 20]:
        assert Browser(app.test_client(), "carol", password).sign_up().status == 400
        alice.submit("/account", current=PASSWORD, password=password, again=password)
        assert alice.status == 400
        assert "Too many people use this one." in alice.text


@pytest.mark.parametrize("password", ACCEPTED.values(), ids=ACCEPTED)
def test_6_2_5_and_6_2_9_any_long_password_can_be_chosen(
    app: Flask, alice: Browser, password: str
) -> None:
    assert Browser(app.test_client(), "carol", password).sign_up().is_logged_in
    alice.submit("/account", current=PASSWORD, password=password, again=password)
    assert "Your password is changed." in alice.text
    for name in ("carol", "alice"):
        assert on_phone(app, password, name).is_logged_in


@pytest.mark.parametrize("page", AUTOCOMPLETE)
def test_6_2_6_and_6_2_7_password_fields_and_6_4_2_no_questions(
    alice: Browser, page: str
) -> None:
    if page in ("/login", "/signup", "/password"):
        alice.log_out()
    fields = alice.open(page).tree.xpath("//input[@type='password']")
    assert {each.name: each.get("autocomplete") for each in fields} == AUTOCOMPLETE[
        page
    ]
    asked = set(alice.tree.xpath("//main//input[not(@type='hidden')]/@name"))
    assert asked - {"name", "code", "keep", "end_others"} == set(AUTOCOMPLETE[page])
    assert alice.tree.xpath("//input[@autocomplete='username']")
    assert not alice.tree.xpath("//script[not(@src)] | //@*[starts-with(name(), 'on')]")
    assert not alice.tree.xpath("//*[@autocomplete='off' or @maxlength]")


def test_6_2_8_passwords_are_compared_as_they_were_sent(app: Flask) -> None:
    password = secrets.token_hex(50) + "aZ"
    assert Browser(app.test_client(), "carol", password).sign_up().is_logged_in
    for other in (password[:-1] + "z", password.swapcase(), password + " "):
        assert on_phone(app, other, "carol").status == 401
    assert on_phone(app, password[:72], "carol").status == 401
    assert on_phone(app, password, "carol").is_logged_in


def test_6_2_10_no_password_is_ever_too_old(alice: Browser, time: Any) -> None:
    time.shift(400 * DAY)
    assert alice.log_in().path == "/entries"


def test_6_3_2_nobody_has_an_account_from_the_start(
    app: Flask, operator: Callable[..., str]
) -> None:
    assert operator("user list") == "0 accounts.\n"
    for name in ("admin", "root", "test", "holdfast"):
        assert on_phone(app, name, name).status == 401


def test_6_3_4_there_is_no_other_way_in(app: Flask, alice: Browser) -> None:
    form = {"name": "alice", "username": "alice", "password": PASSWORD}
    form |= {"confirm_password": PASSWORD, "current": PASSWORD, "again": PASSWORD}
    opened = [
        address
        for address in addresses(app, "POST")
        if "Set-Cookie" in app.test_client().post(address, data=form).headers
    ]
    assert opened == ["/login"], "the name of the sign-up is taken"


def test_6_3_5_and_6_3_7_the_history_has_what_happened_latest_first(
    app: Flask, alice: Browser, bob: Browser, time: Any, operator: Callable[..., str]
) -> None:
    def log_in(**fields: str) -> Browser:
        time.shift(60)
        return on_phone(app, **fields)

    time.shift(60)
    alice.log_out()
    log_in(password=WRONG)
    log_in(name="bob", password=WRONG)
    log_in()
    time.shift(3 * HOUR)
    log_in()
    time.shift(60)
    operator(f"user set-password alice --password {NEW}")
    time.shift(60)
    device = "Firefox Mobile on Android · 203.0.113.9"
    assert history(log_in(password=NEW)) == [
        f"Logged in now · {device}",
        "Password changed 2 minutes ago · by the operator",
        f"Session ended: by the operator 2 minutes ago · {device}",
        f"Logged in 3 minutes ago · {device}",
        f"Session ended: timed out an hour ago · {device}",
        f"Logged in 3 hours ago · {device}",
        f"Wrong password 3 hours ago · {device}",
        "Logged out 3 hours ago · Werkzeug · 127.0.0.1",
        "Logged in 3 hours ago · Werkzeug · 127.0.0.1",
    ]
    assert str(history(bob.log_in())).count("Wrong password") == 1


@pytest.mark.parametrize(
    ("failures", "told"), [(0, ""), (1, "tried once."), (4, "tried 4 times.")]
)
def test_6_3_5_after_a_log_in_the_person_is_told_of_the_last_one(
    app: Flask, alice: Browser, bob: Browser, time: Any, failures: int, told: str
) -> None:
    assert notices(alice) == [], "nothing to tell after the sign-up"
    time.shift(60)
    on_phone(app, WRONG)
    assert "tried once." in notices(on_phone(app))[0]
    time.shift(60)
    for name in ["alice"] * failures + ["bob"] * 2:
        on_phone(app, WRONG, name)
    time.shift(3600)
    [notice] = notices(alice.log_out().log_in())
    start = "You last logged in on 2099-01-01 at 12:01 UTC with Firefox Mobile on "
    since = f" Since then a wrong password or code was {told}" if told else ""
    assert notice == f"{start}Android from 203.0.113.9.{since}"
    assert notices(alice.open("/")) == [], "told once"


def test_6_4_1_a_new_account_has_a_code_for_a_day_and_once(
    app: Flask, operator: Callable[..., str], time: Any
) -> None:
    codes = [code_of(operator(f"user create new-{n} --code")) for n in range(3)]
    assert is_used(app, codes[0], name="new-0")
    assert not is_used(app, codes[0], name="new-0", password=f"{NEW}s")
    time.shift(FOR_NEW)
    assert DAY >= FOR_NEW
    assert not is_used(app, codes[1], name="new-1")
    assert use(app, codes[2], "new-2", "short").status_code == 400


def test_6_4_3_a_code_for_a_forgotten_password_ends_what_was_there(
    app: Flask, alice: Browser, bob: Browser, operator: Callable[..., str], time: Any
) -> None:
    alice.submit("/account/tokens", name="program", access="read", expires="never")
    program = app.test_client()
    token = alice.tree.xpath("string(//pre)")
    program.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    assert program.get("/api/v1/entries").status_code == 200
    earlier = code_of(operator("user make-code alice"))
    code = code_of(operator("user make-code alice"))
    time.shift(FOR_FORGOTTEN - timedelta(seconds=1))
    assert HOUR / 3 >= FOR_FORGOTTEN
    assert not is_used(app, earlier)
    assert is_used(app, code)
    assert not is_used(app, code)
    assert not alice.open("/").is_logged_in
    assert bob.open("/").is_logged_in
    assert program.get("/api/v1/entries").status_code == 401
    assert not log_in(app, PASSWORD).is_logged_in
    lines = history(log_in(app))
    assert "Password set with a code now · Werkzeug · 127.0.0.1" in lines
    assert [line.split(" now")[0] for line in lines].count("Wrong one-time code") == 2
    made = "One-time code made 20 minutes ago · by the operator"
    assert lines.count(made) == 2


def test_6_4_6_the_operator_never_knows_the_password(
    app: Flask, alice: Browser, operator: Callable[..., str]
) -> None:
    for command, name in (("make-code", "alice"), ("create --code", "carol")):
        said = operator(f"user {command} {name}")
        assert "sets a password with it at /password." in said
        assert not log_in(app, code_of(said), name).is_logged_in
        assert is_used(app, code_of(said), name=name)
        assert log_in(app, NEW, name).is_logged_in


def test_6_5_2_to_6_5_4_codes_are_long_and_random_and_kept_hashed(
    app: Flask, alice: Browser, operator: Callable[..., str]
) -> None:
    codes = [code_of(operator("user make-code alice")) for _ in range(50)]
    letters = [letter for code in codes for letter in code.replace("-", "")]
    assert len(LETTERS) ** 24 == 2**120, "of 112 bits and more a plain hash is enough"
    assert len(letters) == 50 * 24
    # Each goes wrong by chance once in 10 million runs.
    assert set(letters) == set(LETTERS)
    assert max(Counter(letters).values()) < 80
    assert len(set(codes)) == 50
    with app.extensions["database"].read() as db:
        kept = db.scalar(select(User.code_hash))
    assert re.fullmatch("[0-9a-f]{64}", kept)


def test_what_a_browser_calls_itself_is_only_text(alice: Browser) -> None:
    alice.client.environ_base["HTTP_USER_AGENT"] = "<script>alert(1)</script>"
    alice.log_out().log_in()
    for page in ("/account/history", "/sessions"):
        assert "<script>" not in alice.open(page).page.text
        assert "&lt;script&gt;" in alice.page.text


@pytest.mark.embedded
@pytest.mark.long
def test_7_2_3_session_ids_are_long_unique_and_random(
    app: Flask, alice: Browser
) -> None:
    sessions = app.session_interface.sessions  # type: ignore[attr-defined]
    copy = sessions.resume(alice.client.get_cookie("session").value)
    ids = []
    with app.extensions["database"].write():
        for _ in range(1000):
            started = sessions.rotate(copy, {})
            copy = started.copy
            ids.append(started.session_id)
    assert len(set(ids)) == 1000
    content = b"".join(urlsafe_b64decode(each + "=") for each in ids)
    assert len(content) == 1000 * 32, "256 bits each"
    # Both go wrong by chance once in 100 million runs.
    ones = int.from_bytes(content, "big").bit_count()
    assert abs(ones - 4 * len(content)) < 5.8 * (2 * len(content)) ** 0.5
    usual = len(content) / 256
    chi_squared = sum((n - usual) ** 2 / usual for n in Counter(content).values())
    assert 150 < chi_squared < 400


def test_7_4_4_every_page_of_a_logged_in_person_has_a_way_out(alice: Browser) -> None:
    alice.keep("diary", "dear diary")
    seen = 0
    for address in [*addresses(alice.client.application, "GET"), "/nowhere"]:
        alice.open(address)
        if alice.page.mimetype == "text/html":
            assert alice.is_logged_in, address
            form = "//form[@method='post'][@action='/logout']"
            assert alice.tree.xpath(f"{form}//button[text()='Log out']")
            seen += 1
    assert seen >= 12
    assert not alice.log_out().is_logged_in


def test_7_6_2_only_logging_in_makes_a_session(app: Flask, alice: Browser) -> None:
    alice.keep("diary", "dear diary")
    visitor = app.test_client()
    for address in {*addresses(app, "GET"), *addresses(app, "POST"), "/nowhere"}:
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = visitor.open(address, method=method)
            assert "Set-Cookie" not in answer.headers, f"{method} {address}"
            assert "dear diary" not in answer.text
