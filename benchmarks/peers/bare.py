"""The limit: the same page as a ready string, from a WSGI callable and a Flask view.

The file named by PAGE has the page.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flask import Flask

PAGE = Path(os.environ["PAGE"]).read_bytes()  # noqa: TID251
HEADERS = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Length", str(len(PAGE))),
]


def wsgi(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return [PAGE]


flask = Flask("bare")
flask.add_url_rule("/entries", view_func=PAGE.decode)
