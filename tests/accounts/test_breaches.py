"""Passwords known from data breaches: who is told what of a new one."""

import base64
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask

from config.kinds import Rate
from config.mistakes import RefusedToStart
from config.settings import Settings, load_settings
from tests.accounts.range_server import (
    BREACHED,
    RangeApi,
    Request,
    sha1,
)
from tests.accounts.test_passwords import count_hashings
from tests.browser import PASSWORD, Browser
from tests.servers import ROOT, free_port
from webapp import create_app
from webapp.accounts import breaches
from webapp.accounts.breaches import Breaches
from webapp.database import Database
from webapp.stores import Store

KNOWN = "This password is known from a data breach."


@pytest.fixture
def settings(settings: Settings, api: RangeApi) -> Settings:
    return settings.model_copy(
        update={"breached_passwords": "refused", "breached_passwords_url": api.url}
    )


def test_a_breached_password_cannot_be_chosen_at_any_door(
    app: Flask, operator: Callable[..., str], alice: Browser
) -> None:
    carol = Browser(app.test_client(), "carol", BREACHED).sign_up()
    assert (carol.status, carol.is_logged_in) == (400, False)
    [error] = carol.tree.xpath("//*[@id='password-error']/text()")
    assert error.startswith(KNOWN)
    alice.submit("/account", current=PASSWORD, password=BREACHED, again=BREACHED)
    assert alice.status == 400
    assert KNOWN in alice.text
    assert KNOWN in operator(f"user create carol --password {BREACHED}", 1)
    assert KNOWN in operator(f"user set-password alice --password {BREACHED}", 1)
    assert "carol" not in operator("user list")
    code = operator("user make-code alice").splitlines()[1]
    form = {"name": "alice", "code": code, "password": BREACHED, "again": BREACHED}
    for _ in range(6):
        assert KNOWN in alice.submit("/password", **form).text, "and no wrong try"
    form["code"] = "7"
    assert KNOWN not in alice.submit("/password", **form).text, "nobody was asked"
    assert alice.log_out().log_in().is_logged_in, "with the password from before"


def test_the_right_password_is_no_wrong_try_when_the_new_one_is_breached(
    alice: Browser, settings: Settings
) -> None:
    for _ in range(settings.login_attempts + 1):
        alice.submit("/account", current=PASSWORD, password=BREACHED, again=BREACHED)
        assert KNOWN in alice.text
    assert "Wrong password" not in alice.open("/account/history").text


def test_one_password_typed_on_two_keyboards_is_one(app: Flask, api: RangeApi) -> None:
    api.breach("grüße aus dem hafen")
    decomposed = "gru\u0308ße aus dem hafen"
    assert KNOWN in Browser(app.test_client(), "carol", decomposed).sign_up().text


def test_nobody_is_asked_of_what_is_refused_without(
    app: Flask, api: RangeApi, alice: Browser
) -> None:
    api.asked.clear()
    for password in ("short", "password1234567", "carolcarolcarol"):
        assert Browser(app.test_client(), "carol", password).sign_up().status == 400
    wrong = {"current": "noisy-harbour-seven-boats"}
    alice.submit("/account", **wrong, password=BREACHED, again=BREACHED)
    alice.submit("/account", current=PASSWORD, password=BREACHED, again="another")
    assert alice.log_out().log_in().is_logged_in
    assert api.asked == []


def test_over_the_limit_of_sign_ups_nobody_is_asked(
    settings: Settings, api: RangeApi
) -> None:
    few = {"sign_up_limit_source": Rate(1, timedelta(hours=1))}
    app = create_app(settings.model_copy(update=few))
    for status in (400, 429):
        carol = Browser(app.test_client(), "carol", BREACHED).sign_up()
        assert carol.status == status
    assert len(api.asked) == 1


def test_asked_before_hashing_and_outside_of_any_transaction(
    app: Flask, api: RangeApi, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    database: Database = app.extensions["database"]
    hashings = count_hashings(monkeypatch)
    seen = []

    def look(request: Request) -> None:
        database.ping()  # Waits for whoever is writing.
        seen.append(hashings.count("hash"))
        api.answer_well(request)

    api.answer = look
    Browser(app.test_client(), "carol", "a-password-of-carol").sign_up()
    new = "quiet-harbour-eight-boats"
    alice.submit("/account", current=PASSWORD, password=new, again=new)
    assert "Your password is changed." in alice.text
    assert seen == [0, 1]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("https://mirror.example", "https://mirror.example/"),
        ("https://mirror.example:8443/range", "https://mirror.example:8443/range/"),
        ("http://127.0.0.1:8080/range/", "http://127.0.0.1:8080/range/"),
        ("http://[::1]/range//", "http://[::1]/range/"),
    ],
)
def test_where_a_mirror_can_be(given: str, read: str) -> None:
    settings = load_settings(breached_passwords_url=given)
    assert settings.breached_passwords_url == read


