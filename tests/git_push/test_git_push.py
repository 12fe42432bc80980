"""A real `git push` over ssh to a Procfile platform, and one more under load."""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlencode

import httpx
import pytest

from tests.browser import Browser
from tests.faults.people import Timed, wait_until
from tests.git_push.platform import Platform

ORDERS = ("stop first", "beside", "release last")
WELCOME = "webapp/templates/welcome.html"
MIGRATION = """
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.execute("CREATE TABLE IF NOT EXISTS upgrades (revision TEXT)")
    op.execute("INSERT INTO upgrades VALUES ('{revision}')")
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that the application was pushed to once."""
    platform = Platform(tmp_path_factory.mktemp("platform"))
    try:
        said = platform.start().push("stop first")
        assert "Deployed" in said, said
        yield platform
    finally:
        platform.close()


@pytest.fixture(scope="module")
def alice(platform: Platform) -> Browser:
    alice = Browser(platform.client(), "alice").sign_up()
    assert alice.is_logged_in, alice.text
    alice.keep("shopping", "bread")
    return alice


def test_what_was_pushed_is_used_over_https(platform: Platform, alice: Browser) -> None:
    assert alice.value("shopping") == "bread"
    cookies = [cookie.name for cookie in alice.client.cookies.jar]
    assert cookies
    assert all(name.startswith("__Host-") for name in cookies)
    assert all(cookie.secure for cookie in alice.client.cookies.jar)
    assert "Strict-Transport-Security" in alice.page.headers


def test_plain_http_is_sent_on_to_https(platform: Platform) -> None:
    plain = f"http://127.0.0.1:{platform.nginx.plain_port}"
    answer = httpx.get(f"{plain}/login?next=/entries")
    host = f"127.0.0.1:{platform.nginx.plain_port}"
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"https://{host}/login?next=/entries"
    assert httpx.post(f"{plain}/login", data={"name": "alice"}).status_code == 403
    assert httpx.get(f"{plain}/healthz").status_code == 200


def test_the_address_in_the_session_list_is_the_persons(platform: Platform) -> None:
    spoofed = {"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6"}
    carol = Browser(platform.client(headers=spoofed), "carol").sign_up()
    page = carol.open("/sessions").text
    assert "127.0.0.1" in page
    assert "6.6.6.6" not in page
    assert platform.client(headers=spoofed).get("/metrics").status_code == 200
    # Its own machine's: through a router on another one it would be 403.


def test_contradictory_scheme_headers_are_no_error(platform: Platform) -> None:
    headers = {"X-Forwarded-Ssl": "off", "X-Forwarded-Protocol": "http"}
    headers |= {"X-Forwarded-Proto": "http", "Front-End-Https": "off"}
    answer = platform.client().get("/login", headers=headers)
    assert answer.status_code == 200
    assert "Strict-Transport-Security" in answer.headers, "it did come by https"


def test_it_listens_where_the_platform_says(platform: Platform) -> None:
    (line,) = (platform.folder / "nginx" / "upstreams.conf").read_text().splitlines()
    found = re.fullmatch(r"server (127\.0\.0\.1:\d+);", line)
    assert found
    assert f"Listening at: http://{found[1]} " in platform.log()


@dataclass
class Reader:
    """Opens the list again and again, as a browser does, and notes what it gets."""

    client: httpx.Client
    answers: list[tuple[float, int]] = field(default_factory=list)

    def read(self) -> None:
        begin = time.time()
        try:
            answer = self.client.get("/entries")
        except httpx.RemoteProtocolError:
            # The connection was closed as it was idle; browsers open another.
            answer = self.client.get("/entries")
        self.answers.append((begin, answer.status_code))


def body_of_form(browser: Browser, key: str) -> bytes:
    form = browser.open("/entries/new")._form("", {"key": key})
    fields = dict(form.form_values()) | {"key": key, "value": "v" * 1000}
    return urlencode(fields).encode()


def slow_form(
    browser: Browser, body: bytes, is_stopping: Callable[[], bool]
) -> httpx.Response:
    """Send a form, the second half of it after the old process was told to stop."""

    def halves() -> Iterator[bytes]:
        yield body[:500]
        wait_until(is_stopping, 15, "the old one stops")
        time.sleep(0.5)
        yield body[500:]

    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": str(len(body)),
        "Sec-Fetch-Site": "same-origin",
    }
    client: httpx.Client = browser.client
    return client.post("/entries/new", content=halves(), headers=headers)


def prepare(platform: Platform, sign: str) -> str:
    """Make a release with a sign on its first page and a migration; return that."""
    revision, before = platform.next_revision()
    migration = MIGRATION.format(revision=revision, before=before)
    platform.change(f"webapp/migrations/versions/{revision}_more.py", "", migration)
    old, new = (f'REVISION = "{each}"' for each in (before, revision))
    platform.change("webapp/schema.py", old, new)
    platform.change(WELCOME, "</h1>", f" {sign}</h1>")
    return revision


@pytest.mark.parametrize("order", ORDERS)
def test_a_push_under_load_fails_no_request_beyond_the_platforms_gap(
    platform: Platform, alice: Browser, order: str
) -> None:
    number = ORDERS.index(order) + 1
    revision = prepare(platform, f"(release {number})")
    people = [
        Browser(platform.client(), f"person-{number}-{n}").sign_up() for n in range(4)
    ]
    readers = [Reader(person.client) for person in people]
    body = body_of_form(people[0], "in flight")
    begin = time.time()

    def is_at(event: str) -> bool:
        return event in platform.events(begin)

    with ThreadPoolExecutor(2) as threads:
        push = threads.submit(partial(platform.push, order))
        wait_until(partial(is_at, "installed"), 240, "installed")
        with Timed(*(reader.read for reader in readers), pause=0.02):
            wait_until(partial(is_at, "handing-over"), 60, "the new one is ready")
            writing = threads.submit(
                slow_form, people[0], body, partial(is_at, "stopping")
            )
            said = push.result()
            time.sleep(0.5)
    assert "Deployed" in said, said
    assert writing.result().status_code == 303, "the form in flight was answered"
    assert people[0].value("in flight") == "v" * 1000

    events = platform.events(begin)
    failed = [
        when for reader in readers for when, status in reader.answers if status != 200
    ]
    if order == "stop first":
        assert all(
            events["stopping"] - 0.5 < when < events["switched"] for when in failed
        )
    else:
        assert failed == []
    assert min(len(reader.answers) for reader in readers) > 20
    for person in (alice, *people):
        assert person.open("/entries").is_logged_in
    assert alice.value("shopping") == "bread"
    visitor = platform.client().get("/")
    assert f"(release {number})" in visitor.text
    assert (
        platform.query("SELECT count(*) FROM upgrades WHERE revision = ?", revision)
        == 1
    )
