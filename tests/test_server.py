"""How the real gunicorn is started: what it refuses, and what cannot change it."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path

import pytest

from config.settings import load_settings
from config.worker import DISCARDED
from tests.browser import Browser
from tests.faults.wire import compose, connect
from tests.servers import ROOT, Gunicorn

pytestmark = [pytest.mark.embedded, pytest.mark.long]

# Every line begins with the time and how severe it is.
LINE = re.compile(r"\d{4}-\d\d-\d\dT\S+ (INFO|WARNING) \S+ ")
# What is discarded, and what the kernel has of it at both ends.
MOST_SENT = DISCARDED + 20_000_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    """One that has nothing set, for all who only ask it something."""
    server = Gunicorn(tmp_path_factory.mktemp("running")).start()
    yield server
    server.close()


def _refusal(server: Gunicorn) -> tuple[int, str]:
    """Start it, and return its exit status and everything it said."""
    done = subprocess.run(  # noqa: S603
        server.command(),
        cwd=ROOT,
        env=server.environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


SHARED = {
    "DATABASE_URL": "postgres://db.invalid/holdfast",
    "REDIS_URL": "redis://redis.invalid",
}


@pytest.mark.parametrize(
    ("arguments", "settings", "why"),
    [
        ("--workers 2", {}, "one worker: the records are in a SQLite file"),
        ("-w 4", {"REDIS_URL": SHARED["REDIS_URL"]}, "SQLite file (DATABASE_URL)"),
        ("-w 2", SHARED | {"REDIS_URL": ""}, "session data is in file:///"),
        ("-w 2", SHARED | {"SESSION_URL": "memory://"}, "session data is in memory://"),
        ("-w 2", SHARED | {"CACHE_URL": "memory://"}, "values are in memory:// (REDIS"),
        ("--worker-class sync", SHARED, "It runs as gevent workers"),
        ("-k gthread --threads 8", {}, "It runs as gevent workers"),
    ],
)
def test_workers_that_could_not_share_all_state_are_refused(
    server: Gunicorn, arguments: str, settings: dict[str, str], why: str
) -> None:
    server.settings |= settings | {"GUNICORN_CMD_ARGS": arguments}
    status, said = _refusal(server)
    assert status != 0
    assert why in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "url", ["valkey://a", "rediss+sentinel://a/b", "memcached://a,b", "mongodb+srv://a"]
)
def test_several_workers_share_what_is_on_a_server(url: str) -> None:
    shared = {"database_url": SHARED["DATABASE_URL"], "web_concurrency": 4}
    assert load_settings(**shared, session_url=url, cache_url=url).workers == 4
    assert load_settings(**shared, session_url=url, cache_url="memory://").workers == 1


def test_web_concurrency_of_the_platform_makes_no_second_worker(
    server: Gunicorn,
) -> None:
    server.settings["WEB_CONCURRENCY"] = "8"
    server.start()
    assert server.log.read_text().count("Booting worker") == 1
    assert len(_children(server)) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("DATABASE_URL", "oracle://db"),
        ("SESSION_IDLE", "soon"),
        ("REDIS_URL", "http://redis"),
    ],
)
def test_a_wrong_setting_stops_the_start_in_one_line(
    server: Gunicorn, name: str, value: str
) -> None:
    server.settings[name] = value
    status, said = _refusal(server)
    assert status != 0
    assert f"{name}={value}: " in said
    assert "Traceback" not in said


def test_a_database_that_cannot_be_used_stops_the_start_for_good(
    server: Gunicorn, tmp_path: Path
) -> None:
    """Not a worker that is started again and again; the master gives up."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database, " * 100)
    server.settings["DATABASE_URL"] = f"sqlite:///{file}"
    status, said = _refusal(server)
    assert status != 0
    assert "Holdfast does not start" in said
    assert str(file) in said
    assert "Traceback" not in said


