"""What people type about themselves, for the page, the API and the command line."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel

USER_NAME = re.compile(r"[A-Za-z0-9_-]{3,32}")


def _check_name(value: str) -> str:
    if not USER_NAME.fullmatch(value):
        raise ValueError("Use 3 to 32 letters (a to z), digits, _ or -.")
    return value


class NewAccount(BaseModel):
    """A sign-up. How good the password is, `Passwords.check_new` judges."""

    name: Annotated[str, AfterValidator(_check_name)]
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
