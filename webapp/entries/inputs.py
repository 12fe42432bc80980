"""What may be a key and a value, for the page and the API alike."""

import unicodedata
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import from_json

from webapp.entries.models import KEY_LENGTH

Kind = Literal["text", "json"]


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
    if any(unicodedata.category(character) == "Cc" for character in key):
        raise ValueError("Control characters cannot be part of a key.")
    return key


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
        return f"This is not JSON: {reason} at line {line}, column {column}."
    return None


def _count_characters(text: str, line: int, byte: int) -> tuple[int, int]:
    """Return line and column in characters, as people count them, from 1."""
    lines = text.encode().split(b"\n")
    if byte == 0 and line > 1:
        # The end of a line where none may be is reported as the start of the next.
        line, byte = line - 1, len(lines[line - 2]) + 1
    before = lines[line - 1][: max(byte - 1, 0)]
    return line, len(before.decode(errors="ignore")) + 1


class NewValue(BaseModel):
    """A value and how it is to be read; JSON is kept as it was typed."""

    kind: Kind = "text"
    value: Annotated[str, AfterValidator(_check_text)] = ""

    @model_validator(mode="after")
    def _check_json(self) -> Self:
        if self.kind == "json" and (reason := explain_json(self.value)):
            raise ValueError(reason)
        return self


class NewEntry(NewValue):
    """A key and its value."""

    key: Annotated[str, AfterValidator(_check_key)]


def _check_search(words: str) -> str:
    if "\0" in words:
        raise ValueError("No key and no value has a NUL character in it.")
    return words


class ListQuery(BaseModel):
    """Which part of the list: a search, and the entry it goes on from."""

    q: Annotated[
        str, StringConstraints(max_length=KEY_LENGTH), AfterValidator(_check_search)
    ] = ""
    before: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    after: Annotated[int, Field(ge=1, lt=2**63)] | None = None
