"""Entries as CSV: RFC 4180, a header line, line ends inside values kept as they are.

Python's reader would not do for a file from anybody: it answers nobody while it makes
ten million columns of one line, and cannot tell where a quote was left open.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from webapp.entries.found_lines import COLUMNS, Broken, Found, Lines, unknown_of
from webapp.pace import Pace

QUOTED = re.compile(r'"([^"]*+(?:""[^"]*+)*+)("?)')
PLAIN = re.compile(r"[^,\r\n]*+")
BLANK_LINES = re.compile(r"[\r\n]*+")
LINE_END = re.compile(r"\r\n|\n|\r")
MOST_COLUMNS = 100
# Cells that say nothing where they are empty; an empty value is one.
OPTIONAL = ("kind", "secret")
NO_HEADER = (
    "The first line has to name the columns, with commas between them, and “key” and "
    f"“value” have to be among them. All there are: {','.join(COLUMNS)}"
)


def write_csv(entries: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    """Write a header line and a line for each entry."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for entry in entries:
        yield out.getvalue()
        out.seek(0)
        out.truncate()
        cells = dict(entry)
        cells["labels"] = ",".join(entry["labels"])
        cells["secret"] = "true" if entry["secret"] else "false"
        writer.writerow([cells[name] for name in COLUMNS])
    yield out.getvalue()


def read_csv(text: str, largest: int) -> Iterator[Found]:
    """Find the entries of the file; raises Broken. `largest` is that of a field."""
    records = _read(text, 2 * largest + 2)
    _, header = next(records)
    names = [name.strip() for name in header]
    if not {"key", "value"} <= set(names):
        raise Broken("Line 1", NO_HEADER)
    if len(set(names)) < len(names):
        raise Broken("Line 1", "Two columns have the same name.")
    if reason := unknown_of(iter(names)):
        raise Broken("Line 1", reason)
    for line, cells in records:
        yield _found(f"Line {line}", names, cells)


def _found(place: str, names: list[str], cells: list[str]) -> Found:
    members = dict(zip(names, cells, strict=False))
    if len(cells) != len(names):
        fields = "1 field" if len(cells) == 1 else f"{len(cells)} fields"
        reason = (
            f"It has {fields} and the first line {len(names)}. A comma or a line break "
            "that belongs to a value needs quotes around the value."
        )
        return Found(place, members, reason)
    given = {
        name: cell for name, cell in members.items() if cell or name not in OPTIONAL
    }
    return Found(place, given)


def _read(text: str, most: int) -> Iterator[tuple[int, list[str]]]:
    """Give each record with the number of its first line."""
    pace, lines = Pace(), Lines(text)
    at = start = 0
    record: list[str] = []
    while True:
        pace.tick()
        cell, at = _cell(text, at, most, lines)
        record.append(cell)
        if text[at : at + 1] == ",":
            at += 1
            if len(record) == MOST_COLUMNS:
                raise Broken(f"Line {lines.at(start)}", "It has too many columns.")
            continue
        if at < len(text) and not LINE_END.match(text, at):
            raise Broken(
                f"Line {lines.at(at)}",
                "After the quote at the end of a field there has to be a comma or the "
                "end of the line. A quote inside a field is written twice.",
            )
        yield lines.at(start), record
        at = start = _after_blank_lines(text, at)
        if at == len(text):
            return
        record = []


def _after_blank_lines(text: str, at: int) -> int:
    found = BLANK_LINES.match(text, at)
    return found.end() if found else at


def _cell(text: str, at: int, most: int, lines: Lines) -> tuple[str, int]:
    """Return the field that begins there, and where it ends."""
    if text[at : at + 1] != '"':
        end = PLAIN.match(text, at)
        assert end is not None  # noqa: S101
        return end[0], end.end()
    # No further than the largest value: whoever waits would wait for all of the file.
    found = QUOTED.match(text, at, at + most)
    assert found is not None  # noqa: S101
    if not found[2]:
        raise Broken(
            f"Line {lines.at(at)}",
            "A field begins with a quote here, and no quote ends it; or it is larger "
            "than any value can be.",
        )
    return found[1].replace('""', '"'), found.end()
