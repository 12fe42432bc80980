"""A file of entries, line by line: what it says, and all that is wrong with it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from webapp.entries.csv_file import read_csv
from webapp.entries.found_lines import Broken, Found
from webapp.entries.inputs import NewEntry, NewValue
from webapp.entries.json_file import read_json
from webapp.errors import Invalid
from webapp.pace import Pace
from webapp.web import check

MOST_MISTAKES = 30
SPACE = re.compile(r"[ \t\r\n]*+")
BOM = "\ufeff"
NAMES = {"expires_at": "end", "value": "", "key": ""}
NOT_UTF8 = (
    "This is no text in UTF-8. Save the file as “CSV UTF-8”, or take one that was "
    "exported here."
)


@dataclass(frozen=True)
class Mistake:
    """What is wrong, where in the file, and with which key if there is one."""

    place: str
    reason: str
    key: str = ""


class WrongLines(Invalid):
    """The file cannot be taken; `mistakes` has the first of all that are in it."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__(file="Nothing was imported.")
        self.mistakes = mistakes


@dataclass(frozen=True)
class Line:
    """An entry of the file that is right in itself."""

    place: str
    new: NewEntry


class FileCheck:
    """Reads files whose values have at most `largest` bytes.

    `check` raises Invalid for what cannot be kept here, whatever else there is.
    """

    def __init__(
        self, check: Callable[[NewValue], None], *, largest: int, most: int
    ) -> None:
        self._check = check
        self._largest = largest
        self._most = most

    def read(self, data: bytes) -> list[Line]:
        """Return all entries of the file; raises WrongLines."""
        lines: list[Line] = []
        mistakes: list[Mistake] = []
        seen: dict[str, str] = {}
        pace = Pace()
        try:
            for found in self._found(data, pace):
                pace.tick()
                try:
                    lines.append(self._line(found, seen))
                except Invalid as error:
                    mistakes.append(_mistake(found, error))
                self._stop_at_limits(found, lines, mistakes)
        except Broken as broken:
            mistakes.append(Mistake(broken.place, str(broken)))
        if not lines and not mistakes:
            mistakes.append(Mistake("Line 1", "There are no entries in the file."))
        if mistakes:
            raise WrongLines(*mistakes[:MOST_MISTAKES])
        return lines

    def _stop_at_limits(
        self, found: Found, lines: list[Line], mistakes: list[Mistake]
    ) -> None:
        if len(mistakes) > MOST_MISTAKES:
            raise Broken("", "")
        if len(lines) > self._most:
            raise Broken(
                found.place,
                f"At most {self._most:,} entries can be kept by one person.",
            )

    def _found(self, data: bytes, pace: Pace) -> Iterator[Found]:
        try:
            text = data.decode().removeprefix(BOM)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise Broken(f"Line {line}", NOT_UTF8) from None
        pace.tick()
        space = SPACE.match(text)
        start = text[space.end() : space.end() + 1] if space else ""
        if not start:
            raise Broken("Line 1", "The file is empty.")
        if (nul := text.find("\0")) >= 0:
            line = text.count("\n", 0, nul) + 1
            raise Broken(f"Line {line}", "There is a NUL character in it.")
        pace.tick()
        read = read_json if start in "[{" else read_csv
        return read(text, self._largest)

    def _line(self, found: Found, seen: dict[str, str]) -> Line:
        if found.reason:
            raise Invalid(value=found.reason)
        new = check(NewEntry, found.members)
        if "value" not in found.members:
            raise Invalid(value="It has no value.")
        self._check(new)
        if before := seen.get(new.key):
            raise Invalid(key=f"The same key is in the file before: {before.lower()}.")
        seen[new.key] = found.place
        return Line(found.place, new)


def _mistake(found: Found, error: Invalid) -> Mistake:
    reasons = []
    for name, reason in error.fields.items():
        # As in labels.3, the fourth of them.
        member = name.partition(".")[0]
        shown = NAMES.get(member, member)
        reasons.append(f"{shown.capitalize()}: {reason}" if shown else reason)
    key = found.members.get("key")
    return Mistake(found.place, " ".join(reasons), key if isinstance(key, str) else "")
