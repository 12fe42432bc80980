"""What people type about themselves, for the page, the API and the command line."""

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from webapp import clock
from webapp.accounts.models import TOKEN_NAME_LENGTH, TOKEN_PREFIX_LENGTH

LATEST = date(9999, 1, 1)
USER_NAME = re.compile(r"[A-Za-z0-9_-]{3,32}")


def _check_name(value: str) -> str:
    if not USER_NAME.fullmatch(value):
        raise ValueError("Use 3 to 32 letters (a to z), digits, _ or -.")
    return value


class NewName(BaseModel):
    """An account to be made."""

    name: Annotated[str, AfterValidator(_check_name)]


class NewAccount(NewName):
    """A sign-up. How good the password is, `Passwords.check_new` judges."""

    password: str
    keep: bool = False


class Credentials(BaseModel):
    """A log-in; anything may be tried."""

    name: str
    password: str
    keep: bool = False


class NewPassword(BaseModel):
    """A change of the password."""

    current: str
    password: str
    again: str
    end_others: bool = False


class PasswordByCode(BaseModel):
    """A password that is set with a one-time code."""

    name: str
    code: str
    password: str
    again: str


def _check_token_name(value: str) -> str:
    if not value:
        raise ValueError("Give it a name.")
    if len(value) > TOKEN_NAME_LENGTH:
        raise ValueError(f"Use at most {TOKEN_NAME_LENGTH} characters.")
    if not value.isprintable():
        raise ValueError("Use only characters that can be seen.")
    return value


def _check_prefix(value: str) -> str:
    if len(value) > TOKEN_PREFIX_LENGTH:
        raise ValueError(f"Use at most {TOKEN_PREFIX_LENGTH} characters.")
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise ValueError("No key has control characters in it.")
    return value


def _read_date(value: Any) -> Any:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise ValueError("Write the date like 2027-03-31.") from None


class NewToken(BaseModel):
    """A token for a program: what it may do, and for how long."""

    name: Annotated[
        str, StringConstraints(strip_whitespace=True), AfterValidator(_check_token_name)
    ]
    access: Literal["read", "write"]
    prefix: Annotated[str, AfterValidator(_check_prefix)] = ""
    secrets: bool = False
    expires: Literal["never", "7", "30", "90", "365", "date"]
    on: Annotated[date | None, BeforeValidator(_read_date)] = None
    # Minutes that whoever chose the day is ahead of UTC.
    offset: Annotated[int, Field(ge=-960, le=960)] = 0

    @property
    def last_moment(self) -> datetime | None:
        """The end of the day that was chosen."""
        if self.on is None:
            return None
        zone = timezone(timedelta(minutes=self.offset))
        return datetime.combine(self.on, time.max, zone).astimezone(UTC)

    @model_validator(mode="after")
    def _check_expiry(self) -> Self:
        if self.expires != "date":
            self.on = None
        elif self.on is None:
            raise ValueError("Choose the date on which it expires.")
        elif self.on >= LATEST:
            raise ValueError("Choose an earlier date.")
        elif not (self.last_moment and self.last_moment > clock.now()):
            raise ValueError("Choose a date to come.")
        return self
