"""A session goes on until it is ended, whatever happens to its copy."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from tests.sessions.conftest import HERE, add_user, make_sessions, resume
from webapp.database import Database
from webapp.errors import StoreUnavailable
from webapp.sessions.copies import merge
from webapp.sessions.models import SessionRecord
from webapp.sessions.service import Sessions, Started
from webapp.stores import Store, open_store


def test_a_started_session_is_resumed(sessions: Sessions, started: Started) -> None:
    copy = resume(sessions, started)
    assert copy.user_id == started.copy.user_id
    assert copy.data == {"name": "alice"}


def test_an_unknown_id_is_nobody(sessions: Sessions) -> None:
    assert sessions.resume("x" * 43) is None


def test_the_id_is_stored_nowhere(
    database: Database, store: Store, started: Started
) -> None:
    assert store.get(started.session_id) is None
    assert started.session_id not in str(store.get(started.copy.id_hash))
    with database.write() as db:
        record = db.get(SessionRecord, started.copy.record_id)
        assert started.session_id not in str(vars(record))


def test_a_wiped_store_logs_nobody_out(
    sessions: Sessions, store: Store, started: Started
) -> None:
    store.delete(started.copy.id_hash)
    assert resume(sessions, started).user_id == started.copy.user_id
    assert store.get(started.copy.id_hash) is not None, "the copy is made again"


@pytest.mark.parametrize(
    "garbage", ["text", 5, [], {}, {"user_id": 1}, {"id_hash": "another"}]
)
def test_a_corrupt_copy_is_made_again(
    sessions: Sessions, store: Store, started: Started, garbage: Any
) -> None:
    store.set(started.copy.id_hash, garbage, 60)
    assert resume(sessions, started).user_id == started.copy.user_id


def test_another_sessions_copy_is_not_believed(
    sessions: Sessions, store: Store, started: Started
) -> None:
    other = sessions.start(started.copy.user_id, HERE, name="other")
    store.set(started.copy.id_hash, other.copy.model_dump(), 60)
    assert resume(sessions, started).record_id == started.copy.record_id


def test_an_ended_session_is_over(
    sessions: Sessions, store: Store, started: Started
) -> None:
    sessions.end(started.copy, "logged out")
    assert sessions.resume(started.session_id) is None
    assert store.get(started.copy.id_hash) is None


def test_an_ended_session_is_not_revived_by_a_slow_request(
    sessions: Sessions, store: Store, started: Started
) -> None:
    slow = resume(sessions, started)
    sessions.end(started.copy, "logged out")
    sessions.save(slow, {"name": "alice", "late": True})
    assert store.get(started.copy.id_hash) is None
    assert sessions.resume(started.session_id) is None


def test_a_rebuild_that_a_log_out_overtakes_leaves_no_copy(
    sessions: Sessions,
    store: Store,
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.delete(started.copy.id_hash)
    add = store.add

    def add_after_log_out(*arguments: Any) -> bool:
        sessions.end(started.copy, "logged out")
        return add(*arguments)

    monkeypatch.setattr(store, "add", add_after_log_out)
    sessions.resume(started.session_id)
    assert store.get(started.copy.id_hash) is None


def test_ending_all_ends_all(sessions: Sessions, started: Started) -> None:
    other = sessions.start(started.copy.user_id, HERE)
    assert sessions.end_all(started.copy.user_id, "by the operator") == 2
    assert sessions.resume(started.session_id) is None
    assert sessions.resume(other.session_id) is None


def test_a_copy_that_could_not_be_deleted_is_not_believed(
    database: Database,
    store: Store,
    sessions: Sessions,
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_key: str) -> bool:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", fail)
        patch.setattr(store, "last_trouble", started.copy.checked_at + 1)
        sessions.end(started.copy, "logged out")
    assert store.get(started.copy.id_hash) is not None
    store.last_trouble = started.copy.checked_at + 1
    assert sessions.resume(started.session_id) is None
    store.last_trouble = 0.0
    restarted = make_sessions(database, store)
    assert restarted.resume(started.session_id) is None


@pytest.mark.parametrize("store_url", ["file", "fakeredis", "redis"], indirect=True)
def test_a_copy_is_trusted_for_a_minute_only(
    database: Database, store: Store, user_id: int
) -> None:
    with time_machine.travel("2099-01-01T12:00:00Z", tick=False) as clock:
        sessions = make_sessions(database, store)
        clock.shift(1)
        started = sessions.start(user_id, HERE)
        with database.write() as db:
            db.query(SessionRecord).update({"ended_at": SessionRecord.created_at})
        clock.shift(59)
        assert sessions.resume(started.session_id), "59 s old: believed"
        clock.shift(2)
        assert sessions.resume(started.session_id) is None


def test_without_trust_every_request_looks(
    database: Database, store: Store, user_id: int
) -> None:
    sessions = make_sessions(database, store, trust=timedelta(0))
    started = sessions.start(user_id, HERE)
    with database.write() as db:
        db.query(SessionRecord).update({"ended_at": SessionRecord.created_at})
    assert sessions.resume(started.session_id) is None


@pytest.mark.parametrize("store_url", ["memory", "file"], indirect=True)
def test_idle_and_absolute_timeouts(
    database: Database, store: Store, user_id: int
) -> None:
    with time_machine.travel("2099-01-01T12:00:00Z", tick=False) as clock:
        sessions = make_sessions(
            database, store, idle=timedelta(hours=1), lifetime=timedelta(hours=3)
        )
        clock.shift(1)
        idle, busy = sessions.start(user_id, HERE), sessions.start(user_id, HERE)
        for _ in range(5):
            clock.shift(1800)
            assert sessions.resume(busy.session_id), "in use"
        assert sessions.resume(idle.session_id) is None, "unused for an hour"
        clock.shift(1799)
        assert sessions.resume(busy.session_id), "a second left"
        clock.shift(2)
        assert sessions.resume(busy.session_id) is None, "three hours after log-in"
    with database.read() as db:
        assert set(db.execute(SessionRecord.__table__.select()).mappings().all()[0])
        rows = db.execute(SessionRecord.__table__.select())
        reasons = [row.end_reason for row in rows]
    assert reasons == ["timed out", "timed out"]


@pytest.mark.parametrize("store_url", ["memory", "file"], indirect=True)
def test_the_seen_time_is_written_once_a_minute(
    database: Database, store: Store, user_id: int
) -> None:
    def seen() -> Any:
        with database.read() as db:
            return db.execute(SessionRecord.__table__.select()).one().last_seen_at

    with time_machine.travel("2099-01-01T12:00:00Z", tick=False) as clock:
        sessions = make_sessions(database, store)
        clock.shift(1)
        started = sessions.start(user_id, HERE)
        first = seen()
        for _ in range(5):
            clock.shift(11)
            assert sessions.resume(started.session_id)
        assert seen() == first
        clock.shift(11)
        assert sessions.resume(started.session_id)
        assert round((seen() - first).total_seconds()) == 66


@pytest.mark.parametrize("store_url", ["memory", "file"], indirect=True)
def test_setting_the_clock_back_prolongs_nothing(
    database: Database, store: Store, user_id: int
) -> None:
    with time_machine.travel("2099-01-02T12:00:00Z", tick=False) as clock:
        sessions = make_sessions(database, store)
        started = sessions.start(user_id, HERE)
        clock.shift(timedelta(hours=13))
        assert sessions.resume(started.session_id) is None
        other = sessions.start(user_id, HERE)
        clock.shift(-timedelta(hours=4))
        assert sessions.resume(started.session_id) is None
        assert sessions.resume(other.session_id)
        clock.shift(timedelta(hours=15))
        assert sessions.resume(other.session_id), "11 of 12 hours after"
        clock.shift(timedelta(hours=13))
        assert sessions.resume(other.session_id) is None


def test_parallel_writers_of_different_keys_keep_all(
    sessions: Sessions, started: Started
) -> None:
    copies = [resume(sessions, started) for _ in range(8)]
    start_together = threading.Barrier(8)

    def write(number: int) -> None:
        start_together.wait()
        copy = copies[number]
        sessions.save(copy, copy.data | {f"key {number}": number})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = resume(sessions, started).data
    assert data == {"name": "alice"} | {f"key {n}": n for n in range(8)}


def test_a_save_survives_a_store_that_was_wiped_meanwhile(
    sessions: Sessions, store: Store, started: Started
) -> None:
    copy = resume(sessions, started)
    store.delete(copy.id_hash)
    sessions.save(copy, {"name": "alice", "new": 1})
    assert resume(sessions, started).data["new"] == 1


def test_a_save_that_cannot_be_kept_is_told(
    sessions: Sessions, store: Store, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = resume(sessions, started)

    def fail(*_arguments: Any) -> bool:
        raise StoreUnavailable("full")

    monkeypatch.setattr(store, "replace", fail)
    with pytest.raises(StoreUnavailable):
        sessions.save(copy, {"name": "alice", "cart": [1]})
    sessions.save(copy, {"name": "alice", "_flashes": [["message", "Saved."]]})


def test_rotating_leaves_the_old_id_to_nobody(
    sessions: Sessions, started: Started
) -> None:
    rotated = sessions.rotate(started.copy, {"name": "alice"})
    assert rotated
    assert sessions.resume(started.session_id) is None
    assert resume(sessions, rotated).record_id == started.copy.record_id
    assert sessions.rotate(started.copy, {}) is None, "rotated already"


def test_long_over_sessions_are_forgotten_in_steps(
    database: Database, sessions: Sessions, started: Started
) -> None:
    for _ in range(4):
        sessions.start(started.copy.user_id, HERE)
    assert sessions.purge(100) == 0
    with time_machine.travel("2099-01-01T00:00:00Z"):
        assert [sessions.purge(3) for _ in range(3)] == [3, 2, 0]


MERGES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], Any]] = [
    ("nothing changed", {"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}),
    ("both added", {}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
    ("last wins", {"a": 1}, {"a": 2}, {"a": 3}, {"a": 2}),
    ("removed", {"a": 1}, {}, {"a": 1, "b": 2}, {"b": 2}),
    ("two flashes", {}, {"f": [1]}, {"f": [2]}, {"f": [2, 1]}),
    ("shown and added", {"f": [1]}, {}, {"f": [1, 2]}, {"f": [2]}),
    ("added and shown", {"f": [1]}, {"f": [1, 2]}, {}, {"f": [2]}),
    ("shown twice", {"f": [1]}, {}, {}, {}),
    ("list to text", {"f": [1]}, {"f": "x"}, {"f": [1, 2]}, {"f": "x"}),
]


@pytest.mark.parametrize(
    ("before", "mine", "theirs", "merged"),
    [case[1:] for case in MERGES],
    ids=[case[0] for case in MERGES],
)
def test_merging(
    before: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any], merged: Any
) -> None:
    assert merge(before, mine, theirs) == merged


@pytest.mark.embedded
@pytest.mark.long
@pytest.mark.parametrize("store_url", ["memory"], indirect=True)
def test_2000_live_sessions_on_files_are_all_alive(
    database: Database, tmp_path: Path, sessions: Sessions
) -> None:
    store = open_store((tmp_path / "many").as_uri(), "session")
    sessions = make_sessions(database, store)
    find: Callable[[str], Any] = sessions.resume
    with database.write():
        people = [add_user(database, f"person-{number}") for number in range(100)]
        ids = [sessions.start(who, HERE).session_id for who in people * 20]
    for _ in range(50):
        store.purge(100)
    assert all(find(session_id) for session_id in ids)
