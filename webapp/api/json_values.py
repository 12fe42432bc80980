"""JSON read and written so that every number stays as it was typed.

Python would make 1.10 to 1.1, and 1e400 to infinity.
"""

import json
import re
import sys
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from pydantic import BaseModel

from webapp.entries.inputs import explain_json
from webapp.errors import Invalid, NotNumber

# Digits of a number that can be counted with, places from its point, and the largest
# there is: all that other programs write, who know numbers from 5e-324 to 1.8e308. What
# is beyond they take for infinity, or refuse (RFC 8259, 6).
DIGITS = 400
LARGEST = Decimal(sys.float_info.max)
# A string, which may have anything in it, or what stands between parts.
SEPARATOR = re.compile(r'"(?:[^"\\]|\\.)*"|([,:]\s?)')


class RepeatedName(ValueError):
    """An object has a name twice, of which Python would drop one (RFC 8259, 4)."""

    def __init__(self, name: str) -> None:
        written = json.dumps(name, ensure_ascii=False)
        super().__init__(f"The name {written} stands twice")


@dataclass(frozen=True)
class Verbatim:
    """JSON that is to be answered as it stands."""

    text: str


@dataclass(frozen=True)
class Number:
    """A number as it stands in JSON."""

    text: str

    def exact(self) -> Decimal:
        """Return what it is; raises Invalid for one that is too long to count with."""
        try:
            number = Decimal(self.text)
        except InvalidOperation:  # Its exponent has too many digits itself.
            number = Decimal("NaN")
        _, digits, exponent = number.as_tuple()
        is_short = isinstance(exponent, int) and abs(exponent) <= DIGITS
        if not is_short or len(digits) > DIGITS or number.copy_abs() > LARGEST:
            raise Invalid(
                value=f"Only numbers of up to {DIGITS} digits and 1.7e308 can be added."
            )
        return number


def read(body: bytes) -> Any:
    """Return what the body says.

    Raises Invalid where it is not UTF-8, not JSON, or has a name twice in an object.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Invalid(body="The body is not in UTF-8.") from None
    if reason := explain_json(text):
        raise Invalid(body=reason)
    try:
        return parse(text)
    except RepeatedName as error:
        raise Invalid(body=f"{error} in one object.") from None


def parse(text: str) -> Any:
    """Return what the text says, which is JSON; raises RepeatedName."""
    return json.loads(
        text, parse_float=Number, parse_int=Number, object_pairs_hook=_once_each
    )


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, value in pairs:
        if name in named:
            raise RepeatedName(name)
        named[name] = value
    return named


def gap_of(text: str) -> str:
    """Return what is to stand after commas and colons: nothing where some have nothing.

    Written with more spaces than before, a value could be too large for where it was.
    """
    separators = (found[1] for found in SEPARATOR.finditer(text))
    return "" if any(each and not each[1:] for each in separators) else " "


def write(value: Any, gap: str = " ") -> str:
    """Write it as JSON, numbers as they were typed, with a gap between the parts."""
    match value:
        case Number(text) | Verbatim(text):
            return text
        case dict():
            pairs = (
                f"{write(name)}:{gap}{write(each, gap)}" for name, each in value.items()
            )
            return f"{{{f',{gap}'.join(pairs)}}}"
        case list() | tuple():
            return f"[{f',{gap}'.join(write(each, gap) for each in value)}]"
        case datetime():
            return write(value.isoformat().replace("+00:00", "Z"))
        case BaseModel():
            return write(dict(value), gap)
        case _:
            return json.dumps(value, ensure_ascii=False)


def merge(target: Any, patch: Any) -> Any:
    """Apply a JSON Merge Patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, change in patch.items():
        if change is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), change)
    return merged


def add(text: str, by: Decimal) -> str:
    """Add to the number that a JSON text is, without rounding; raises NotNumber."""
    try:
        number = parse(text)
    except RepeatedName:
        number = None
    if not isinstance(number, Number):
        raise NotNumber("Only a JSON number can be incremented.")
    try:
        before = number.exact()
    except Invalid:  # It is what is there that is wrong, not what was asked for.
        raise NotNumber(f"It has more than {DIGITS} digits, or is huge.") from None
    total = Context(prec=4 * DIGITS).add(before, by)
    if total.copy_abs() > LARGEST:
        raise NotNumber("The sum would be beyond 1.7e308, which is infinity to many.")
    return plain(total)


def plain(number: Decimal) -> str:
    """Write a number as JSON has it, without an exponent."""
    return format(number, "f")
