"""The table of faults hides nothing: no failure, no row that was not played."""

from typing import Any

import pytest

from tests.faults.rows import ROWS, table


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (["passed", "passed"], "2 passed"),
        (["passed", "failed"], "2 FAILED"),
        (["skipped", "failed"], "2 FAILED"),
        (["passed", "skipped"], "2 in part"),
        (["skipped"], "1 not run"),
        ([], "0 not run: nothing plays it"),
    ],
)
def test_a_row_says_what_came_of_it(outcomes: list[str], said: str) -> None:
    head, *lines = table([_report("R7", outcome) for outcome in outcomes])
    assert head.split()[:3] == ["row", "fault", "checks"]
    [line] = [line for line in lines if line.startswith("R7 ")]
    assert said in " ".join(line.split())
    assert ("     no tmpfs" in lines) == ("skipped" in outcomes), "and why"
    rows = [line.split()[0] for line in lines if line.startswith("R")]
    assert rows == list(ROWS), "every row, in order"


def test_a_fixture_that_failed_is_a_failure() -> None:
    lines = table([_report("R7", "failed", when="setup")])
    assert any(line.startswith("R7 ") and "FAILED" in line for line in lines)


def test_what_was_measured_is_said_once() -> None:
    reports = [_report("R17", "passed", figure="p99 18 ms") for _ in range(2)]
    assert table(reports).count("     p99 18 ms") == 1


def _report(
    row: str, outcome: Any, when: Any = "call", figure: str = ""
) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid="a test",
        location=("a file", 1, "a test"),
        keywords={},
        outcome=outcome,
        longrepr=("a file", 1, "Skipped: no tmpfs") if outcome == "skipped" else None,
        when=when,
        duration=1.0,
        user_properties=[("fault", row)] + ([("figure", figure)] if figure else []),
    )
