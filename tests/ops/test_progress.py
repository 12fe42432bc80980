"""How far a long command is, and when it says how long the rest will take."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from webapp.ops.explaining import advance, progress

pytestmark = pytest.mark.embedded

TOTAL = 1000


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with time_machine.travel(0, tick=False) as clock:
        bar = progress(TOTAL, "Moving")
        bar.clock = clock
        yield bar


def go_on(bar: Any, step: int) -> str:
    """Take two seconds for a step; return what is shown."""
    bar.clock.shift(timedelta(seconds=2))
    advance(bar, step)
    return str(bar.format_progress_line())


def test_no_time_is_told_before_anything_was_copied(bar: Any) -> None:
    for step in (0, 0, 1, 50):
        assert ":" not in go_on(bar, step)


def test_the_time_that_is_left_is_told_by_what_was_copied(bar: Any) -> None:
    for _ in range(3):
        go_on(bar, 0)
    go_on(bar, 94)
    # 104 in 10 s leave 896; click takes the mean of its last looks.
    assert "00:01:26" in go_on(bar, 10)
    assert "00:01:02" in go_on(bar, 96)
