"""The faults by their numbers, and the table of what came of them.

A test file says with `pytestmark = pytest.mark.fault("R7")` what it plays; bin/faults
prints one line for each row, also for those that nothing has played.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

ROWS = {
    "R1": "the store is away at the start",
    "R2": "the store dies under load",
    "R3": "the store is frozen",
    "R4": "the store is full",
    "R5": "the disk is full",
    "R6": "the disk is read-only, forbidden, or no file is left",
    "R7": "the copy of a session is damaged",
    "R8": "the database file is damaged, older or newer",
    "R9": "kill -9 at any moment",
    "R10": "a new release: SIGTERM, SIGHUP, two processes",
    "R11": "logging out beside a request in flight",
    "R12": "two tabs at once",
    "R13": "log-in, log-out, password change and revoking race",
    "R14": "robots",
    "R15": "a million sessions",
    "R16": "hostile input",
    "R17": "slow clients",
    "R18": "a flood of log-ins",
    "R19": "the clock jumps",
    "R20": "a key is changed, lost or too short",
    "R21": "backup under load, restore elsewhere",
    "R22": "a stored hash of extreme cost",
    "R23": "a database cut off or locked",
}
ELSEWHERE = {"R15": "bin/bench sessions"}


@dataclass
class Outcome:
    """What came of the tests that play one row."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    seconds: float = 0.0
    remarks: list[str] = field(default_factory=list)

    def add(self, report: pytest.TestReport) -> None:
        self.seconds += report.duration
        if report.when == "call" or report.outcome != "passed":
            self.counts[report.outcome] += 1
        if report.when == "call":
            self.remarks += [
                str(value) for name, value in report.user_properties if name == "figure"
            ]
        if report.skipped and isinstance(report.longrepr, tuple):
            self.remarks.append(report.longrepr[2].removeprefix("Skipped: "))

    @property
    def verdict(self) -> str:
        if self.counts["failed"]:
            return "FAILED"
        if self.counts["skipped"]:
            return "in part" if self.counts["passed"] else "not run"
        return "passed"


def outcomes(reports: Iterable[pytest.TestReport]) -> dict[str, Outcome]:
    """Sort the reports by the rows that their tests play."""
    found: dict[str, Outcome] = defaultdict(Outcome)
    for report in reports:
        for name, row in report.user_properties:
            if name == "fault":
                found[str(row)].add(report)
    return found


def table(reports: Iterable[pytest.TestReport]) -> list[str]:
    """Return a line for each row, and under it what was measured or why not."""
    found = outcomes(reports)
    lines = [f"{'row':4} {'fault':54} {'checks':>6} {'':8} {'s':>5}"]
    for row, fault in ROWS.items():
        outcome = found.get(row)
        if not outcome:
            where = ELSEWHERE.get(row, "nothing plays it")
            lines.append(f"{row:4} {fault:54} {0:6} not run: {where}")
            continue
        checks = sum(outcome.counts.values())
        lines.append(
            f"{row:4} {fault:54} {checks:6} {outcome.verdict:8} {outcome.seconds:5.0f}"
        )
        lines += [f"{'':5}{remark}" for remark in dict.fromkeys(outcome.remarks)]
    return lines
