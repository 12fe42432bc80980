"""The key in an address of the API, written as in the addresses of the pages.

What is no key is told as such: without that it would be an address that is not there.
"""

from werkzeug.routing import ValidationError

from webapp.entries.address import RESERVED, EntryKey
from webapp.errors import Invalid

NO_KEY = ""
HOW_TO_WRITE = (
    "This is not how a key is written in an address. Write ~ as ~7E, / as ~2F, \\ as "
    f"~5C and % as ~25, and the first character of {', '.join(RESERVED)} likewise. A "
    "key has 1 to 200 characters, and no control characters."
)


class AnyKey(EntryKey):
    """Routes as `<any_key:key>`, NO_KEY for what is none."""

    def to_python(self, value: str) -> str:
        try:
            return super().to_python(value)
        except ValidationError:
            return NO_KEY


def check_written(key: str) -> None:
    """Raise Invalid for what is no key."""
    if key == NO_KEY:
        raise Invalid(key=HOW_TO_WRITE)
