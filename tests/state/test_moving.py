"""Records, session data and cached values in another place; nobody is logged out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from config.mistakes import RefusedToStart
from config.settings import Settings, load_settings
from tests.browser import PASSWORD, Browser
from tests.databases import DatabaseServer
from webapp import create_app
from webapp.accounts.inputs import NewAccount
from webapp.database import Database
from webapp.ops.state_commands import shown
from webapp.state import tables
from webapp.state.census import SAME_KEY
from webapp.state.copied import last_move
from webapp.state.moving import Moved, check_target, move_records
from webapp.state.places import Places
from webapp.state.restore import sqlite_file
from webapp.state.tables import checksums, snapshot

Operator = Callable[..., str]

WEB = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """The URL of a database that is not there yet."""
    return f"sqlite:///{tmp_path / 'elsewhere.db'}"


def at(settings: Settings, **changed: str) -> Flask:
    """The application with something in another place."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return create_app(load_settings(**given | changed))


def same_browser(app: Flask, browser: Browser) -> Browser:
    """Take the browser with its cookies to another run of the application."""
    client = app.test_client()
    client.set_cookie("session", browser.client.get_cookie("session").value)
    return Browser(client, browser.name)


@pytest.fixture(autouse=True)
def _nobody_is_connected(database_server: DatabaseServer | None) -> None:
    """What other tests left connected looks like a part of the application."""
    if database_server:
        database_server.leave()


def opened(url: str) -> Database:
    """Open it with the tables of this release."""
    database = Database(load_settings(database_url=url).database)
    database.upgrade()
    return database


def sums(url: str) -> dict[str, str]:
    with snapshot(opened(url).engine) as connection:
        return checksums(connection)


def test_records_are_elsewhere_and_all_are_still_logged_in(
    alice: Browser, settings: Settings, operator: Operator, elsewhere: str
) -> None:
    alice.keep("grüße", "ß\n€ 😀").keep("note", '{"a": [1, null]}', kind="json")
    said = operator(f"state move records {elsewhere}")
    assert f"set DATABASE_URL to {elsewhere} and" in said
    moved = same_browser(at(settings, database_url=elsewhere), alice)
    assert moved.open("/entries").is_logged_in
    assert moved.value("grüße") == "ß\n€ 😀"
    assert moved.keep("later", "2").status == 200


def test_there_and_back_again_every_row_is_the_same(
    app: Flask, alice: Browser, bob: Browser, elsewhere: str
) -> None:
    """From SQLite, PostgreSQL or MariaDB (see --database) to SQLite, and back."""
    alice.keep("one", "1").keep("two", "2")
    bob.keep("one", "his")
    here: Database = app.extensions["database"]
    there = opened(elsewhere)
    list(move_records(here, there, Moved()))
    before = sums(elsewhere)
    alice.submit("/entries/one/edit", value="changed")
    alice.submit("/entries/two/delete", version=_version(alice, "two"))
    bob.keep("three", "3")
    back = Moved()
    list(move_records(there, here, back))
    assert back.differing == []
    with snapshot(here.engine) as connection:
        assert checksums(connection) == before


def _version(browser: Browser, key: str) -> str:
    page = browser.open(f"/entries/{key}/delete").tree
    return str(page.xpath("//input[@name='version']/@value")[0])


def test_a_move_that_was_interrupted_goes_on_and_takes_what_has_changed(
    app: Flask, alice: Browser, operator: Operator, elsewhere: str
) -> None:
    alice.keep("first", "1")
    source: Database = app.extensions["database"]
    interrupted(source, opened(elsewhere), steps=3)
    alice.keep("second", "2")
    operator(f"state move records {elsewhere}")
    with snapshot(source.engine) as connection:
        assert checksums(connection) == sums(elsewhere)


def interrupted(source: Database, target: Database, steps: int = 1) -> None:
    """Move some of it, as if the process was killed then."""
    moving: Any = move_records(source, target, Moved())
    for _ in range(steps):
        next(moving)
    moving.close()
    target.engine.dispose()


