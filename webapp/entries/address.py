"""The address of an entry: its key as one segment of a path.

Browsers resolve `.` and `..`, servers decode `%2F` to a slash, some proxies refuse it.
So what a path cannot carry is written with a tilde, as Datasette does: `a/b` is
`a~2Fb`. Everything else stays readable.
"""

import re

from werkzeug.routing import BaseConverter, ValidationError

from webapp.entries.inputs import is_legal_key

UNSAFE = re.compile(r"[~/\\%]")
ESCAPED = re.compile(r"~([0-9A-F]{2})")
# Paths of pages, and the two names that browsers resolve away.
RESERVED = ("new", "bin", "import", "export", ".", "..")


class EntryKey(BaseConverter):
    """Routes as `<entry_key:key>`. Every key has one address, every address one key."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        key = ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)
        if escape_key(key) != value or not is_legal_key(key):
            raise ValidationError
        return key

    def to_url(self, value: str) -> str:
        return super().to_url(escape_key(value))


def escape_key(key: str) -> str:
    """Write the key so that it can be one segment of a path."""
    escaped = UNSAFE.sub(lambda found: _escape(found[0]), key)
    if escaped in RESERVED:
        return _escape(escaped[0]) + escaped[1:]
    return escaped


def _escape(character: str) -> str:
    return f"~{ord(character):02X}"
