"""Another process has SQLite's file: only who has something to write waits for it."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.people import Tab, Timed, at_once, new_name, percentile
from tests.servers import Gunicorn

pytestmark = [pytest.mark.alone, pytest.mark.fault("R23")]

# An answer that has something to write, and one that has only to note that it was asked
# for, which is left out after 0.2 s.
LONGEST, USUAL = 2.3, 0.5
# Longer than it takes until something is due to be purged.
HELD = 5.0
WRITERS = 6


def test_who_reads_is_not_held_up_by_a_process_that_writes(
    server: Gunicorn, record_property: Any
) -> None:
    # Of a session that ends so soon it is noted each three seconds that it is used.
    server.settings["SESSION_IDLE"] = "12s"
    server.start()
    writers = [Tab(server).sign_up(new_name()) for _ in range(WRITERS)]
    reader = Tab(server).sign_up(new_name())
    assert writers[0].keep("before").status_code == 303
    # The first look loads the names of devices.
    assert reader.get("/sessions").status_code == 200
    with (
        _held(Path(server.settings["DATA_DIR"]) / "holdfast.db"),
        Timed(lambda: _fine(reader.get("/entries"))) as reading,
    ):
        begin = time.monotonic()
        kept = at_once(*[lambda tab=tab: tab.keep("meanwhile") for tab in writers])
        time.sleep(max(0.0, begin + HELD - time.monotonic()))
    assert {answer.status_code for answer in kept} == {503}
    assert all("Retry-After" in answer.headers for answer in kept)
    slowest = max(answer.elapsed.total_seconds() for answer in kept)
    p99 = percentile(reading.times, 0.99)
    record_property("figure", f"sqlite: held up {slowest:.1f} s, others {p99:.3f} s")
    assert slowest < LONGEST
    assert max(reading.times) < USUAL
    assert server.has_logged("The time a session was seen was not kept")
    for tab in writers:
        assert tab.get("/entries/meanwhile").status_code == 404
        assert tab.keep("after").status_code == 303


@contextmanager
def _held(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def _fine(answer: Any) -> None:
    assert answer.status_code == 200, answer.text
