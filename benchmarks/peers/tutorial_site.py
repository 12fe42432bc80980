"""The tutorial stack for gunicorn: FOLDER, and SESSIONS or REDIS_URL, say how."""

import os
from pathlib import Path

from benchmarks.peers.tutorial import create_app

app = create_app(
    Path(os.environ["FOLDER"]),  # noqa: TID251
    os.environ.get("REDIS_URL", ""),  # noqa: TID251
    files=os.environ.get("SESSIONS") == "files",  # noqa: TID251
)
