"""What the API takes and gives: requests are checked by it, OpenAPI is made of it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
    model_validator,
)

from webapp.api.json_values import Number
from webapp.entries.inputs import (
    End,
    Labels,
    check_moment,
    check_search,
    is_legal_key,
)
from webapp.entries.models import KEY_LENGTH
from webapp.errors import Invalid

# Of JSON Schema: characters of a key, and those of everything.
LEGAL, NO_NUL = r"[^\u0000-\u001f\u007f-\u009f]", r"[^\u0000]"
TEXT = {"type": "string", "pattern": f"^{NO_NUL}*$"}
MOST_LISTED = 100
MOST_IN_BATCH = 100
# Prepared when the first request asks for it and not at each start.
DEFERRED = ConfigDict(defer_build=True)


def _check_key(key: str) -> str:
    if not is_legal_key(key):
        raise ValueError(
            f"A key has 1 to {KEY_LENGTH} characters, and no control characters."
        )
    return key


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("That is further away than the calendar goes.") from None


def _read_number(value: Any) -> Decimal:
    if not isinstance(value, Number):
        raise ValueError("This should be a number.")  # noqa: TRY004
    try:
        return value.exact()
    except Invalid as error:
        raise ValueError(str(error)) from None


KeyName = Annotated[
    str,
    AfterValidator(_check_key),
    WithJsonSchema({"type": "string", "pattern": f"^{LEGAL}{{1,{KEY_LENGTH}}}$"}),
]
Words = Annotated[
    str,
    AfterValidator(check_search),
    WithJsonSchema({"type": "string", "pattern": f"^{NO_NUL}{{0,{KEY_LENGTH}}}$"}),
]
Moment = Annotated[
    AwareDatetime, BeforeValidator(check_moment), AfterValidator(_to_utc)
]
Amount = Annotated[
    Decimal, BeforeValidator(_read_number), WithJsonSchema({"type": "number"})
]
ETag = Annotated[str, Field(description='As in the header: `"17"`, or `*`.')]


class Given(BaseModel):
    """Whatever a client sends: what is unknown is a mistake, not left aside."""

    model_config = ConfigDict(extra="forbid") | DEFERRED


class ListParameters(Given):
    """Which entries, and how many at a time."""

    prefix: Words = Field("", description="Only keys that begin with this.")
    q: Words = Field("", description="Only entries with this in their key or value.")
    label: Words = Field("", description="Only entries with this label.")
    changed_since: Moment | None = Field(
        None, description="Only entries changed at this moment or later."
    )
    cursor: Annotated[str, Field(max_length=2000)] | None = Field(
        None, description="Where the part before this one ended: from its `next`."
    )
    limit: int = Field(MOST_LISTED, ge=1, le=MOST_LISTED)


class PutParameters(Given):
    """How an entry is kept; what is not given stays as it was."""

    secret: bool | None = Field(
        None, description="Whether the value is encrypted where it is kept."
    )
    labels: Labels = Field((), description="With commas between.")
    expires_at: End = Field(
        None, description="When the entry ends by itself; empty: it does not."
    )


class RetrieveParameters(Given):
    """Which value."""

    key: KeyName


class Increment(Given):
    """By how much; may be negative."""

    by: Amount = Field(Decimal(1))


class StoredValue(Given):
    """A value under a key: text where it is a string, else JSON."""

    key: KeyName
    value: Any


class Step(Given):
    """What every part of a batch has."""

    key: KeyName
    if_match: ETag | None = None
    if_none_match: ETag | None = None


class Put(Step):
    """Keep `value`, which is JSON, or `text`."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["value"]}, {"required": ["text"]}]}
    )

    op: Literal["put"]
    value: Any = None
    text: Annotated[str | None, WithJsonSchema(TEXT)] = None
    secret: StrictBool | None = None
    labels: Labels = ()
    expires_at: End = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if ("value" in self.model_fields_set) == (self.text is not None):
            raise ValueError("Give either value, which is JSON, or text.")
        return self


class Patch(Step):
    """Apply a JSON Merge Patch."""

    op: Literal["patch"]
    patch: Any


class Add(Step):
    """Increment a number."""

    op: Literal["increment"]
    by: Amount = Field(Decimal(1))


class Delete(Step):
    """Delete an entry."""

    op: Literal["delete"]


class Batch(Given):
    """Several writes, done in this order: all of them or none."""

    operations: list[
        Annotated[Put | Patch | Add | Delete, Field(discriminator="op")]
    ] = Field(min_length=1, max_length=MOST_IN_BATCH)


class Answered(BaseModel):
    """Whatever a client is given."""

    model_config = DEFERRED


class EntryInfo(Answered):
    """An entry without its value."""

    key: str
    type: Literal["application/json", "text/plain"]
    secret: bool
    size: int = Field(description="Bytes of key and value in UTF-8.")
    etag: str
    labels: list[str]
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


class EntryList(Answered):
    """A part of the list, in the order of the keys."""

    entries: list[EntryInfo]
    next: str | None = Field(description="The address of the next part.")


class StepResult(Answered):
    """What came of one part of a batch: the status it would have had alone."""

    key: str
    status: int
    etag: str | None = None
    value: Any = Field(None, description="What an increment or a patch made.")


class BatchResults(Answered):
    """What came of each operation, in their order."""

    results: list[StepResult]


class Incremented(Answered):
    """The number as it is now."""

    value: Any = Field(json_schema_extra={"type": "number"})


class SessionInfo(Answered):
    """A browser that is logged in."""

    id: int
    device: str
    address: str
    started_at: datetime
    last_seen_at: datetime
    ends_at: datetime
    kept: bool = Field(description="Whether “Keep me logged in” was ticked.")
    current: bool = Field(description="Whether it is the one that asks.")


class SessionList(Answered):
    """The browsers that are logged in, last seen first."""

    sessions: list[SessionInfo]


class Ended(Answered):
    """How many sessions ended."""

    ended: int


class TokenInfo(Answered):
    """The token that asks."""

    name: str
    access: Literal["read", "read-write"]
    prefix: str
    may_read_secrets: bool
    expires_at: datetime | None


class AccountInfo(Answered):
    """Whose token or session it is, and how much room there is."""

    name: str
    created_at: datetime
    entries: int
    max_entries: int
    size: int = Field(description="Bytes of all keys and values.")
    max_size: int
    max_value_size: int
    token: TokenInfo | None = Field(description="null for the session of a browser.")


class Stored(Answered):
    """That it was kept."""

    message: str


class Retrieved(Answered):
    """A value: a string where it is text, else what its JSON says."""

    value: Any
