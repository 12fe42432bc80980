"""A new release: the old process stops, is replaced, or runs beside the new one."""

import itertools
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import httpx
import pytest

from config.worker import LINGER_NEW
from tests.faults.means import make_older
from tests.faults.people import Tab, at_once, wait_until
from tests.faults.wire import STATUS, compose, connect
from tests.other_servers import SERVERS
from tests.servers import Gunicorn, Redis
from webapp.schema import REVISION

pytestmark = pytest.mark.fault("R10")

WRITERS = 4
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(params=["files", "redis"])
def old(request: pytest.FixtureRequest, server: Gunicorn) -> Gunicorn:
    if request.param == "redis":
        redis: Redis = request.getfixturevalue("redis_server")
        server.settings["REDIS_URL"] = redis.url
    return server.start()


@pytest.fixture
def new(old: Gunicorn, tmp_path: Path) -> Iterator[Gunicorn]:
    """The next release on the same data, not started yet."""
    new = _beside(old, tmp_path)
    yield new
    new.close()


def _beside(old: Gunicorn, folder: Path) -> Gunicorn:
    (folder / "new").mkdir()
    new = Gunicorn(folder / "new")
    new.settings = old.settings | {"PORT": str(new.port)}
    return new


class Writer:
    """Keeps values, each over a connection of its own, and counts what failed."""

    def __init__(self, server: Gunicorn, name: str) -> None:
        self.name = name
        self.server = server
        self.tab = Tab(server).sign_up(name)
        self._token = self.tab.form_token()
        self.kept: list[str] = []
        self.refused = 0
        self.failed: list[str] = []
        self.over = threading.Event()

    def write(self) -> None:
        """Go on until told; who is not let in at all comes again."""
        for number in itertools.count():
            if self.over.is_set():
                return
            try:
                answer = self._keep(f"key-{number}")
            except httpx.ConnectError:
                self.refused += 1
                time.sleep(0.05)
            except httpx.TransportError as error:
                self.failed.append(repr(error))
            else:
                if answer.status_code == 303:
                    self.kept.append(f"key-{number}")
                else:
                    self.failed.append(answer.text)

    def _keep(self, key: str) -> httpx.Response:
        return httpx.post(
            f"{self.server.url}/entries/new",
            data={"form_token": self._token, "key": key, "value": key, "kind": "text"},
            headers={"Sec-Fetch-Site": "same-origin"},
            cookies={"session": self.tab.cookie},
            timeout=30,
        )

    def finds_all_at(self, server: Gunicorn) -> bool:
        tab = Tab(server, self.tab.cookie)
        assert tab.is_logged_in_as(self.name)
        return all(tab.get(f"/entries/{key}").status_code == 200 for key in self.kept)


def _write_meanwhile(writers: list[Writer], act: Callable[[], object]) -> None:
    """Let all write before it, beside it and after it."""

    def end() -> None:
        try:
            _wait_for_more(writers)
            act()
            _wait_for_more(writers)
        finally:
            for writer in writers:
                writer.over.set()

    at_once(end, *(writer.write for writer in writers))


def _wait_for_more(writers: list[Writer]) -> None:
    goals = [(writer, len(writer.kept) + 3) for writer in writers]
    wait_until(
        lambda: all(len(writer.kept) >= goal for writer, goal in goals),
        20,
        "all have written more",
    )


