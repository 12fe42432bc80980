"""What is different between two values, line by line."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from itertools import groupby, takewhile

from webapp.pace import Pace
from webapp.weight import count_fitting, weigh_value

# Finding what was moved takes the square of the lines; beyond this it is not looked
# for, and all of one follows all of the other.
MOST_LINES = 500
CONTEXT = 3
# Bytes of HTML that a line takes beside its text.
LINE = 25
# Of JSON: a string, what stands between parts, or a number and the like.
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{},:]|[^][{},:"\s]+')
OPENING, CLOSING, INDENT = ("[", "{"), ("]", "}"), "  "
SIGNS = {"-": "removed", "+": "added", " ": "same"}


@dataclass(frozen=True)
class Line:
    """A line of the comparison; what `is_gap` stands for lines left out."""

    change: str
    text: str = ""

    @property
    def is_gap(self) -> bool:
        return self.change == "gap"


def compare(old: str, new: str, *, is_json: bool = False) -> list[Line]:
    """Return the lines that differ, with some of their neighbours; [] when none do.

    JSON is written anew first: one member a line, whatever it was typed like.
    """
    if is_json:
        old, new = _spread(old), _spread(new)
    before, after = old.split("\n"), new.split("\n")
    if before == after:
        return []
    return list(_lines(before, after))


def beginning_of(lines: list[Line], room: int) -> tuple[list[Line], bool]:
    """Return as many of the lines as have room in a page, and whether some are left.

    The room is in bytes (see `weight`). Lines of one kind take no more than half of
    what is left, so that of much that went and much that came both are seen.
    """
    shown: list[Line] = []
    for _, run in groupby(lines, key=lambda line: line.change):
        if room < 4 * LINE:
            break
        for line in _beginning_of_run(run, room // 2):
            room -= _weigh(line)
            # Where a run was cut there is one already.
            if not (line.is_gap and shown and shown[-1].is_gap):
                shown.append(line)
    if len(shown) < len(lines) and not shown[-1].is_gap:
        shown.append(Line("gap"))
    return shown, shown != lines


def _beginning_of_run(run: Iterator[Line], room: int) -> Iterator[Line]:
    for line in run:
        fitting = count_fitting(line.text, room - LINE, weigh_value)
        if room < LINE or fitting < len(line.text):
            if fitting > 0:
                yield replace(line, text=line.text[:fitting])
            yield Line("gap")
            return
        yield line
        room -= _weigh(line)


def _weigh(line: Line) -> int:
    return LINE + weigh_value(line.text)


def _spread(text: str) -> str:
    """Write JSON with a member a line, and all numbers and names as they stand.

    Read and written by Python 1.10 would be 1.1, and of two names one would be lost.
    """
    written: list[str] = []
    depth, before, pace = 0, "", Pace()
    for token in TOKEN.findall(text):
        opened, closes = before in OPENING, token in CLOSING
        depth -= closes
        if before == "," or opened != closes:
            written.append("\n" + depth * INDENT)
        elif before == ":":
            written.append(" ")
        written.append(_without_escapes(token))
        depth += token in OPENING
        before = token
        pace.tick()
    return "".join(written)


def _without_escapes(token: str) -> str:
    is_escaped = token[0] == '"' and "\\" in token
    return json.dumps(json.loads(token), ensure_ascii=False) if is_escaped else token


def _lines(before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    if max(map(len, _without_ends(before, after))) > MOST_LINES:
        yield from (Line("removed", line) for line in before)
        yield from (Line("added", line) for line in after)
        return
    told = unified_diff(before, after, n=CONTEXT, lineterm="")
    # The first two lines name files.
    for at, line in enumerate(list(told)[2:]):
        if line.startswith("@@"):
            if at:
                yield Line("gap")
        else:
            yield Line(SIGNS[line[0]], line[1:])


def _without_ends(
    before: Sequence[str], after: Sequence[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """Leave out what both begin and end with."""
    start = count_same(before, after)
    before, after = before[start:], after[start:]
    end = count_same(before[::-1], after[::-1])
    return before[: len(before) - end], after[: len(after) - end]


def count_same(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(one, other, strict=False)
    """Count how many are the same from the beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
