"""The head of a request, read at once where it is one that browsers write.

gunicorn takes a head apart line by line and asks of each line all that can be wrong
with it. One regular expression knows the heads with which nothing is; every other goes
to gunicorn, so that what is refused and how is gunicorn's alone.
"""

import re
from typing import Any

from gunicorn.http.message import Request

# RFC 9112, and less: a usual method, a path of this site and HTTP/1.1. A name has no
# underscore, which could stand for a hyphen, and no line goes on in the next.
HEAD = re.compile(
    rb"(DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT) (/(?!/)[!\"$-~]*) HTTP/1\.1\r\n"
    rb"((?:[A-Za-z0-9!#$%&'*+.^`|~-]+:[\t\x20-\x7e\x80-\xff]*\r\n)+)\r\n"
)
FIELD = re.compile(r"([^:]+):[\t ]*([^\r]*)\r\n")
# Two of them are a mistake, and a client that expects something waits for it.
ONCE = ("HOST", "CONTENT-TYPE")
EXPECTS = "EXPECT"


class QuickRequest(Request):  # type: ignore[misc]
    """gunicorn's request, whose usual head is read at once."""

    # Known once it has been looked at.
    has_no_body = False

    def parse(self, unreader: Any) -> Any:
        """Read the head and return what came after it; raises as gunicorn's does."""
        received = unreader.read()
        if not received:
            raise StopIteration
        if (found := HEAD.match(received)) and self._is_taken(found):
            return received[found.end() :]
        unreader.unread(received)
        return super().parse(unreader)

    def _is_taken(self, found: re.Match[bytes]) -> bool:
        """Be what was found, unless gunicorn has to look at it as well."""
        size = found.end()
        if size > self.limit_request_line or size > self.limit_request_field_size:
            return False
        headers = [
            (name.upper(), value.rstrip("\t "))
            for name, value in FIELD.findall(found[3].decode("latin-1"))
        ]
        names = [name for name, _ in headers]
        if (
            len(names) > self.limit_request_fields
            or EXPECTS in names
            or any(names.count(name) > 1 for name in ONCE)
            or self._believes_somebody()
        ):
            return False
        self.method, self.uri = found[1].decode(), found[2].decode()
        path, _, query = self.uri.partition("?")
        self.path, self.query, self.fragment = path, query, ""
        self.version, self.headers = (1, 1), headers
        return True

    def _believes_somebody(self) -> bool:
        """Tell whether what a proxy says may change scheme or address here."""
        return bool(
            not isinstance(self.peer_addr, tuple)
            or self.cfg.forwarded_allow_ips
            or self.cfg.proxy_protocol != "off"
        )
