"""One file that has everything, and that anything can be made of again."""

import json
import shutil
import sqlite3
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from flask import Flask
from sqlalchemy import text

from config.settings import Settings
from tests.accounts.codes import code_of, is_used, log_in
from tests.browser import PASSWORD, Browser
from tests.state.test_moving import at, opened, same_browser
from webapp.database import Database
from webapp.schema import alembic_config
from webapp.state import archive
from webapp.state.archive import BadBackup
from webapp.state.backup import back_up, describe
from webapp.state.copied import begin_copy
from webapp.state.moving import Moved, move_records
from webapp.state.restore import Refused, restore
from webapp.stores.memory import MemoryStore

Operator = Callable[..., str]

# What a manifest counts: neither marks nor what is made beside the tables.
TABLES = """SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE
    'sqlite%' AND name NOT LIKE 'entry_search%' AND name NOT IN
    ('alembic_version', 'marks')"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.zip"


@pytest.fixture
def new_url(tmp_path: Path) -> str:
    """A machine where nothing is yet."""
    return f"sqlite:///{tmp_path / 'new' / 'holdfast.db'}"


def cookie_of(browser: Browser) -> str:
    return str(browser.client.get_cookie("session").value)


def is_logged_in(app: Flask, cookie: str) -> bool:
    client = app.test_client()
    client.set_cookie("session", cookie)
    return client.get("/entries").status_code == 200


def bring_back(file: Path, url: str, *, force: bool = False) -> int:
    folder = Path(url.removeprefix("sqlite:///")).parent
    folder.mkdir(exist_ok=True)
    return restore(file, url, [MemoryStore()], force=force).sessions_kept


def test_everything_is_there_on_an_empty_machine(
    alice: Browser, settings: Settings, operator: Operator, file: Path, new_url: str
) -> None:
    alice.keep("grüße", "ß\n€ 😀").keep("note", '{"a": [1, null]}', kind="json")
    said = operator(f"state backup {file}")
    assert "entries                         2" in said
    bring_back(file, new_url)
    restored = same_browser(at(settings, database_url=new_url), alice)
    assert restored.open("/entries").is_logged_in
    assert restored.value("grüße") == "ß\n€ 😀"
    assert restored.log_out().log_in().is_logged_in


def test_a_session_that_had_ended_stays_ended(
    alice: Browser, settings: Settings, operator: Operator, file: Path, new_url: str
) -> None:
    ended = cookie_of(alice)
    alice.log_out()
    operator(f"state backup {file}")
    bring_back(file, new_url)
    assert not is_logged_in(at(settings, database_url=new_url), ended)


def test_it_is_of_one_moment_while_people_write(
    app: Flask, alice: Browser, file: Path, tmp_path: Path
) -> None:
    over = threading.Event()

    def write() -> None:
        for number in range(10_000):
            if over.is_set():
                return
            alice.keep(f"key-{number}", "x" * 1000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            copy = tmp_path / f"backup-{number}.zip"
            list(back_up(app.extensions["database"], copy, []))
    finally:
        over.set()
        writer.join()
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        records, _ = archive.read(tmp_path / f"backup-{number}.zip", folder)
        archive.check_integrity(records)
        with closing(sqlite3.connect(records)) as db:
            counted = db.execute("SELECT count(*), sum(size) FROM entries").fetchone()
            noted = db.execute("SELECT entries, size FROM entry_usage").fetchone()
        assert noted is None or counted == noted


def test_nobody_else_can_read_the_file(operator: Operator, file: Path) -> None:
    operator(f"state backup {file}")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_stays_unless_forced(
    operator: Operator, file: Path
) -> None:
    file.write_text("precious")
    assert "--force replaces it" in operator(f"state backup {file}", status=1)
    assert file.read_text() == "precious"
    operator(f"state backup {file} --force")
    assert zipfile.is_zipfile(file)
    assert [path.name for path in file.parent.glob(".holdfast-*")] == []


def test_people_who_are_there_stay_unless_forced(
    app: Flask, alice: Browser, file: Path, new_url: str
) -> None:
    list(back_up(app.extensions["database"], file, []))
    bring_back(file, new_url)
    with pytest.raises(Refused, match="There is an account already"):
        bring_back(file, new_url)
    bring_back(file, new_url, force=True)


def test_what_is_known_of_sessions_since_wins(
    alice: Browser,
    bob: Browser,
    settings: Settings,
    operator: Operator,
    file: Path,
    app: Flask,
) -> None:
    """Who logged out or in stays so; an ID of before opens nothing."""
    other = Browser(app.test_client(), "alice").log_in()
    old, ended = cookie_of(other), cookie_of(alice)
    operator(f"state backup {file}")
    alice.log_out()
    later = Browser(app.test_client(), "bob").log_in()
    other.submit("/confirm", confirm_password=other.password)
    operator(f"state restore {file} --force")
    again = at(settings)
    for browser in (bob, later, other):
        assert same_browser(again, browser).open("/entries").is_logged_in
    assert not is_logged_in(again, old)
    assert not is_logged_in(again, ended)


@pytest.mark.parametrize("place", ["same", "empty"])
def test_a_code_of_the_backup_opens_nothing(
    alice: Browser,
    settings: Settings,
    operator: Operator,
    file: Path,
    new_url: str,
    place: str,
) -> None:
    """It may have been used since."""
    code = code_of(operator("user make-code alice"))
    operator(f"state backup {file}")
    if place == "same":
        operator(f"state restore {file} --force")
        again = at(settings)
    else:
        bring_back(file, new_url)
        again = at(settings, database_url=new_url)
    assert not is_used(again, code)
    assert log_in(again, PASSWORD).is_logged_in


def test_no_cached_value_of_another_time_is_shown(
    alice: Browser, settings: Settings, operator: Operator, file: Path
) -> None:
    alice.keep("note", "of the backup")
    operator(f"state backup {file}")
    alice.submit("/entries/note/edit", value="of later").open("/entries")
    alice.open("/entries")
    operator(f"state restore {file} --force")
    again = same_browser(at(settings), alice)
    assert "of the backup" in again.open("/entries").text
    again.submit("/entries/note/edit", value="of now")
    assert "of now" in again.open("/entries").text


def test_a_key_that_was_given_anew_since_is_no_obstacle(
    alice: Browser,
    settings: Settings,
    operator: Operator,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("webapp.state.tables.LONG_STEP", 3)
    for number in range(8):
        alice.keep(f"key-{number}", "of the backup")
    operator(f"state backup {file}")
    version = alice.open("/entries/key-0/delete").tree.xpath(
        "//input[@name='version']/@value"
    )[0]
    alice.submit("/entries/key-0/delete", version=str(version))
    alice.keep("key-0", "of later")
    operator(f"state restore {file} --force")
    assert same_browser(at(settings), alice).value("key-0") == "of the backup"


def test_what_a_restore_empties_is_not_missed_afterwards(
    app: Flask, alice: Browser, settings: Settings, operator: Operator, file: Path
) -> None:
    app.extensions["places"].begin()
    operator(f"state backup {file}")
    operator(f"state restore {file} --force")
    again = at(settings)
    marks = again.extensions["places"].marks.begin()
    assert [state for state, mark in marks.items() if mark.lost_at] == []


@pytest.mark.embedded
def test_the_database_itself_is_no_place_for_a_backup(
    alice: Browser, settings: Settings, operator: Operator
) -> None:
    alice.keep("note", "safe")
    database = settings.data_dir / "holdfast.db"
    for place in (database, "/dev/null", settings.data_dir / "nowhere" / "x.zip"):
        operator(f"state backup {place} --force", status=1)
    assert alice.value("note") == "safe"


@pytest.mark.embedded
def test_a_link_to_the_database_stays_one(
    app: Flask, alice: Browser, file: Path, new_url: str, tmp_path: Path
) -> None:
    list(back_up(app.extensions["database"], file, []))
    link = Path(new_url.removeprefix("sqlite:///"))
    link.parent.mkdir()
    link.symlink_to(tmp_path / "other-disk.db")
    bring_back(file, new_url)
    assert link.is_symlink()
    with opened(new_url).read() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM users").scalar() == 1


def test_records_of_a_later_release_are_replaced_when_forced(
    app: Flask, alice: Browser, settings: Settings, operator: Operator, file: Path
) -> None:
    """The way back from a deploy that went wrong."""
    alice.keep("note", "safe")
    operator(f"state backup {file}")
    with app.extensions["database"].write() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "--force" in operator(f"state restore {file}", status=1)
    said = operator(f"state restore {file} --force")
    assert f"All of it is in {app.extensions['database'].place}." in said
    assert same_browser(at(settings), alice).value("note") == "safe"


@pytest.mark.embedded
def test_a_refused_restore_changes_nothing(
    app: Flask, alice: Browser, operator: Operator, file: Path
) -> None:
    operator(f"state backup {file}")
    with app.extensions["database"].write() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    operator(f"state restore {file}", status=1)
    with app.extensions["database"].read() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version"))
        assert found.scalar() == "0002"


def test_any_bit_that_is_wrong_is_found_or_does_not_matter(
    alice: Browser, operator: Operator, file: Path, tmp_path: Path
) -> None:
    operator(f"state backup {file}")
    whole = bytearray(file.read_bytes())
    folder = tmp_path / "unpacked"
    for place in range(0, len(whole), 61):
        whole[place] ^= 16
        file.write_bytes(whole)
        folder.mkdir()
        with suppress(BadBackup):
            records, manifest = archive.read(file, folder)
            assert archive.sum_up(records) == manifest.sha256
        shutil.rmtree(folder)
        whole[place] ^= 16


def test_no_id_of_before_is_given_again(
    app: Flask, alice: Browser, settings: Settings, operator: Operator, file: Path
) -> None:
    operator(f"state backup {file}")
    Browser(app.test_client(), "carol").sign_up()
    operator(f"state restore {file} --force")
    again = at(settings)
    Browser(again.test_client(), "dave").sign_up()
    with again.extensions["database"].read() as db:
        found = dict(db.exec_driver_sql("SELECT name, id FROM users").fetchall())
    assert found["dave"] == found["alice"] + 2


def test_a_file_that_was_cut_or_changed_is_refused_and_nothing_happens(
    alice: Browser, operator: Operator, file: Path
) -> None:
    alice.keep("note", "safe")
    operator(f"state backup {file}")
    whole = file.read_bytes()
    quarter = len(whole) // 4
    for damaged in (
        whole[:quarter],
        whole[:-1],
        whole[:quarter] + bytes(quarter) + whole[2 * quarter :],
        b"",
        b"no zip at all",
    ):
        file.write_bytes(damaged)
        said = operator(f"state restore {file} --force", status=1)
        assert "damaged" in said or "manifest" in said
    assert alice.value("note") == "safe"


def test_one_changed_byte_is_found_wherever_it_changes_what_is_restored(
    alice: Browser, operator: Operator, file: Path
) -> None:
    alice.keep("note", "safe")
    operator(f"state backup {file}")
    whole = file.read_bytes()
    with zipfile.ZipFile(file) as kept:
        records = kept.read("records.db")
    refused = 0
    # At the end stands where each part of the file is.
    end = range(len(whole) - 200, len(whole))
    for place in (*range(0, len(whole), len(whole) // 100), *end):
        file.write_bytes(
            whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
        )
        with archive.scratch(file) as folder:
            try:
                unpacked, _ = archive.read(file, folder)
            except BadBackup:
                refused += 1
            else:
                # Deflate can point to other zeros that are the same zeros.
                assert unpacked.read_bytes() == records
    assert refused > 150


def test_a_file_that_unpacks_to_more_than_it_says_is_refused(
    operator: Operator, file: Path, tmp_path: Path
) -> None:
    operator(f"state backup {file}")
    with zipfile.ZipFile(file) as whole:
        manifest = json.loads(whole.read("manifest.json"))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("manifest.json", json.dumps(manifest))
        bomb.writestr("records.db", bytes(manifest["size"] + 1))
    with pytest.raises(BadBackup, match="larger than the manifest says"):
        archive.read(file, tmp_path)


def test_rows_that_were_changed_inside_are_refused(
    alice: Browser, operator: Operator, file: Path, new_url: str, tmp_path: Path
) -> None:
    """The sum of the file was made to fit, the sums of the rows were not."""
    operator(f"state backup {file}")
    folder = tmp_path / "changed"
    folder.mkdir()
    records, manifest = archive.read(file, folder)
    with closing(sqlite3.connect(records)) as db, db:
        db.execute("UPDATE users SET name_key = 'mallory'")
    changed = manifest.model_copy(
        update={"sha256": archive.sum_up(records), "size": records.stat().st_size}
    )
    archive.write(file, records, changed)
    with pytest.raises(BadBackup, match="not those that the manifest sums up"):
        bring_back(file, new_url)


@pytest.mark.embedded
@pytest.mark.parametrize("revision", ["0001", "0002"])
def test_a_backup_of_an_earlier_release_is_brought_to_this_one(
    file: Path, new_url: str, tmp_path: Path, revision: str
) -> None:
    old = Database(f"sqlite:///{tmp_path / 'records.db'}")
    with old.engine.begin() as connection:
        command.upgrade(alembic_config(connection), revision)
        connection.exec_driver_sql(
            "INSERT INTO users (name, name_key, password_hash, created_at) "
            "VALUES ('anna', 'anna', '', '2026-01-01 00:00:00')"
        )
    old.engine.dispose()
    _pack(file, tmp_path / "records.db", revision)
    bring_back(file, new_url)
    with opened(new_url).read() as db:
        assert db.exec_driver_sql("SELECT name FROM users").scalar() == "anna"


@pytest.mark.embedded
def test_a_backup_of_a_later_release_is_refused(
    app: Flask, file: Path, new_url: str, tmp_path: Path, operator: Operator
) -> None:
    operator(f"state backup {file}")
    folder = tmp_path / "later"
    folder.mkdir()
    records, _ = archive.read(file, folder)
    with closing(sqlite3.connect(records)) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    _pack(file, records, "9999")
    with pytest.raises(Exception, match="newer than this release"):
        bring_back(file, new_url)
    assert not Path(new_url.removeprefix("sqlite:///")).exists()


def _pack(file: Path, records: Path, revision: str) -> None:
    with closing(sqlite3.connect(records)) as db:
        found = [name for (name,) in db.execute(TABLES)]
        rows = {name: _count(db, name) for name in found}
    manifest = archive.Manifest(
        made_at="2026-01-01T00:00:00Z",  # type: ignore[arg-type]
        revision=revision,
        place="",
        rows=rows,
        checksums={},
        sha256=archive.sum_up(records),
        size=records.stat().st_size,
    )
    archive.write(file, records, manifest)


def _count(db: sqlite3.Connection, name: str) -> int:
    statement = f"SELECT count(*) FROM {name}"  # noqa: S608
    return int(db.execute(statement).fetchone()[0])


def earlier(manifest: dict[str, Any], _db: sqlite3.Connection) -> None:
    manifest["revision"] = "0004"


def without_counts(manifest: dict[str, Any], db: sqlite3.Connection) -> None:
    manifest["rows"] = {}
    of_another_revision(manifest, db)


def of_another_revision(manifest: dict[str, Any], db: sqlite3.Connection) -> None:
    """Where the sums of the rows say nothing, for they are of another release's."""
    db.execute("UPDATE alembic_version SET version_num = '0004'")
    db.execute("DELETE FROM users")
    manifest["revision"] = "0004"


