"""The answers to requests that never reach the application: no HTTP, or too long.

gunicorn's own are bare pages, and repeat what was sent.
"""

import json
import re
from string import Template
from typing import Any

from gunicorn.util import write_nonblock

from config.headers import HEADERS

BAD_REQUEST, NOT_IMPLEMENTED = 400, 501
# What happened, and what to do.
PAGES = {
    400: ("That was not understood", "Go back, check the address and try again."),
    414: ("That address is too long", "Shorten it, or start from the first page."),
    431: (
        "Your browser sends too much",
        "Delete the cookies that it keeps for this site, then log in again.",
    ),
    500: (
        "Something went wrong here",
        "It is not your doing and has been noted. What was saved before is safe.",
    ),
}
# What programs are told instead, by the names and titles of webapp/programs.py.
PROBLEMS = {
    400: ("invalid", "What was sent is not valid"),
    414: ("address-too-long", "The address is too long"),
    431: ("headers-too-large", "The headers are too large"),
    500: ("failed", "Something went wrong here"),
}
PROBLEM_TYPE = "application/problem+json"
# A request line, or as much of it as there is, for one of the addresses of programs.
FOR_PROGRAMS = re.compile(rb"[A-Z]+ ((?:/api/v1|/store|/retrieve)(?![^/? ])[!-~]*)")
# As much of a request as is remembered for that, in bytes.
REMEMBERED = 300
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>$title · Holdfast</title>
  <link rel="stylesheet" href="/static/style.css">
</head>
<body>
  <main class="narrow">
    <h1>$title</h1>
    <p>$advice</p>
    <p><a href="/">The first page</a></p>
  </main>
</body>
</html>
""")


def write_refusal(client: Any, status: int, reason: str, _message: str) -> None:
    """Send a page or a problem instead of gunicorn's `write_error`, and nothing after.

    `client` remembers the first bytes of the request as `beginning`.
    """
    if status == NOT_IMPLEMENTED:
        # A transfer coding that nobody knows is the client's doing, and no alarm.
        status = BAD_REQUEST
    asked = FOR_PROGRAMS.match(getattr(client, "beginning", b""))
    kind = status if status in PAGES else 400 if status < 500 else 500
    if asked:
        path = asked[1].partition(b"?")[0].decode("ascii")
        content_type, text = PROBLEM_TYPE, _problem(kind, status, path)
    else:
        title, advice = PAGES[kind]
        content_type = "text/html; charset=utf-8"
        text = PAGE.substitute(title=title, advice=advice)
    body = text.encode()
    headers = HEADERS | {
        "Cache-Control": "no-store",
        "Connection": "close",
        "Content-Type": content_type,
        "Content-Length": str(len(body)),
    }
    lines = [f"HTTP/1.1 {status} {reason}", *map(": ".join, headers.items())]
    head = "".join(f"{line}\r\n" for line in lines)
    write_nonblock(client, f"{head}\r\n".encode() + body)


def _problem(kind: int, status: int, path: str) -> str:
    name, title = PROBLEMS[kind]
    return json.dumps(
        {
            "type": f"/api#problem-{name}",
            "title": title,
            "status": status,
            "detail": f"{title}.",
            "instance": path,
        }
    )
