"""Entries as JSON: an array of objects, or what "Download everything" gives.

The file is taken apart by a scanner before any of it is parsed: a parser that is given
10 MB of brackets answers nobody else for a second and takes 600 MB.
"""

import json
import re
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from webapp.entries.found_lines import COLUMNS, Broken, Found, Lines, unknown_of
from webapp.entries.inputs import explain_json
from webapp.pace import Pace

SPACE = re.compile(r"[ \t\n\r]*+")
# A text that does not end is one as well: its second group is empty.
TOKEN = re.compile(
    SPACE.pattern
    + r'("[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[\[\]{},:]|[^ \t\n\r"\[\]{},:]++)',
    re.DOTALL,
)
# "Download everything" has five.
MOST_NAMES = 50
MOST_LEVELS = 200
# A character may be written as \uXXXX.
LONGEST_ESCAPE = 6
MARGIN = 16_384
PART = "entries"
NO_ENTRIES = (
    "This is JSON, and there are no entries in it. There has to be an array of "
    "objects, or an object with such an array as its “entries”."
)


def write_json(entries: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    """Write an array with one entry in each line."""
    before = "["
    for entry in entries:
        given = {name: entry[name] for name in COLUMNS}
        yield f"{before}\n{json.dumps(given, ensure_ascii=False)}"
        before = ","
    yield "\n]\n" if before == "," else "[]\n"


def read_json(text: str, largest: int) -> Iterator[Found]:
    """Find the entries of the file; raises Broken. `largest` is that of a value."""
    scanner = Scanner(text, LONGEST_ESCAPE * largest + MARGIN)
    lines = Lines(text)
    for number, (start, end) in enumerate(scanner.entries(), 1):
        place = f"Line {lines.at(start)}, entry {number}"
        yield _found(place, text[start:end])


def _found(place: str, element: str) -> Found:
    if reason := explain_json(element):
        return Found(place, {}, reason)
    try:
        members = json.loads(element, object_pairs_hook=_only_once)
    except (ValueError, RecursionError) as error:
        return Found(place, {}, str(error))
    if not isinstance(members, dict):
        return Found(place, {}, "This is no object with a “key” and a “value”.")
    if members.pop("missing", None) is not None:
        return Found(
            place,
            members,
            "Its value is not in the file: it was secret and could not be read. Take "
            "this entry out of the file.",
        )
    return Found(place, members, unknown_of(iter(members)))


def _only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("Two of its members have the same name.")
    return members


class Scanner:
    """Where in the text the entries are; what they are it does not look at."""

    def __init__(self, text: str, most: int) -> None:
        self._text = text
        self._most = most
        self._pace = Pace()

    def entries(self) -> Iterator[tuple[int, int]]:
        """Give the start and the end of each; raises Broken."""
        at = self._after_space(0)
        if self._text[at] == "[":
            at = yield from self._elements(at + 1)
        else:
            at = yield from self._entries_of_object(at + 1)
        at = self._after_space(at)
        if at < len(self._text):
            raise self._broken(at, "something after its end")

    def _entries_of_object(self, at: int) -> Generator[tuple[int, int], None, int]:
        found = False
        names = 0
        at, is_end = self._first(at, "}")
        while not is_end:
            names += 1
            name, at = self._name(at)
            if name != PART and names <= MOST_NAMES:
                at = self._end_of_value(at, len(self._text))
            elif name != PART or found or self._text[at : at + 1] != "[":
                raise Broken(self._place(at), NO_ENTRIES)
            else:
                found = True
                at = yield from self._elements(at + 1)
            at, is_end = self._next(at, "}")
        if not found:
            raise Broken(self._place(at - 1), NO_ENTRIES)
        return at

    def _elements(self, at: int) -> Generator[tuple[int, int], None, int]:
        at, is_end = self._first(at, "]")
        while not is_end:
            end = self._end_of_value(at, at + self._most)
            yield at, end
            at, is_end = self._next(end, "]")
        return at

    def _first(self, at: int, closing: str) -> tuple[int, bool]:
        """Go to the first part of an array or object, or behind its end."""
        at = self._after_space(at)
        is_end = self._text[at : at + 1] == closing
        return at + is_end, is_end

    def _next(self, at: int, closing: str) -> tuple[int, bool]:
        at = self._after_space(at)
        sign = self._text[at : at + 1]
        if not sign:
            raise self._broken(at, "its end comes too early")
        if sign not in (",", closing):
            raise self._broken(at, f"neither a comma nor {closing}")
        return (at + 1, True) if sign == closing else (self._after_space(at + 1), False)

    def _name(self, at: int) -> tuple[str, int]:
        """Return the name of a member, and where its value begins."""
        end = self._end_of_value(at, at + self._most)
        after = self._after_space(end)
        if self._text[at] != '"' or self._text[after : after + 1] != ":":
            raise self._broken(at, "no name in double quotes with a colon after it")
        return self._text[at + 1 : end - 1], self._after_space(after + 1)

    def _end_of_value(self, at: int, limit: int) -> int:
        """Return where the value ends that begins there."""
        depth, start = 0, at
        for token in TOKEN.finditer(self._text, at, limit):
            self._pace.tick()
            sign = token[1][0]
            if token.start() != at or (sign == '"' and not token[2]):
                break
            depth += (sign in "[{") - (sign in "]}")
            if depth < 0 or (not depth and sign in ",:"):
                raise self._broken(at, "nothing that JSON knows as a value")
            if depth > MOST_LEVELS:
                raise self._broken(at, f"more than {MOST_LEVELS} levels")
            at = token.end()
            if not depth:
                return at
        raise self._not_closed(start, at)

    def _not_closed(self, start: int, at: int) -> Broken:
        if self._after_space(at) == len(self._text):
            return self._broken(at, "its end comes too early")
        return Broken(
            self._place(start),
            "A text or an object begins here that does not end, or is larger than any "
            "entry can be.",
        )

    def _after_space(self, at: int) -> int:
        found = SPACE.match(self._text, at)
        return found.end() if found else at

    def _broken(self, at: int, what: str) -> Broken:
        return Broken(self._place(at), f"This is not JSON: {what}.")

    def _place(self, at: int) -> str:
        return f"Line {Lines(self._text).at(min(at, len(self._text)))}"
