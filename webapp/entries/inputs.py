"""What may be a key and a value, for the page and the API alike."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import from_json

from webapp import clock
from webapp.entries.models import KEY_LENGTH, LABEL_LENGTH, MOST_LABELS

# Further away, times of other zones are no times in UTC.
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
# Of JSON Schema.
LABEL_PATTERN = rf"[^,\u0000-\u001f\u007f-\u009f]{{0,{LABEL_LENGTH}}}"
LATEST = datetime(9999, 1, 1, tzinfo=UTC)
Kind = Literal["text", "json"]
# What the parser says, by its beginning, in words for people; the rest is plain enough.
# static/editor.js has the same words.
JSON_MISTAKES = {
    "EOF while parsing": "its end comes too early",
    "expected value": "nothing that JSON knows as a value",
    "expected ident": "nothing that JSON knows as a value",
    "invalid number": "nothing that JSON knows as a value",
    "expected `:`": "no colon after a key",
    "expected `,` or `]`": "no comma and no ]",
    "expected `,` or `}`": "no comma and no }",
    "trailing comma": "a comma too many",
    "trailing characters": "something after its end",
    "key must be a string": "a key without double quotes",
    "control character": "a line break, a tab or the like inside a string",
    "invalid escape": "a backslash before something that needs none",
    "unexpected end of hex escape": "half of a character",
    "lone leading surrogate": "half of a character",
    "recursion limit exceeded": "more than 200 levels, one in the other,",
    "number out of range": "a number with too many digits",
}


def is_legal_key(key: str) -> bool:
    """Tell whether an entry can have this key."""
    try:
        return bool(_check_key(key))
    except ValueError:
        return False


def _check_key(key: str) -> str:
    if not key:
        raise ValueError("Give it a key.")
    if len(key) > KEY_LENGTH:
        raise ValueError(f"Use at most {KEY_LENGTH} characters.")
    if _has_control_characters(key):
        raise ValueError("Control characters cannot be part of a key.")
    return key


def _has_control_characters(text: str) -> bool:
    return any(unicodedata.category(character) == "Cc" for character in text)


def _check_text(value: str) -> str:
    if "\0" in value:
        raise ValueError("A value cannot have a NUL character in it.")
    return value


def explain_json(text: str) -> str | None:
    """Say what keeps the text from being JSON, with line and column; None if nothing.

    Stricter than Python's parser: no NaN, no lone surrogates, 200 levels at most.
    """
    try:
        from_json(text, allow_inf_nan=False)
    except ValueError as error:
        reason, separator, place = str(error).rpartition(" at line ")
        if not separator:
            return f"This is not JSON: {error}."
        line, column = _count_characters(text, *map(int, place.split(" column ")))
        words = _in_words(reason)
        return f"This is not JSON: {words} at line {line}, column {column}."
    return None


def _in_words(reason: str) -> str:
    for start, words in JSON_MISTAKES.items():
        if reason.startswith(start):
            return words
    return reason


def _count_characters(text: str, line: int, byte: int) -> tuple[int, int]:
    """Return line and column in characters, as people count them, from 1."""
    lines = text.encode().split(b"\n")
    if byte == 0 and line > 1:
        # The end of a line where none may be is reported as the start of the next.
        line, byte = line - 1, len(lines[line - 2]) + 1
    before = lines[line - 1][: max(byte - 1, 0)]
    return line, len(before.decode(errors="ignore")) + 1


def _split(labels: object) -> object:
    """Take them as they are typed, with commas between, or as a list."""
    return re.split(r"[,\n]", labels) if isinstance(labels, str) else labels


def _check_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    cleaned = (label.strip() for label in labels)
    unique = tuple(dict.fromkeys(label for label in cleaned if label))
    if len(unique) > MOST_LABELS:
        raise ValueError(f"Use at most {MOST_LABELS} labels.")
    for label in unique:
        if len(label) > LABEL_LENGTH:
            raise ValueError(f"A label can have {LABEL_LENGTH} characters.")
        if "," in label or _has_control_characters(label):
            raise ValueError("A label can have neither commas nor control characters.")
    return unique


def _none_if_empty(when: object) -> object:
    return None if when == "" else when


def _check_end(when: datetime | None) -> datetime | None:
    if when is None:
        return None
    # What a browser's field gives has no zone; the page asks for UTC.
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    if not clock.now() < when < LATEST:
        raise ValueError("Choose a time in the future, or none.")
    return when.astimezone(UTC)


def check_moment(given: object) -> object:
    """Raise ValueError for what is no text, of which pydantic would take numbers."""
    is_moment = given in (None, "") or isinstance(given, datetime)
    if not is_moment and not (isinstance(given, str) and MOMENT.match(given)):
        raise ValueError("Write date and time like 2027-01-31T12:00:00.")
    return given


Labels = Annotated[
    tuple[str, ...],
    BeforeValidator(_split),
    AfterValidator(_check_labels),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "pattern": f"^{LABEL_PATTERN}$"},
            "maxItems": MOST_LABELS,
        }
    ),
]
End = Annotated[
    datetime | None,
    BeforeValidator(check_moment),
    BeforeValidator(_none_if_empty),
    AfterValidator(_check_end),
]


class NewValue(BaseModel):
    """A value and how it is to be read; JSON is kept as it was typed.

    Labels and the end stay as they are where they are not given.
    """

    kind: Kind = "text"
    secret: bool = False
    value: Annotated[str, AfterValidator(_check_text)] = ""
    labels: Labels = ()
    expires_at: End = None

    @model_validator(mode="after")
    def _check_json(self) -> Self:
        if self.kind == "json" and (reason := explain_json(self.value)):
            raise ValueError(reason)
        return self


class NewEntry(NewValue):
    """A key and its value."""

    key: Annotated[str, AfterValidator(_check_key)]


def check_search(words: str) -> str:
    if len(words) > KEY_LENGTH:
        raise ValueError(f"Search for at most {KEY_LENGTH} characters.")
    if "\0" in words:
        raise ValueError("No key and no value has a NUL character in it.")
    return words


class ListQuery(BaseModel):
    """Which part of the list: a search, a label, and the entry it goes on from."""

    q: Annotated[str, AfterValidator(check_search)] = ""
    label: Annotated[str, AfterValidator(check_search)] = ""
    before: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    after: Annotated[int, Field(ge=1, lt=2**63)] | None = None


class LabelQuery(BaseModel):
    """The part of the labels that follows this one."""

    after: Annotated[str, AfterValidator(check_search)] = ""
