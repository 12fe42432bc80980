"""Who can have an account, and who is let in."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from config.settings import load_settings
from tests.accounts.test_passwords import COSTLY, GARBAGE
from tests.browser import PASSWORD, Browser
from webapp import create_app
from webapp.accounts.authentication import MISMATCH
from webapp.accounts.models import User
from webapp.accounts.passwords import Passwords
from webapp.sessions.service import Sessions

WRONG = "noisy-harbour-seven-boats"
NEW = "quiet-harbour-eight-boats"


def _accounts(app: Flask) -> Any:
    return app.extensions["accounts"]


def _stored(app: Flask, name: str = "alice") -> str:
    with app.extensions["database"].read() as db:
        return str(db.scalar(select(User.password_hash).where(User.name_key == name)))


def _store(app: Flask, stored: str) -> None:
    with app.extensions["database"].write() as db:
        db.execute(update(User).values(password_hash=stored))


def _costlier(settings_of: Flask) -> Flask:
    """Return the application on the same data after the cost of a hash was raised."""
    settings = settings_of.config["SETTINGS"]
    return create_app(settings.model_copy(update={"password_memory_kib": 16}))


def _log_in(app: Flask, name: str = "alice", password: str = PASSWORD) -> Browser:
    return Browser(app.test_client(), name, password).log_in()


@pytest.mark.parametrize(
    "name", ["abc", "A-1", "_-_", "0123", "x" * 32, "Alice_in-1865"]
)
def test_names_of_3_to_32_letters_digits_and_dashes(
    client: FlaskClient, name: str
) -> None:
    assert Browser(client, name).sign_up().is_logged_in


@pytest.mark.parametrize(
    "name",
    ["ab", "x" * 33, "al ice", " alice", "alice\n", "alïce", "\u0430lice",
     "alice\uff12", "al.ice", "alice\0", "", "<b>alice", "alice@home", "ali\u200dce"],
    ids=["short", "long", "space", "before", "line", "accent", "cyrillic", "wide",
         "dot", "NUL", "empty", "markup", "address", "joiner"],
)  # fmt: skip
def test_other_names_are_refused(app: Flask, client: FlaskClient, name: str) -> None:
    browser = Browser(client, name).sign_up()
    assert browser.status == 400
    assert "Use 3 to 32 letters (a to z), digits, _ or -." in browser.text
    assert _accounts(app).list_all() == []


@pytest.mark.parametrize("name", ["alice", "ALICE", "aLiCe"])
def test_a_name_is_taken_in_whatever_case(
    client: FlaskClient, alice: Browser, name: str
) -> None:
    browser = Browser(client, name).sign_up()
    assert browser.status == 409
    assert "This user name is taken. Choose another." in browser.text


def test_a_name_is_known_in_whatever_case(app: Flask, alice: Browser) -> None:
    browser = Browser(app.test_client(), "ALICE").log_in()
    browser.name = "alice"
    assert browser.is_logged_in, "and is shown as it was chosen"


def test_of_two_who_take_a_name_at_once_exactly_one_gets_it(app: Flask) -> None:
    together = threading.Barrier(6)
    answers: list[int] = []

    def sign_up(name: str) -> None:
        client = app.test_client()
        together.wait()
        form = {"name": name, "password": PASSWORD}
        answers.append(client.post("/signup", data=form).status_code)

    names = ["carol", "Carol", "CAROL"] * 2
    threads = [threading.Thread(target=sign_up, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303] + [409] * 5
    assert len(_accounts(app).list_all()) == 1


def test_the_default_length_is_15_characters(client: FlaskClient) -> None:
    browser = Browser(client, "alice", "quiet harbour!").sign_up()
    assert browser.status == 400
    assert "at least 15 characters" in browser.text
    browser.password = "quiet harbour 7"
    assert browser.sign_up().is_logged_in


def test_closed_sign_up_says_so_and_the_operator_still_creates(
    tmp_path: Path,
) -> None:
    app = create_app(
        load_settings(data_dir=tmp_path, sign_up="closed", password_memory_kib=8)
    )
    browser = Browser(app.test_client(), "alice").open("/signup")
    closed = "Sign-up is closed here. Ask the operator for an account."
    assert closed in browser.text
    assert not browser.tree.xpath("//input[@name='password']")
    assert "Sign up" not in browser.open("/").text
    form = {"name": "alice", "password": PASSWORD}
    browser.page = browser.client.post("/signup", data=form)
    assert browser.status == 403
    assert closed in browser.text
    assert _accounts(app).list_all() == []
    command = ["user", "create", "alice", "--password", PASSWORD]
    assert app.test_cli_runner().invoke(args=command).exit_code == 0
    assert browser.log_in().is_logged_in


def test_a_wrong_password_and_an_unknown_name_are_not_told_apart(
    app: Flask, alice: Browser
) -> None:
    wrong, unknown = _log_in(app, "alice", WRONG), _log_in(app, "wendy", WRONG)
    assert (wrong.status, unknown.status) == (401, 401)
    assert MISMATCH in wrong.text
    assert wrong.page.text.replace("alice", "wendy") == unknown.page.text
    assert list(wrong.page.headers.keys()) == list(unknown.page.headers.keys())


def test_a_disabled_account_is_told_to_its_owner_only(
    app: Flask, alice: Browser, operator: Callable[..., str]
) -> None:
    operator("user disable alice")
    stranger, owner = _log_in(app, "alice", WRONG), _log_in(app)
    assert (stranger.status, owner.status) == (401, 403)
    assert MISMATCH in stranger.text
    assert "disabled" not in stranger.text
    assert "This account is disabled. Ask the operator." in owner.text


def test_a_log_in_renews_an_old_hash_and_ends_nothing(
    app: Flask, alice: Browser
) -> None:
    old, cookie = _stored(app), alice.client.get_cookie("session")
    assert cookie
    later = _costlier(app)
    assert _log_in(later).is_logged_in
    assert "m=8," in old
    assert "m=16," in _stored(later)
    earlier = Browser(later.test_client(), "alice")
    earlier.client.set_cookie("session", cookie.value)
    assert earlier.open("/").is_logged_in
    assert _log_in(later).is_logged_in


def test_a_wrong_password_renews_no_hash(app: Flask, alice: Browser) -> None:
    old, later = _stored(app), _costlier(app)
    assert not _log_in(later, "alice", WRONG).is_logged_in
    assert _stored(later) == old


def test_a_password_set_meanwhile_is_not_undone_by_a_renewed_hash(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = _costlier(app)
    accounts = _accounts(later)
    with monkeypatch.context() as patch:
        _before(patch, Passwords, "hash", lambda: accounts.set_password("alice", NEW))
        assert not _log_in(later).is_logged_in
    assert not _log_in(later).is_logged_in, "the old password is over"
    assert _log_in(later, "alice", NEW).is_logged_in


def test_two_log_ins_at_once_both_renew_the_hash_and_both_get_in(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = _costlier(app)
    authentication = _accounts(later)._authentication
    check = authentication.check
    other = authentication.passwords.hash(PASSWORD, "here")

    def overtaken(*given: Any) -> Any:
        """The other one checked the old hash too, and renews it after this one."""
        attempt = check(*given)
        _store(later, other)
        return attempt

    monkeypatch.setattr(authentication, "check", overtaken)
    assert _log_in(later).is_logged_in


@pytest.mark.parametrize("change", ["password", "disabled"])
def test_a_change_while_the_password_was_being_checked_is_not_overtaken(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    accounts = _accounts(app)

    def act() -> None:
        if change == "password":
            accounts.set_password("alice", NEW)
        else:
            accounts.disable("alice")

    _before(monkeypatch, Passwords, "verify", act)
    assert _log_in(app).status in (401, 403)


@pytest.mark.parametrize("change", ["password", "disabled", "deleted"])
def test_a_change_while_a_log_in_is_being_written_ends_its_session(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    accounts = _accounts(app)
    copy = app.session_interface.sessions.resume(  # type: ignore[attr-defined]
        alice.client.get_cookie("session").value
    )
    acts: dict[str, Callable[[], None]] = {
        "password": lambda: accounts.set_password("alice", NEW),
        "disabled": lambda: accounts.disable("alice"),
        "deleted": lambda: accounts.delete(copy),
    }
    other = threading.Thread(target=acts[change])

    def act() -> None:
        other.start()
        other.join(0.3)  # It has to wait; who does not is done by then.

    _before(monkeypatch, Sessions, "start", act)
    late = _log_in(app)
    other.join(10)
    assert not other.is_alive()
    assert not late.open("/entries").is_logged_in


def test_the_pages_of_an_account_that_was_deleted_meanwhile_are_no_error(
    app: Flask, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request had passed the guard when another process deleted the account."""
    sessions: Any = app.session_interface.sessions  # type: ignore[attr-defined]
    copy = sessions.resume(alice.client.get_cookie("session").value)
    app.extensions["accounts"].delete(copy)
    monkeypatch.setattr(sessions, "resume", lambda _session_id, **_how: copy)
    monkeypatch.setattr(sessions, "is_alive", lambda _copy: True)
    for path in ("/account", "/account/history", "/sessions", "/entries"):
        assert alice.client.get(path).status_code in (200, 404)


@pytest.mark.embedded  # PostgreSQL takes no NUL.
@pytest.mark.parametrize(
    "stored", [*GARBAGE.values(), *COSTLY.values()], ids=[*GARBAGE, *COSTLY]
)
def test_a_broken_hash_is_a_wrong_password(
    app: Flask, alice: Browser, stored: str
) -> None:
    _store(app, stored if stored in GARBAGE.values() else f"{stored}c2FsdHNhbHQ$aGFzaA")
    browser = _log_in(app)
    assert browser.status == 401
    assert MISMATCH in browser.text


def _before(
    patch: pytest.MonkeyPatch, owner: Any, name: str, act: Callable[[], None]
) -> None:
    """Let something happen once, just before the method is called the next time."""
    method, waiting = getattr(owner, name), [act]

    def call(*arguments: Any, **options: Any) -> Any:
        if waiting:
            waiting.pop()()
        return method(*arguments, **options)

    patch.setattr(owner, name, call)