def test_a_folder_that_cannot_be_made_stops_the_start(
    server: Gunicorn, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    server.settings["SESSION_URL"] = (tmp_path / "file" / "sessions").as_uri()
    status, said = _refusal(server)
    assert status != 0
    assert str(tmp_path / "file" / "sessions") in said
    assert "Traceback" not in said


def test_it_starts_while_redis_is_away(server: Gunicorn) -> None:
    server.settings["REDIS_URL"] = "redis://127.0.0.1:1/0"
    server.start()
    assert server.client().get("/healthz").text == "ok\n"


def test_the_log_goes_to_stdout_and_has_no_search_in_it(running: Gunicorn) -> None:
    running.client().get("/entries?q=secret-words")
    running.client().get("/login?next=/entries?q=secret-words")
    assert running.has_logged('"GET /entries" 303')
    assert running.has_logged('"GET /login" 200')
    assert "secret-words" not in running.log.read_text()


def test_a_line_as_json_says_the_same(server: Gunicorn) -> None:
    server.settings["LOG_FORMAT"] = "json"
    server.start()
    answer = server.client().get("/entries/%0Acaf%C3%A9?q=secret-words")
    asked = answer.headers["X-Request-ID"]
    assert server.has_logged(asked)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == asked]
    assert datetime.fromisoformat(line["time"]).tzinfo
    known = {"logger": "gunicorn.access", "level": "info", "address": "127.0.0.1"}
    known |= {"method": "GET", "path": "/entries/\ncafé"}
    assert known.items() <= line.items()
    assert line["status"] == answer.status_code
    assert line["milliseconds"] >= 0
    assert line["bytes"] >= 0
    assert "secret-words" not in server.log.read_text()


def test_the_answer_and_its_line_carry_the_same_id(running: Gunicorn) -> None:
    client = running.client()
    for path in ("/login", "/static/style.css", "/nothing"):
        asked = client.get(path).headers["X-Request-ID"]
        assert running.has_logged(asked)
        (line,) = [row for row in running.log.read_text().splitlines() if asked in row]
        assert f'"GET {path}"' in line


def test_what_is_no_request_has_no_id_of_the_one_before(running: Gunicorn) -> None:
    with connect(running) as line:
        line.sendall(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n")
        asked = re.search(rb"X-Request-ID: (\w+)", line.recv(65_536))
        line.sendall(b"no request at all\r\n\r\n")
        line.recv(65_536)
    assert asked
    assert running.has_logged("Invalid")
    lines = running.log.read_text().splitlines()
    assert len([row for row in lines if asked[1].decode() in row]) == 1


def test_a_wrong_password_is_one_line_of_the_log(running: Gunicorn) -> None:
    Browser(running.client(), "alice").sign_up()
    for name in ("alice", "nobody"):
        Browser(running.client(), name, "a wrong one").log_in()
    running.client().get("/last")
    assert running.has_logged('"GET /last"')
    lines = running.log.read_text().splitlines()
    assert len([line for line in lines if '"POST /login" 401' in line]) == 2
    assert [line for line in lines if not LINE.match(line)] == []


def test_a_connection_goes_on_after_a_body_that_was_refused(running: Gunicorn) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    with closing(HTTPConnection("127.0.0.1", running.port, timeout=10)) as browser:
        browser.connect()
        line = browser.sock
        for _ in range(2):
            browser.request("POST", "/login", b"x" * 3_000_000, form)
            answer = browser.getresponse()
            assert answer.status == 413
            assert b"too large" in answer.read()
        browser.request("GET", "/login")
        assert browser.getresponse().status == 200
        assert browser.sock is line


def test_a_body_without_an_end_is_hung_up_on(running: Gunicorn) -> None:
    sent, piece = 0, b"x" * 1_000_000
    with connect(running) as line, suppress(ConnectionError):
        head = compose(b"POST", b"/login").removesuffix(b"\r\n")
        line.sendall(head + b"Content-Length: 100000000000\r\n\r\n")
        while sent < MOST_SENT:
            sent += line.send(piece)
    assert sent < MOST_SENT
    assert running.client().get("/login").status_code == 200


def test_nobody_can_write_a_log_line_of_their_own(running: Gunicorn) -> None:
    running.client().get("/%0A2026-01-01 INFO all is well%00")
    assert running.has_logged('"GET /\\x0a2026-01-01 INFO all is well\\x00" 404')


def _children(server: Gunicorn) -> list[str]:
    assert server.process
    pid = server.process.pid
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    listed = subprocess.run(  # noqa: S603
        ["pgrep", "-P", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.split()