def test_no_application_starts_where_a_move_was_not_finished(
    app: Flask, alice: Browser, settings: Settings, operator: Operator, elsewhere: str
) -> None:
    source, target = app.extensions["database"], opened(elsewhere)
    interrupted(source, target)
    with pytest.raises(RefusedToStart, match="was not finished") as refused:
        at(settings, database_url=elsewhere)
    said = str(refused.value)
    assert said.startswith(f"DATABASE_URL: {target.place} has only a part")
    assert f"a move from {source.place} was" in said
    assert "Run `flask state move records` again" in said
    assert "\n" not in said
    operator(f"state move records {elsewhere}")
    moved = at(settings, database_url=elsewhere)
    assert same_browser(moved, alice).open("/entries").is_logged_in


def test_nobody_finds_less_than_a_part_where_a_move_has_begun(
    app: Flask, alice: Browser, settings: Settings, elsewhere: str
) -> None:
    """The note is there before the first row is."""
    moving: Any = move_records(app.extensions["database"], opened(elsewhere), Moved())
    next(moving)
    moving.close()
    with opened(elsewhere).read() as connection:
        counted = connection.exec_driver_sql("SELECT count(*) FROM users").scalar()
    assert counted == 0
    with pytest.raises(RefusedToStart, match="was not finished"):
        at(settings, database_url=elsewhere)


@pytest.mark.parametrize("is_finished", [True, False])
def test_an_account_that_was_deleted_between_two_runs_is_no_obstacle(
    app: Flask, alice: Browser, bob: Browser, elsewhere: str, is_finished: bool
) -> None:
    source, target = app.extensions["database"], opened(elsewhere)
    list(move_records(source, target, Moved()))
    alice.open("/entries")
    if not is_finished:
        interrupted(source, target)
    app.extensions["accounts"].remove(2)
    check_target(source, target)
    moved = Moved()
    list(move_records(source, target, moved))
    assert moved.differing == []


def test_what_an_earlier_release_did_on_a_part_is_not_undone_unasked(
    app: Flask, alice: Browser, settings: Settings, operator: Operator, elsewhere: str
) -> None:
    """It does not know the note."""
    operator(f"state move records {elsewhere}")
    moved = at(settings, database_url=elsewhere)
    interrupted(app.extensions["database"], opened(elsewhere))
    moved.extensions["places"].begin()
    assert "--force" in operator(f"state move records {elsewhere}", status=1)