@pytest.fixture(params=["uwsgi", "mod_wsgi"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gunicorn]:
    other: Gunicorn = SERVERS[request.param](tmp_path)
    yield other.start()
    other.close()


def test_a_request_in_flight_at_sigterm_is_answered_and_kept(old: Gunicorn) -> None:
    _end_while_a_form_arrives(old)


def test_other_servers_finish_what_is_in_flight(other: Gunicorn) -> None:
    _end_while_a_form_arrives(other)


def _end_while_a_form_arrives(old: Gunicorn) -> None:
    alice = Tab(old).sign_up("alice")
    token = alice.form_token().encode()
    body = b"form_token=%s&key=late&value=kept&kind=text" % token
    cookie = b"Cookie: session=%s\r\n" % alice.cookie.encode()
    request = compose(b"POST", b"/entries/new", cookie + FORM, body)
    with connect(old) as line:
        line.sendall(request[:-10])
        assert alice.is_logged_in(), "what was sent has arrived by now"
        assert old.process
        old.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        line.sendall(request[-10:])
        answer = STATUS.match(line.recv(65_536))
    assert answer
    assert answer[1] == b"303"
    assert old.process.wait(10) == 0
    old.start()
    assert "kept" in alice.get("/entries/late").text


def test_sighup_replaces_the_worker_and_no_request_fails(
    old: Gunicorn, rounds: int
) -> None:
    writers = [Writer(old, f"writer-{number}") for number in range(WRITERS)]

    def replace() -> None:
        assert old.process
        for _ in range(2 * rounds):
            before = set(old.processes())
            old.process.send_signal(signal.SIGHUP)
            wait_until(partial(_is_replaced, old, before), 20, "replaced")

    _write_meanwhile(writers, replace)
    assert not any(writer.refused or writer.failed for writer in writers), [
        (writer.refused, writer.failed) for writer in writers
    ]
    assert all(writer.finds_all_at(old) for writer in writers)


def test_what_arrives_while_the_worker_is_held_up_is_answered(old: Gunicorn) -> None:
    """A loop that was kept from running finds the request and its own limit at once."""
    alice = Tab(old).sign_up("alice")
    cookie = b"Cookie: session=%s\r\n" % alice.cookie.encode()
    request = compose(b"GET", b"/entries", cookie)
    while not (answers := _send_while_it_is_held_up(old, request)):
        old.start()
    assert answers == [b"HTTP/1.1 200"] * 20
    assert old.process
    assert old.process.wait(10) == 0


def _send_while_it_is_held_up(server: Gunicorn, request: bytes) -> list[bytes]:
    """Return how each answer begins; none when it could not be held up in time."""
    assert server.process
    with ExitStack() as stack:
        lines = [stack.enter_context(connect(server)) for _ in range(20)]
        assert server.answers(), "they have been accepted by now"
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not server.answers(), 10, "takes nobody in any more")
        server.freeze()
        if time.monotonic() - begin > LINGER_NEW:
            server.thaw()
            server.process.wait(10)
            return []
        for line in lines:
            line.sendall(request)
        time.sleep(LINGER_NEW)
        server.thaw()
        return [line.recv(65_536)[:12] for line in lines]


def test_replacing_it_again_while_it_starts_takes_nobody_down(old: Gunicorn) -> None:
    alice = Tab(old).sign_up("alice")
    assert old.process
    before = set(old.processes())
    for told in range(1, 6):
        old.process.send_signal(signal.SIGHUP)
        wait_until(partial(_has_been_told, old, told), 20, "told")
        time.sleep(0.1)
    wait_until(partial(_is_replaced, old, before), 20, "replaced")
    assert old.answers()
    assert alice.is_logged_in_as("alice")
    assert "Traceback" not in old.log.read_text()


def _has_been_told(server: Gunicorn, times: int) -> bool:
    return server.log.read_text().count("Hang up: Master") == times


def _is_replaced(server: Gunicorn, before: set[int]) -> bool:
    """Tell whether of those processes only the master is left, with another worker."""
    now = set(server.processes())
    return len(now) == 2 and len(now & before) == 1


def test_old_and_new_run_side_by_side_for_a_while(old: Gunicorn, new: Gunicorn) -> None:
    writers = [Writer(old, f"writer-{number}") for number in range(WRITERS)]

    def hand_over() -> None:
        new.start()
        for writer in writers[::2]:
            writer.server = new
        _wait_for_more(writers)
        for writer in writers:
            writer.server = new
        # What each keeps after this was begun at the new one.
        _wait_for_more(writers)
        assert old.stop() == 0

    _write_meanwhile(writers, hand_over)
    assert not any(writer.refused or writer.failed for writer in writers), [
        (writer.refused, writer.failed) for writer in writers
    ]
    assert all(writer.finds_all_at(new) for writer in writers)


def test_two_that_start_on_an_older_database_upgrade_it_once(
    server: Gunicorn, tmp_path: Path
) -> None:
    file = Path(server.settings["DATA_DIR"]) / "holdfast.db"
    make_older(file)
    other = _beside(server, tmp_path)
    at_once(server.start, other.start)
    alice = Tab(server).sign_up("alice")
    assert Tab(other, alice.cookie).is_logged_in_as("alice")
    for each in (server, other):
        assert "Traceback" not in each.log.read_text()
    other.close()
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT * FROM alembic_version").fetchall() == [(REVISION,)]
