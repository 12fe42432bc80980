"""How the real gunicorn is started: what it refuses, and what cannot change it."""

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.servers import ROOT, Gunicorn

ONE_WORKER = "It runs as one gevent worker"


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


@pytest.mark.parametrize(
    "arguments",
    ["--workers 2", "-w 4", "--worker-class sync", "-k gthread --threads 8"],
)
def test_more_than_one_gevent_worker_is_refused(
    server: Gunicorn, arguments: str
) -> None:
    server.settings["GUNICORN_CMD_ARGS"] = arguments
    status, said = _refusal(server)
    assert status != 0
    assert ONE_WORKER in said
    assert "Traceback" not in said


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


def test_the_log_goes_to_stdout_and_has_no_search_in_it(server: Gunicorn) -> None:
    server.start()
    server.client().get("/entries?q=secret-words")
    server.client().get("/login?next=/entries?q=secret-words")
    assert server.has_logged('"GET /entries" 303')
    assert server.has_logged('"GET /login" 200')
    assert "secret-words" not in server.log.read_text()


def test_nobody_can_write_a_log_line_of_their_own(server: Gunicorn) -> None:
    server.start()
    server.client().get("/%0A2026-01-01 INFO all is well%00")
    assert server.has_logged('"GET /\\x0a2026-01-01 INFO all is well\\x00" 404')


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
