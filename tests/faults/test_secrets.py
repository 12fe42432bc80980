"""What must not be readable: in the log, in the database, in the stores, on pages."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import redis

from tests.browser import Browser
from tests.faults.people import FORM_TOKEN, check, wait_until
from tests.faults.site import Site
from tests.servers import Redis

FIRST_PASSWORD = "first-password-of-nine-lemons"
SECOND_PASSWORD = "second-password-of-ten-plums"
WRONG_PASSWORD = "wrong-password-of-six-melons"
TYPED_AS_NAME = "a-password-typed-as-the-name"
IN_THE_ADDRESS = "a-password-in-the-address-bar"
STORE_PASSWORD = "the-password-of-the-store"

PASSWORDS = {FIRST_PASSWORD, SECOND_PASSWORD, WRONG_PASSWORD, IN_THE_ADDRESS}


class Played:
    """One person's whole visit, and every secret that was in it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.pages: list[str] = []
        self.cookies: set[str] = set()
        self.form_tokens: set[str] = set()
        self.client, self.stranger = (
            site.first.client(event_hooks={"response": [self._note]}) for _ in range(2)
        )
        self.alice = Browser(self.client, "alice", FIRST_PASSWORD)

    def _note(self, answer: httpx.Response) -> None:
        answer.read()
        check(answer)
        self.pages.append(f"{answer.url}\n{answer.text}")
        self.cookies |= {value for value in answer.cookies.values() if value}
        self.form_tokens |= set(FORM_TOKEN.findall(answer.text))

    def play(self) -> "Played":
        alice = self.alice
        assert alice.sign_up().is_logged_in
        assert alice.keep("colour", "green").status == 200
        assert not alice.log_out().is_logged_in
        alice.submit("/login", name="alice", password=WRONG_PASSWORD)
        alice.submit("/login", name=TYPED_AS_NAME, password=WRONG_PASSWORD)
        self.pages.clear()  # The name was shown again in its own form.
        alice.submit("/signup", name="alice", password=FIRST_PASSWORD)
        alice.open(f"/login?password={IN_THE_ADDRESS}&name=alice")
        self.pages.pop()  # Whoever opened it sent it.
        assert alice.log_in().is_logged_in
        self._confirm()
        self._change_password()
        self._make_errors()
        if not self.site.redis:  # Two seconds; once is enough.
            self._fail_to_write()
        assert alice.open("/").is_logged_in
        return self

    def _confirm(self) -> None:
        alice = self.alice

        def is_asked() -> bool:
            return alice.open("/account/export").path == "/confirm"

        wait_until(is_asked, 3, "the password is asked for")
        alice.send(confirm_password=WRONG_PASSWORD)
        assert "That is not your password." in alice.text
        alice.send(confirm_password=FIRST_PASSWORD)
        assert alice.path == "/account/export"

    def _change_password(self) -> None:
        alice, new = self.alice, {"password": SECOND_PASSWORD, "again": SECOND_PASSWORD}
        alice.submit("/account", current=WRONG_PASSWORD, **new)
        alice.submit("/account", current=FIRST_PASSWORD, **new)
        assert "Your password is changed." in alice.text
        alice.password = SECOND_PASSWORD

    def _make_errors(self) -> None:
        form = _form("alice", SECOND_PASSWORD)
        statuses = [
            self.client.get("/no/such/page").status_code,
            self.client.get("/entries/none").status_code,
            self.client.get("/logout").status_code,
            self.client.post("/entries/new", data=form).status_code,
            self.client.post(
                "/login", data=form, headers={"Sec-Fetch-Site": "cross-site"}
            ).status_code,
            self.client.post("/login", data=form | {"x": "x" * 2_000_000}).status_code,
        ]
        assert statuses == [404, 404, 405, 403, 403, 413]

    def _fail_to_write(self) -> None:
        """Hold the database's write lock while somebody signs up."""
        file = self.site.folder / "data" / "holdfast.db"
        with closing(sqlite3.connect(file, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            form = _form("bob", FIRST_PASSWORD)
            assert self.stranger.post("/signup", data=form).status_code == 503


@pytest.fixture(scope="module", params=["files", "redis"])
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("secrets")
    store = Redis(folder).start() if request.param == "redis" else None
    site = Site(folder, store, processes=1)
    site.first.settings |= {"LOG_LEVEL": "debug", "FRESH_FOR": "1s"}
    if store:
        with store.client() as client:
            client.config_set("requirepass", STORE_PASSWORD)
        address = f":{STORE_PASSWORD}@127.0.0.1:{store.port}"
        site.first.settings["REDIS_URL"] = f"redis://{address}/0"
    yield Played(site.start()).play()
    site.close()


def _form(name: str, password: str) -> dict[str, str]:
    return {"name": name, "password": password}


def _stored(site: Site) -> bytes:
    """Return all bytes of all files, and of all keys and values in Redis."""
    files = [path for path in (site.folder / "data").rglob("*") if path.is_file()]
    content = b"".join(path.name.encode() + path.read_bytes() for path in files)
    if site.redis:
        with redis.Redis.from_url(site.first.settings["REDIS_URL"]) as client:
            for key in client.scan_iter():
                content += key + bytes(client.get(key) or b"")
            assert b"holdfast:session:" in content
    assert b"alice" in content
    return content


def _found(secrets: set[str], content: str) -> set[str]:
    return {secret for secret in secrets if secret in content}


def test_the_log_has_no_secret_in_it(played: Played) -> None:
    log = played.site.first.log.read_text()
    assert "DEBUG" in log
    assert "POST /login" in log
    secrets = PASSWORDS | {TYPED_AS_NAME, STORE_PASSWORD}
    assert not _found(secrets | played.cookies | played.form_tokens, log)


def test_nothing_that_is_stored_has_a_secret_in_clear(played: Played) -> None:
    assert len(played.cookies) >= 5
    assert len(played.form_tokens) >= 2, "one of each log-in"
    content = _stored(played.site).decode("latin-1")
    secrets = PASSWORDS | {TYPED_AS_NAME, STORE_PASSWORD}
    assert not _found(secrets | played.cookies | played.form_tokens, content)


def test_no_page_shows_a_password_or_what_is_in_a_cookie(played: Played) -> None:
    assert len(played.pages) > 20
    pages = "\n".join(played.pages)
    assert not _found(PASSWORDS | played.cookies | {STORE_PASSWORD}, pages)


def test_files_are_for_the_owner_alone(played: Played) -> None:
    data = played.site.folder / "data"
    assert _others_can_read(data) == []


def _others_can_read(data: Path) -> list[Path]:
    """Return what another user of this machine could reach; closed folders hide."""
    if data.stat().st_mode & 0o077 == 0:
        return []
    return [path for path in data.rglob("*") if path.stat().st_mode & 0o077]