@pytest.mark.parametrize(
    "given",
    [
        *("mirror", "https://", "http://mirror.example/range/", "ftp://127.0.0.1/"),
        "http://127.0.0.1.mirror.example/range/",
        *("https://mirror.example:port/", "https://[::1/", "https://mirror.example/?q"),
        "https://anna:hunter2@mirror.example/range/",
    ],
)
def test_what_the_address_of_a_mirror_cannot_be(given: str) -> None:
    with pytest.raises(RefusedToStart, match=r"^BREACHED_PASSWORDS_URL=") as caught:
        load_settings(breached_passwords_url=given)
    assert "hunter2" not in str(caught.value)


@pytest.mark.embedded
@pytest.mark.long
def test_off_until_it_is_turned_on(tmp_path: Path) -> None:
    """Neither asked nor paid for: requests takes 9 MB."""
    script = (
        "import sys, wsgi; print(wsgi.settings.breached_passwords, "
        "sorted({'requests', 'cachecontrol'} & sys.modules.keys()))"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"DATA_DIR": str(tmp_path), "LOG_LEVEL": "error"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "allowed []\n"


@pytest.mark.embedded
def test_the_store_has_neither_the_password_nor_its_hash(
    settings: Settings, alice: Browser
) -> None:
    kept = ""
    for file in (settings.data_dir / "cache").iterdir():
        content = file.read_bytes()[4:].strip(b'"')
        if len(content) > 10_000:
            kept += base64.b64decode(content).decode("latin-1")
    assert kept.count("\r\n") > 700, "the answer is there"
    for secret in (PASSWORD, sha1(PASSWORD), sha1(PASSWORD)[5:]):
        assert secret.lower() not in kept.lower()


@pytest.mark.parametrize("kind", ["http", "https"])
def test_where_nobody_listens_people_can_sign_up(
    settings: Settings, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{kind}://127.0.0.1:{free_port()}/range/"
    app = create_app(settings.model_copy(update={"breached_passwords_url": url}))
    caplog.clear()
    for name in ("carol", "dave", "erin"):
        assert Browser(app.test_client(), name, BREACHED).sign_up().is_logged_in
    [record] = caplog.records
    assert record.getMessage() == (
        f"New passwords are not looked for in breaches. {url}: ConnectionRefusedError"
    )


def another_meanwhile(api: RangeApi, checks: Breaches) -> list[bool]:
    """Have somebody else come while the API is asked; list what they were told."""
    told: list[bool] = []

    def answer(request: Request) -> None:
        other = Thread(target=lambda: told.append(checks.has(PASSWORD)))
        other.start()
        other.join(5)
        api.answer_well(request)

    api.answer = answer
    return told


def test_after_a_while_one_asks_again_and_the_others_do_not_wait(
    api: RangeApi, checks: Breaches, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    clock = type("Clock", (), {"monotonic": staticmethod(lambda: now)})
    monkeypatch.setattr(breaches, "time", clock)
    api.answer = lambda request: request.send(b"", 503)
    checks.has(BREACHED)
    now += breaches.PAUSE - 1
    checks.has(BREACHED)
    assert len(api.asked) == 1
    now += 2
    others = another_meanwhile(api, checks)
    assert checks.has(BREACHED)
    assert others == [False]
    assert len(api.asked) == 2
    api.answer = api.answer_well
    assert not checks.has(PASSWORD)
    assert len(api.asked) == 3, "all ask again"


def test_a_flood_opens_few_connections(
    api: RangeApi, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaches, "AT_ONCE", 1)
    checks = Breaches(api.url, store)
    others = another_meanwhile(api, checks)
    assert checks.has(BREACHED)
    assert (others, len(api.asked)) == ([False], 1)
    api.answer = api.answer_well
    assert not checks.has(PASSWORD)
    assert len(api.asked) == 2, "the place is free again, and nothing paused"
