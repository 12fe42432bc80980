"""What a start can prove by the marks of the start before it."""

import os
import subprocess
from typing import Any

import pytest
from flask import Flask

from webapp.database import Database
from webapp.errors import StoreUnavailable
from webapp.state.marks import KEY, InDatabase, InStore, Keeper, Marks, Run, this_run
from webapp.stores import Store

GONE_PID = 2**22 + 1


@pytest.fixture
def session_store(app: Flask) -> Store:
    return app.extensions["stores"][0]  # type: ignore[no-any-return]


@pytest.fixture
def keepers(app: Flask, session_store: Store) -> dict[str, Keeper]:
    database: Database = app.extensions["database"]
    return {"records": InDatabase(database), "session data": InStore(session_store)}


def run(**changed: Any) -> Run:
    """Describe a process that is gone, on this host, of this release."""
    return this_run("one").model_copy(update={"pid": GONE_PID, "born": 0} | changed)


def begin(keepers: dict[str, Keeper], **changed: Any) -> dict[str, set[str]]:
    """Start; return what is proven of each place."""
    marks = Marks(keepers, run(**changed)).begin()
    return {state: set(mark.proven) for state, mark in marks.items()}


def everywhere(*proven: str) -> dict[str, set[str]]:
    return {"records": set(proven), "session data": set(proven)}


def test_the_first_start_proves_nothing(keepers: dict[str, Keeper]) -> None:
    assert begin(keepers) == everywhere()


def test_a_process_that_ended_in_order_proves_a_restart(
    keepers: dict[str, Keeper],
) -> None:
    first = Marks(keepers, run())
    first.begin()
    first.end()
    assert begin(keepers) == everywhere("restart")


def test_a_process_that_died_without_a_word_proves_a_crash(
    keepers: dict[str, Keeper],
) -> None:
    begin(keepers)
    assert begin(keepers) == everywhere("restart", "crash")


def test_a_machine_that_went_down_proves_a_crash_whatever_has_its_number_now(
    keepers: dict[str, Keeper],
) -> None:
    begin(keepers, boot="before", pid=os.getppid())
    assert begin(keepers) == everywhere("restart", "crash")


def test_a_process_that_is_alive_proves_nothing(keepers: dict[str, Keeper]) -> None:
    begin(keepers, pid=os.getppid())
    assert begin(keepers, release="two") == everywhere()


def test_a_process_that_died_and_waits_for_its_parent_proves_a_crash(
    keepers: dict[str, Keeper],
) -> None:
    with subprocess.Popen(["true"]) as process:  # noqa: S607
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        begin(keepers, pid=process.pid)
        assert begin(keepers) == everywhere("restart", "crash")


def test_a_process_whose_number_another_has_now_proves_a_crash(
    keepers: dict[str, Keeper],
) -> None:
    begin(keepers, pid=os.getppid(), born=1)
    assert begin(keepers) == everywhere("restart", "crash")


def test_one_on_another_host_proves_nothing_before_it_has_ended(
    keepers: dict[str, Keeper],
) -> None:
    elsewhere = Marks(keepers, run(host="elsewhere"))
    elsewhere.begin()
    assert begin(keepers) == everywhere()
    elsewhere.begin()
    elsewhere.end()
    assert begin(keepers) == everywhere("restart", "redeploy")


def test_another_release_proves_a_redeploy(keepers: dict[str, Keeper]) -> None:
    begin(keepers)
    assert begin(keepers, release="two") == everywhere("restart", "crash", "redeploy")


def test_a_release_that_began_beside_the_old_one_is_proven_when_that_ends(
    keepers: dict[str, Keeper],
) -> None:
    old = Marks(keepers, run(pid=os.getppid()))
    old.begin()
    new = Marks(keepers, run(release="two"))
    new.begin()
    old.end()
    found = {state: set(mark.proven) for state, mark in new.read().items() if mark}
    assert found == everywhere("restart", "redeploy")


def test_what_was_proven_once_stays_proven(keepers: dict[str, Keeper]) -> None:
    begin(keepers)
    begin(keepers, pid=os.getppid())
    assert begin(keepers) == everywhere("restart", "crash")


def test_a_place_that_was_emptied_is_missed(
    keepers: dict[str, Keeper], session_store: Store
) -> None:
    begin(keepers)
    session_store.delete(KEY)
    marks = Marks(keepers, run()).begin()
    assert marks["session data"].lost_at
    assert marks["records"].lost_at is None
    assert set(marks["records"].proven) == {"restart", "crash"}


def test_another_place_than_before_is_not_missed(
    keepers: dict[str, Keeper], session_store: Store
) -> None:
    begin(keepers)
    session_store.delete(KEY)
    keepers["session data"].place = "somewhere else"
    assert Marks(keepers, run()).begin()["session data"].lost_at is None


def test_nobody_misses_what_could_not_be_left(
    keepers: dict[str, Keeper], session_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise StoreUnavailable("full")

    with monkeypatch.context() as full:
        full.setattr(session_store, "set", fail)
        assert begin(keepers) == {"records": set()}
    assert Marks(keepers, run()).begin()["session data"].lost_at is None


@pytest.mark.parametrize("rubbish", [{}, [1], "mark", {"run": {"pid": "x"}}])
def test_what_is_no_mark_proves_nothing(
    keepers: dict[str, Keeper], session_store: Store, rubbish: Any
) -> None:
    begin(keepers)
    session_store.set(KEY, rubbish, 0)
    assert begin(keepers)["session data"] == set()


def test_a_later_start_takes_over_and_the_first_one_cannot_end_it(
    keepers: dict[str, Keeper],
) -> None:
    first, second = Marks(keepers, run()), Marks(keepers, run())
    first.begin()
    second.begin()
    first.end()
    assert begin(keepers) == everywhere("restart", "crash")
