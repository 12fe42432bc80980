"""A backup while eight people write, restored on an empty machine."""

import hashlib
import re
import sqlite3
import threading
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.faults.people import Tab, new_name
from tests.faults.test_kill import WRITERS, Writer
from tests.servers import Gunicorn

Rows = dict[str, list[Any]]

pytestmark = pytest.mark.fault("R21")


def rows_of_each_person(server: Gunicorn) -> Rows:
    """Read what each person has, by their name, in the order it was written."""
    statement = (
        "SELECT name, key, kind, value, size, version FROM users "
        "JOIN entries ON user_id = users.id ORDER BY entries.id"
    )
    rows: Rows = defaultdict(list)
    file = Path(server.settings["DATA_DIR"]) / "holdfast.db"
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for name, *row in db.execute(statement):
            rows[name].append(row)
    return rows


def sum_up(rows: list[Any]) -> str:
    return hashlib.sha256(str(rows).encode()).hexdigest()


def test_a_backup_under_load_has_all_that_was_answered_before_it(
    server: Gunicorn, tmp_path: Path
) -> None:
    server.start()
    writers = [Writer(server) for _ in range(WRITERS)]
    gone = Tab(server).sign_up(new_name())
    ended = gone.beside()
    gone.post("/logout")
    threads = [threading.Thread(target=writer.write) for writer in writers]
    for thread in threads:
        thread.start()
    while min(len(writer.kept) for writer in writers) < 3:
        pass
    before = rows_of_each_person(server)
    answered = {writer.name: list(writer.kept) for writer in writers}
    backup = tmp_path / "backup.zip"
    server.flask("state", "backup", str(backup))
    server.kill()
    for thread in threads:
        thread.join()

    (tmp_path / "new").mkdir()
    new = Gunicorn(tmp_path / "new")
    try:
        new.flask("state", "restore", str(backup))
        _check_what_is_there(new, writers, answered, before)
        assert not Tab(new, ended.cookie).is_logged_in()
    finally:
        new.close()


def _check_what_is_there(
    new: Gunicorn,
    writers: list[Writer],
    answered: dict[str, list[str]],
    before: Rows,
) -> None:
    restored = rows_of_each_person(new)
    for name, rows in before.items():
        # What was there before the backup; they went on writing meanwhile.
        assert sum_up(restored[name][: len(rows)]) == sum_up(rows)
    new.start()
    for writer in writers:
        tab = Tab(new, writer.tab.cookie)
        assert tab.is_logged_in_as(writer.name)
        for key in answered[writer.name]:
            assert f"{writer.name} {key}" in tab.get(f"/entries/{key}").text
    assert rows_of_each_person(new) == restored


def test_restore_makes_a_server_start_that_its_damaged_database_had_stopped(
    server: Gunicorn, tmp_path: Path
) -> None:
    server.start()
    name = new_name()
    tab = Tab(server).sign_up(name)
    tab.keep("note", "safe")
    backup = tmp_path / "backup.zip"
    server.flask("state", "backup", str(backup))
    said = server.flask("state", "restore", str(backup), "--force", status=1)
    assert "Stop the application" in said
    server.kill()
    file = Path(server.settings["DATA_DIR"]) / "holdfast.db"
    file.write_bytes(b"garbage" * 1000)
    assert "flask state restore" in server.flask("user", "list", status=3)
    assert "--force" in server.flask("state", "restore", str(backup), status=1)
    server.flask("state", "restore", str(backup), "--force")
    server.start()
    assert "safe" in tab.get("/entries/note").text


def test_the_proof_says_what_each_place_keeps(server: Gunicorn) -> None:
    said = server.flask("state", "prove")
    assert said.count("yes  ") == 4
    server.settings |= {"SESSION_URL": "memory://", "CACHE_URL": "memory://"}
    said = server.flask("state", "prove")
    assert "yes  the browser is still logged in" in said
    assert "NO   the session's copy is there (the memory of the process)" in said
    assert "NO   cached values are there (the memory of the process)" in said
    assert server.flask("user", "list") == "0 accounts.\n"
    assert re.search(r"users .* proven +proven ", server.flask("state"))