def not_of_its_revision(manifest: dict[str, Any], db: sqlite3.Connection) -> None:
    """What has to be changed in the tables of that release is not there."""
    db.execute("UPDATE alembic_version SET version_num = '0004'")
    manifest["revision"] = "0004"


def with_one_table(manifest: dict[str, Any], db: sqlite3.Connection) -> None:
    for (name,) in db.execute(f"{TABLES} OR name = 'alembic_version'").fetchall():
        db.execute(f"DROP TABLE {name}")
    db.execute("CREATE TABLE other (id INTEGER)")
    manifest["rows"] = {}


def without_a_table(manifest: dict[str, Any], db: sqlite3.Connection) -> None:
    db.execute("DROP TABLE limits")
    del manifest["rows"]["limits"], manifest["checksums"]["limits"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (earlier, "revision 0004"),
        (without_counts, "not as many"),
        (of_another_revision, "not as many"),
        (not_of_its_revision, "is bad"),
        (with_one_table, "no table .*users"),
        (without_a_table, "no table limits"),
    ],
)
def test_a_manifest_is_not_believed_where_the_tables_tell(
    alice: Browser,
    operator: Operator,
    file: Path,
    new_url: str,
    tmp_path: Path,
    spoil: Callable[[dict[str, Any], sqlite3.Connection], None],
    words: str,
) -> None:
    operator(f"state backup {file}")
    folder = tmp_path / "spoilt"
    folder.mkdir()
    records, found = archive.read(file, folder)
    manifest = found.model_dump()
    with closing(sqlite3.connect(records)) as db, db:
        spoil(manifest, db)
    fitting = {"sha256": archive.sum_up(records), "size": records.stat().st_size}
    archive.write(file, records, archive.Manifest(**manifest | fitting))
    with pytest.raises(BadBackup, match=words):
        bring_back(file, new_url)
    assert not Path(new_url.removeprefix("sqlite:///")).exists()


