"""Log lines: each is one line, whatever somebody has put into an address."""

import logging
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

# What no line says need not be asked for each (Python's logging HOWTO, Optimization).
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

CONTROL = {code: f"\\x{code:02x}" for code in [*range(32), *range(127, 160)]}


class OneLine(logging.Filter):
    """Escape control characters in a message; a traceback below it stays as it is."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = record.getMessage().translate(CONTROL), None
        return True


class Logger(GunicornLogger):  # type: ignore[misc]
    """gunicorn's, which would gather every header for a line that has none of them."""

    def atoms(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta
    ) -> dict[str, Any]:
        return {
            "h": environ.get("REMOTE_ADDR", "-"),
            "m": environ.get("REQUEST_METHOD"),
            "U": environ.get("PATH_INFO"),
            "s": str(resp.status).split(maxsplit=1)[0],
            "B": getattr(resp, "sent", None),
            "M": int(request_time.total_seconds() * 1000),
        }
