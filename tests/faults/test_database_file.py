"""The database file was damaged, cut, or written by another release."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.means import make_older
from tests.faults.people import Tab, parts_down, wait_until
from tests.servers import Gunicorn
from webapp.schema import REVISION

pytestmark = pytest.mark.fault("R8")

ENTRIES = 40


def _cut(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2 + 100)


def _write_garbage(file: Path) -> None:
    file.write_bytes(b"no database " * 10_000)


def _write_garbage_at_the_head(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"\xff" * 200)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _be_newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")


DAMAGES = {
    "cut": (_cut, "backup"),
    "garbage": (_write_garbage, "backup"),
    "garbage at its head": (_write_garbage_at_the_head, "backup"),
    "empty": (_empty, "backup"),
    "newer": (_be_newer, "newer than this release"),
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Keep some values, stop, and leave all of it in the one file; with her cookie."""
    server = Gunicorn(tmp_path_factory.mktemp("played"))
    alice = Tab(server.start()).sign_up("alice")
    for number in range(ENTRIES):
        assert alice.keep(f"key {number}", "x" * 5000).status_code == 303
    assert server.stop() == 0
    server.close()
    data = Path(server.settings["DATA_DIR"])
    with closing(sqlite3.connect(data / "holdfast.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return alice.cookie, data


@pytest.fixture
def alice(played: tuple[str, Path], server: Gunicorn) -> Tab:
    """Who has played, at a server of her own that is not started."""
    cookie, data = played
    shutil.copytree(data, server.settings["DATA_DIR"])
    return Tab(server, cookie)


@pytest.fixture
def file(server: Gunicorn) -> Path:
    return Path(server.settings["DATA_DIR"]) / "holdfast.db"


@pytest.mark.parametrize(("damage", "advice"), DAMAGES.values(), ids=DAMAGES)
def test_a_database_that_is_not_ours_stops_the_start_and_is_left_as_it_is(
    server: Gunicorn,
    alice: Tab,
    file: Path,
    damage: Callable[[Path], None],
    advice: str,
) -> None:
    whole = file.with_name("whole")
    shutil.copy(file, whole)
    damage(file)
    damaged = file.read_bytes()
    for _ in range(2):
        with pytest.raises(AssertionError):
            server.start()
        assert server.process
        assert server.process.wait(10) != 0
    log = server.log.read_text()
    assert "Traceback" not in log
    reasons = [line for line in log.splitlines() if "does not start" in line]
    assert len(reasons) == 2
    assert all(str(file) in line and advice in line for line in reasons)
    assert file.read_bytes() == damaged, "it may be mended yet"
    shutil.copy(whole, file)
    server.start()
    assert alice.is_logged_in_as("alice")
    assert "x" * 5000 in alice.get("/entries/key%207").text


def test_an_older_database_is_upgraded_at_the_start_with_all_in_it(
    server: Gunicorn, alice: Tab, file: Path
) -> None:
    make_older(file)
    server.start()
    assert alice.is_logged_in_as("alice")
    assert "x" * 5000 in alice.get("/entries/key%207").text
    assert alice.log_in("alice").status_code == 303
    assert alice.keep("after").status_code == 303
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT * FROM alembic_version").fetchall() == [(REVISION,)]


def test_a_database_cut_under_a_running_server_fails_pages_and_no_process(
    server: Gunicorn, alice: Tab, file: Path
) -> None:
    whole = file.read_bytes()
    server.start()
    assert alice.is_logged_in_as("alice")
    _cut(file)
    answers = {alice.get(f"/entries/key%20{number}").status_code for number in range(5)}
    assert answers <= {200, 503}
    assert alice.keep("during").status_code in (303, 503)
    assert server.client().get("/healthz").status_code == 200
    assert server.stop() == 0
    for name in ("-wal", "-shm"):
        file.with_name(file.name + name).unlink(missing_ok=True)
    file.write_bytes(whole)
    server.start()
    assert alice.is_logged_in_as("alice")


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_nothing_is_called_saved_in_a_file_that_is_not_there_any_more(
    server: Gunicorn, file: Path, how: str
) -> None:
    server.start()
    alice = Tab(server).sign_up("alice")
    assert alice.keep("before").status_code == 303
    elsewhere = file.with_name("elsewhere")
    file.rename(elsewhere)
    if how == "replaced":
        shutil.copy(elsewhere, file)
    assert alice.keep("after").status_code == 503
    assert alice.is_logged_in(), "reading goes on"
    assert parts_down(server) == {"database"}
    elsewhere.rename(file)
    assert alice.keep("after").status_code == 303
    wait_until(lambda: not parts_down(server), 5, "ready")