def test_a_key_that_went_to_a_much_later_row_is_no_obstacle(
    app: Flask, alice: Browser, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The target still has it at the early row when the later one is copied."""
    monkeypatch.setattr("webapp.state.tables.LONG_STEP", 3)
    here, there = app.extensions["database"], opened(elsewhere)
    for number in range(8):
        alice.keep(f"key-{number}", "1")
    list(move_records(here, there, Moved()))
    alice.submit("/entries/key-0/delete", version=_version(alice, "key-0"))
    alice.keep("key-0", "2")
    before = Moved()
    list(move_records(there, opened(f"{elsewhere}2"), Moved()))
    list(move_records(here, opened(f"{elsewhere}2"), before))
    assert before.differing == []
    after = Moved()
    list(move_records(there, here, after))
    assert after.differing == []


def test_who_was_made_there_is_not_taken_for_somebody_of_the_same_number(
    app: Flask, settings: Settings, operator: Operator, elsewhere: str
) -> None:
    """By a command, which leaves no session and no mark."""
    operator(f"state move records {elsewhere}")
    moved = at(settings, database_url=elsewhere)
    for place, name in ((moved, "carol"), (app, "dave")):
        account = NewAccount(name=name, password=PASSWORD)
        place.extensions["accounts"].create(account)
    assert "1 accounts that" in operator(f"state move records {elsewhere}", 1)


@pytest.mark.parametrize(
    ("what", "url", "said"),
    [
        ("records", "postgres://anna@db/x", "postgres://anna@db/x"),
        (
            "records",
            "postgres://anna:secret@db:5432/x",
            "postgres://anna:***@db:5432/x",
        ),
        ("records", "postgres://db/x?password=sec@ret", "postgres://db/x?***"),
        ("records", "sqlite:////data/x.db", "sqlite:////data/x.db"),
        ("sessions", "redis://:sec@ret@host/0", "redis://***@host/0"),
        ("cache", "redis://one:1,two:2/service", "redis://one:1,two:2/service"),
    ],
)
def test_a_url_is_said_without_its_password(what: str, url: str, said: str) -> None:
    assert shown(what, url) == said


def test_people_whom_only_the_new_place_knows_are_not_deleted_unasked(
    app: Flask, alice: Browser, settings: Settings, operator: Operator, elsewhere: str
) -> None:
    """A shell without its settings would put an old file over what is used."""
    operator(f"state move records {elsewhere}")
    moved = at(settings, database_url=elsewhere)
    Browser(moved.test_client(), "carol").sign_up()
    said = operator(f"state move records {elsewhere}", status=1)
    assert "1 accounts that" in said
    assert Browser(moved.test_client(), "carol").log_in().is_logged_in
    operator(f"state move records {elsewhere} --force")
    assert not Browser(moved.test_client(), "carol").log_in().is_logged_in


def keep(browser: Browser) -> None:
    browser.keep("later", "1")


def log_out(browser: Browser) -> None:
    browser.log_out()


def revoke(browser: Browser) -> None:
    browser.open("/sessions").send(action="/sessions/end-others")


def delete(browser: Browser) -> None:
    version = _version(browser, "note")
    browser.submit("/entries/note/delete", version=version)


@pytest.mark.parametrize("use", [keep, log_out, revoke, delete])
def test_what_was_written_at_the_new_place_is_not_undone_unasked(
    alice: Browser,
    settings: Settings,
    operator: Operator,
    elsewhere: str,
    use: Callable[[Browser], None],
) -> None:
    alice.keep("note", "1")
    Browser(alice.client.application.test_client(), "alice").log_in()
    operator(f"state move records {elsewhere}")
    moved = at(settings, database_url=elsewhere)
    moved.extensions["places"].begin()
    use(same_browser(moved, alice))
    before = sums(elsewhere)
    said = operator(f"state move records {elsewhere}", status=1)
    assert "was written to after" in said
    assert sums(elsewhere) == before


def test_a_log_out_at_the_new_place_is_a_sign_of_use_without_a_start(
    alice: Browser, settings: Settings, operator: Operator, elsewhere: str
) -> None:
    operator(f"state move records {elsewhere}")
    same_browser(at(settings, database_url=elsewhere), alice).log_out()
    assert "--force" in operator(f"state move records {elsewhere}", status=1)


def test_a_place_that_served_before_it_was_copied_to_is_no_obstacle_twice(
    alice: Browser, settings: Settings, operator: Operator, elsewhere: str
) -> None:
    """Back to where the records were once, in two runs."""
    moved = at(settings, database_url=elsewhere)
    moved.extensions["places"].begin()
    assert "--force" in operator(f"state move records {elsewhere}", status=1)
    operator(f"state move records {elsewhere} --force")
    moved.extensions["places"].end()
    alice.keep("meanwhile", "1")
    operator(f"state move records {elsewhere}")


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sessions memory://", "a process's memory"),
        ("cache redis://127.0.0.1:1/0", "refused"),
        ("sessions file://{data}/sessions", "That is where the session data is"),
        ("records sqlite:///{data}/holdfast.db", "That is where the records are"),
    ],
)
def test_a_place_that_can_take_nothing_is_no_success(
    settings: Settings, operator: Operator, command: str, words: str
) -> None:
    said = operator(f"state move {command.format(data=settings.data_dir)}", status=1)
    assert words in said
    assert "All of it" not in said


def respelled(settings: Settings) -> str:
    """The URL of the database in force as somebody else would write it."""
    file = sqlite_file(settings.database)
    if file is None:
        return settings.database.replace("127.0.0.1", "localhost")
    link = file.parent.parent / "link"
    link.symlink_to(file.parent)
    return f"sqlite:///{link}/../link/{file.name}"


@pytest.mark.parametrize("force", ["", "--force"])
def test_records_are_not_moved_onto_themselves_however_that_is_spelled(
    app: Flask, alice: Browser, settings: Settings, operator: Operator, force: str
) -> None:
    alice.keep("note", "safe")
    said = operator(f"state move records {respelled(settings)} {force}", status=1)
    assert said == "Error: That is where the records are.\n"
    with app.extensions["database"].read() as connection:
        assert last_move(connection) is None
    assert alice.value("note") == "safe"


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("what", "setting", "folder"),
    [("sessions", "session_url", "cache"), ("cache", "cache_url", "sessions")],
)
def test_no_two_stores_are_moved_into_one_folder(
    settings: Settings, operator: Operator, what: str, setting: str, folder: str
) -> None:
    url = (settings.data_dir / folder).as_uri()
    said = operator(f"state move {what} {url}", status=1)
    with pytest.raises(RefusedToStart, match="another folder") as refused:
        at(settings, **{setting: url})
    assert said == f"Error: {refused.value}\n"


@pytest.mark.embedded
@pytest.mark.parametrize("what", ["sessions", "cache"])
def test_a_store_is_not_moved_onto_itself_through_a_link(
    settings: Settings, alice: Browser, operator: Operator, what: str
) -> None:
    link = settings.data_dir.parent / "link"
    link.symlink_to(settings.data_dir)
    said = operator(f"state move {what} file://{link}/{what}", status=1)
    assert "That is where the" in said


@pytest.mark.embedded
def test_a_redis_is_not_moved_onto_itself_by_another_name(
    settings: Settings, real_redis: str
) -> None:
    app = at(settings, redis_url=real_redis)
    url = real_redis.replace("127.0.0.1", "localhost")
    for what in ("sessions", "cache"):
        done = app.test_cli_runner().invoke(args=["state", "move", what, url])
        assert done.exit_code == 1
        assert "That is where the" in done.output
    places: Places = app.extensions["places"]
    assert places.stores[0].get(SAME_KEY) is None


def test_whoever_writes_meanwhile_is_not_forgotten(
    app: Flask, alice: Browser, elsewhere: str
) -> None:
    target = opened(elsewhere)
    moved = Moved()
    for _ in move_records(app.extensions["database"], target, moved):
        if not moved.rows:
            alice.keep(f"meanwhile-{id(object())}", "x")
            moved.rows = {"begun": 1}
    assert moved.is_behind
    assert moved.differing == []


def test_what_a_server_writes_until_it_stops_is_not_forgotten(
    app: Flask, alice: Browser, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops right before somebody looks whether it still runs."""

    def stopped(_source: Database) -> str:
        alice.keep("last", "x")
        return ""

    monkeypatch.setattr("webapp.state.moving.why_in_use", stopped)
    moved = Moved()
    list(move_records(app.extensions["database"], opened(elsewhere), moved))
    assert moved.is_behind


def test_the_operator_is_told_to_stop_and_run_it_again(
    alice: Browser, operator: Operator, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def behind(_source: Database, _target: Database, moved: Moved) -> list[int]:
        moved.is_behind = True
        return [1]

    monkeypatch.setattr("webapp.ops.state_commands.move_records", behind)
    said = operator(f"state move records {elsewhere}", status=2)
    assert "Stop the application and run this again" in said


def test_a_place_that_is_in_use_is_moved_in_two_runs(
    alice: Browser, settings: Settings, operator: Operator, elsewhere: str
) -> None:
    """Nobody writes while it is copied, but somebody can afterwards."""
    alice.keep("first", "1")
    server = Database(settings.database)
    with server.read() as connection:
        connection.exec_driver_sql("SELECT name FROM marks")
        said = operator(f"state move records {elsewhere}", status=2)
        assert "open" in said
        assert server.place in said
        assert "Stop the application and run this again" in said
        assert "All of it" not in said
    server.engine.dispose()
    alice.keep("second", "2")
    said = operator(f"state move records {elsewhere}")
    assert "All of it is there" in said
    is_certain = server.engine.dialect.name == "sqlite"
    assert ("Stop the application" in said) != is_certain
    with snapshot(opened(settings.database).engine) as connection:
        assert checksums(connection) == sums(elsewhere)


def test_an_id_is_not_given_again_at_the_new_place(
    app: Flask, alice: Browser, settings: Settings, operator: Operator, elsewhere: str
) -> None:
    alice.keep("kept", "1").keep("deleted", "2")
    highest = _highest_id(app)
    alice.submit("/entries/deleted/delete", version=_version(alice, "deleted"))
    operator(f"state move records {elsewhere}")
    moved = at(settings, database_url=elsewhere)
    same_browser(moved, alice).keep("new", "3")
    assert _highest_id(moved) == highest + 1


def _highest_id(app: Flask) -> int:
    with app.extensions["database"].read() as connection:
        statement = "SELECT max(id) FROM entries"
        return int(connection.exec_driver_sql(statement).scalar())


@pytest.mark.embedded
@pytest.mark.parametrize("kept", ["redis", "file"])
def test_session_data_is_elsewhere(
    alice: Browser,
    settings: Settings,
    operator: Operator,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    kept: str,
) -> None:
    url = (tmp_path / "new").as_uri()
    if kept == "redis":
        url = request.getfixturevalue("fake_redis")
    with alice.client.session_transaction() as session:
        session["theme"] = "dark"
    alice.open("/entries")
    said = operator(f"state move sessions {url}")
    assert "session copies                  1" in said
    moved = same_browser(at(settings, session_url=url), alice)
    assert moved.open("/entries").is_logged_in
    with moved.client.session_transaction() as session:
        assert session["theme"] == "dark"


@pytest.mark.embedded
def test_a_session_that_ended_is_not_taken_along(
    app: Flask, alice: Browser, bob: Browser, operator: Operator, tmp_path: Path
) -> None:
    alice.log_out()
    said = operator(f"state move sessions {(tmp_path / 'new').as_uri()}")
    assert "session copies                  1" in said


@pytest.mark.embedded
def test_later_session_data_at_the_new_place_stays(
    alice: Browser, settings: Settings, operator: Operator, tmp_path: Path
) -> None:
    url = (tmp_path / "new").as_uri()
    operator(f"state move sessions {url}")
    moved = same_browser(at(settings, session_url=url), alice)
    moved.open("/entries")
    with moved.client.session_transaction() as session:
        session["theme"] = "dark"
    operator(f"state move sessions {url}")
    with moved.client.session_transaction() as session:
        assert session["theme"] == "dark"


@pytest.mark.embedded
def test_cached_values_are_elsewhere_and_still_of_now(
    alice: Browser, settings: Settings, operator: Operator, tmp_path: Path
) -> None:
    alice.keep("note", "cached").open("/entries").open("/entries")
    url = (tmp_path / "new").as_uri()
    assert "cached values                   1" in operator(f"state move cache {url}")
    moved = same_browser(at(settings, cache_url=url), alice)
    assert "cached" in moved.open("/entries").text
    moved.keep("other", "newer")
    assert "newer" in moved.open("/entries").text


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("records redis://localhost", "a URL that starts with one of sqlite://"),
        ("sessions sqlite:///x", "a URL that starts with one of memory://"),
        ("records postgres://me:secret@127.0.0.1:1/x", "refused"),
    ],
)
def test_a_wrong_url_is_one_line_without_its_password(
    operator: Operator, command: str, words: str
) -> None:
    said = operator(f"state move {command}", status=1)
    assert words in said
    assert "secret" not in said
    assert said.startswith("Error: ")


def test_of_tables_with_large_values_few_rows_are_read_at_a_time() -> None:
    names = {
        table.name
        for table in tables.tables()
        if tables._step(table) == tables.LONG_STEP
    }
    large = {"entries", "past_values", "entry_imports", "entry_import_parts"}
    assert large <= names
    assert "sessions" not in names