def test_a_part_that_a_move_left_is_replaced_and_nothing_of_it_believed(
    app: Flask, alice: Browser, settings: Settings, file: Path, new_url: str
) -> None:
    """Sessions that it did not come to have not ended."""
    list(back_up(app.extensions["database"], file, []))
    Path(new_url.removeprefix("sqlite:///")).parent.mkdir()
    target = opened(new_url)
    list(move_records(app.extensions["database"], target, Moved()))
    with target.write() as db:
        begin_copy(db.connection(), "elsewhere")
        db.execute(text("DELETE FROM sessions"))
    target.engine.dispose()
    bring_back(file, new_url, force=True)
    restored = same_browser(at(settings, database_url=new_url), alice)
    assert restored.open("/entries").is_logged_in


@pytest.mark.embedded
def test_what_is_left_of_a_lost_database_gets_out_of_the_way(
    app: Flask, alice: Browser, file: Path, new_url: str
) -> None:
    list(back_up(app.extensions["database"], file, []))
    path = Path(new_url.removeprefix("sqlite:///"))
    path.parent.mkdir()
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").write_bytes(b"of another database")
    with pytest.raises(Refused, match="cannot be read"):
        bring_back(file, new_url)
    bring_back(file, new_url, force=True)
    assert sorted(each.name for each in path.parent.iterdir()) == ["holdfast.db"]
    with opened(new_url).read() as db:
        assert db.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


