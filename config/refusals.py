"""The pages for requests that never reach the application: no HTTP, or too long.

gunicorn's own are bare, and repeat what was sent.
"""

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
    """Send a page in place of gunicorn's `write_error`, the last of its connection."""
    if status == NOT_IMPLEMENTED:
        # A transfer coding that nobody knows is the client's doing, and no alarm.
        status = BAD_REQUEST
    title, advice = PAGES.get(status) or PAGES[400 if status < 500 else 500]
    body = PAGE.substitute(title=title, advice=advice).encode()
    headers = HEADERS | {
        "Cache-Control": "no-store",
        "Connection": "close",
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(body)),
    }
    lines = [f"HTTP/1.1 {status} {reason}", *map(": ".join, headers.items())]
    head = "".join(f"{line}\r\n" for line in lines)
    write_nonblock(client, f"{head}\r\n".encode() + body)
