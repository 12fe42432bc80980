"""A session goes on under a new ID, with what other requests of it save meanwhile."""

from typing import Any

import pytest

from tests.sessions.conftest import resume
from webapp.errors import StoreUnavailable
from webapp.sessions.service import Sessions, Started
from webapp.stores import Store


def test_what_another_tab_saved_goes_along_to_the_new_id(
    sessions: Sessions, started: Started
) -> None:
    mine, theirs = resume(sessions, started), resume(sessions, started)
    sessions.save(theirs, {"theirs": 1, "_flashes": [["message", "Saved."]]})
    rotated = sessions.rotate(mine, {"name": "alice", "mine": 1}, confirmed=True)
    assert rotated
    kept = {"mine": 1, "theirs": 1, "_flashes": [["message", "Saved."]]}
    assert rotated.copy.data == resume(sessions, rotated).data == kept


def test_what_is_saved_after_the_rotation_goes_to_the_new_id(
    sessions: Sessions, started: Started, store: Store
) -> None:
    late = resume(sessions, started)
    rotated = sessions.rotate(started.copy, {"name": "alice"})
    sessions.save(late, {"name": "alice", "late": 1})
    assert rotated
    assert resume(sessions, rotated).data == {"name": "alice", "late": 1}
    assert sessions.resume(started.session_id) is None, "the old ID stays nobody's"
    assert not store.get(started.copy.id_hash)


@pytest.mark.parametrize("moment", ["get", "replace", "delete", "add"])
def test_what_is_saved_in_the_middle_of_a_rotation_is_kept(
    sessions: Sessions,
    started: Started,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    late = resume(sessions, started)
    verb = getattr(store, moment)

    def save_first(*arguments: Any) -> Any:
        monkeypatch.setattr(store, moment, verb)
        sessions.save(late, {"name": "alice", "late": 1})
        return verb(*arguments)

    monkeypatch.setattr(store, moment, save_first)
    rotated = sessions.rotate(started.copy, {"name": "alice", "mine": 1})
    assert rotated
    kept = {"name": "alice", "mine": 1, "late": 1}
    assert resume(sessions, rotated).data == kept
    assert sessions.resume(started.session_id) is None


def test_a_rotation_while_the_store_is_away_keeps_the_session(
    sessions: Sessions, store: Store, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> bool:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        for verb in ("get", "add", "replace", "delete"):
            patch.setattr(store, verb, fail)
        rotated = sessions.rotate(started.copy, {"name": "alice"})
        assert rotated
        assert resume(sessions, rotated).record_id == started.copy.record_id
    assert resume(sessions, rotated).record_id == started.copy.record_id