@pytest.mark.embedded
@pytest.mark.parametrize("damage", [b"", b"not a database", b"SQLite format 3\0cut"])
def test_a_damaged_database_is_replaced_when_forced(
    app: Flask, alice: Browser, file: Path, new_url: str, damage: bytes
) -> None:
    list(back_up(app.extensions["database"], file, []))
    path = Path(new_url.removeprefix("sqlite:///"))
    path.parent.mkdir()
    path.write_bytes(damage)
    with pytest.raises(Refused, match="cannot be read"):
        bring_back(file, new_url)
    bring_back(file, new_url, force=True)
    with opened(new_url).read() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM users").scalar() == 1


@pytest.mark.embedded
def test_a_database_in_use_is_left_alone(
    app: Flask, alice: Browser, file: Path, new_url: str
) -> None:
    list(back_up(app.extensions["database"], file, []))
    bring_back(file, new_url)
    server = opened(new_url)
    with server.read() as connection:
        connection.exec_driver_sql("SELECT 1")
    with pytest.raises(Refused, match="Stop the application"):
        bring_back(file, new_url, force=True)


def test_the_sums_do_not_change_with_the_database(
    app: Flask, alice: Browser, file: Path, new_url: str, tmp_path: Path
) -> None:
    """From --database to SQLite: the manifest speaks of rows, not of bytes."""
    made: list[Any] = []
    alice.keep("note", "1")
    list(back_up(app.extensions["database"], file, made))
    bring_back(file, new_url)
    path = Path(new_url.removeprefix("sqlite:///"))
    assert describe(path, "").checksums == made[0].checksums
