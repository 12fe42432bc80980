"""Log lines on stdout: each is one line, whatever somebody has put into an address.

As text for people, or as JSON for what collects logs. The lines of a request end with
its ID, which the answer carries as `X-Request-ID`.
"""

import json
import logging
import time
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger
from werkzeug.wsgi import ClosingIterator

from config.settings import Settings

# What no line says need not be asked for each (Python's logging HOWTO, Optimization):
# which file and line, thread and process it comes from.
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

CONTROL = {code: f"\\x{code:02x}" for code in [*range(32), *range(127, 160)]}
ACCESS = "gunicorn.access"
OWN_LOGGERS = ("gunicorn.error", ACCESS, "webapp")

# By gunicorn's letters. The path is without its query, which may have a search in it.
LINE = '%(h)s "%(m)s %(U)s" %(s)s %(B)s bytes %(M)s ms'

# Of the request that this greenlet or thread is at, or was at last.
request_id: ContextVar[str] = ContextVar("request_id", default="")


def logging_of(settings: Settings) -> dict[str, Any]:
    """Describe the logging for `logging.config.dictConfig`."""
    formatter = "JsonLines" if settings.log_format == "json" else "Lines"
    handler = {
        "class": "logging.StreamHandler",
        "stream": "ext://sys.stdout",
        "formatter": "line",
        "filters": ["one_line"],
    }
    level = settings.log_level.upper()
    own = {"level": level, "handlers": ["stdout"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"one_line": {"()": "config.logs.OneLine"}},
        "formatters": {"line": {"()": f"config.logs.{formatter}"}},
        "handlers": {"stdout": handler},
        "root": {"level": "WARNING", "handlers": ["stdout"]},
        "loggers": dict.fromkeys(OWN_LOGGERS, own),
    }


class OneLine(logging.Filter):
    """Escape control characters in a message; a traceback below it stays as it is."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = in_one_line(record.getMessage())
        record.facts = record.args if isinstance(record.args, dict) else None
        record.msg, record.args = message, None
        return True


def in_one_line(message: str) -> str:
    return message if message.isprintable() else message.translate(CONTROL)


class Lines(logging.Formatter):
    """Writes the time of many lines once: they say it to the second."""

    _second, _time = -1, ""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return self.line(record.created, record.levelname, record.name, record.message)

    def line(self, when: float, level: str, logger: str, message: str) -> str:
        """Write a line of `when`, in seconds since the epoch."""
        if (second := int(when)) != self._second:
            now = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(second))
            self._second, self._time = second, now
        line = f"{self._time} {level} {logger} {message}"
        return f"{line} {found}" if (found := request_id.get()) else line


class JsonLines(logging.Formatter):
    """Writes an object: time, level, logger, message and what is known of a request."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if found := request_id.get():
            line["request_id"] = found
        if facts := getattr(record, "facts", None):
            line |= {name: facts[atom] for name, atom in FACTS.items()}
            line["status"] = int(line["status"])
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


# What a line of the access log knows, by the letters that gunicorn has for it.
FACTS = {
    "address": "h",
    "method": "m",
    "path": "U",
    "status": "s",
    "bytes": "B",
    "milliseconds": "M",
}


class RequestLines:
    """Logs a line for each request, around an application that is not on gunicorn."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._log = logging.getLogger("webapp.access")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        begin = time.monotonic()
        answer = {"s": "-", "B": "-"}

        def start(status: str, headers: list[Any], *error: Any) -> Any:
            answer["s"] = status.split(maxsplit=1)[0]
            answer["B"] = dict(headers).get("Content-Length", "-")
            return start_response(status, headers, *error)

        def write() -> None:
            took = timedelta(seconds=time.monotonic() - begin)
            self._log.info(LINE, atoms_of(environ, took) | answer)
            request_id.set("")

        return ClosingIterator(self._application(environ, start), write)


def atoms_of(environ: dict[str, Any], took: timedelta) -> dict[str, Any]:
    return {
        "h": environ.get("REMOTE_ADDR", "-"),
        "m": environ.get("REQUEST_METHOD"),
        "U": _readable(environ.get("PATH_INFO", "")),
        "M": int(took.total_seconds() * 1000),
    }


def _readable(path: str) -> str:
    # WSGI gives bytes as if they were Latin-1 (PEP 3333).
    return path if path.isascii() else path.encode("latin-1").decode(errors="replace")


class Logger(GunicornLogger):  # type: ignore[misc]
    """gunicorn's, which would gather every header for a line that has none of them."""

    def access(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta
    ) -> None:
        if self._is_plain():
            self._write_plainly(self.atoms(resp, req, environ, request_time))
        else:
            super().access(resp, req, environ, request_time)
        # What this connection says next may be no request.
        request_id.set("")

    def _is_plain(self) -> bool:
        """Tell whether nobody has put anything else in the way of the lines."""
        log = self.access_log
        if len(log.handlers) != 1 or log.filters or log.propagate:
            return False
        (handler,) = log.handlers
        return (
            type(handler) is logging.StreamHandler
            and type(handler.formatter) is Lines
            and [type(each) for each in handler.filters] == [OneLine]
            and handler.level <= logging.INFO
            and log.isEnabledFor(logging.INFO)
            and self.cfg.access_log_format == LINE
        )

    def _write_plainly(self, facts: dict[str, Any]) -> None:
        """Write the line that would take three times as long as a record.

        Logger, filter, handler and formatter would each have a look at that.
        """
        (handler,) = self.access_log.handlers
        message = in_one_line(LINE % self.atoms_wrapper_class(facts))
        line = handler.formatter.line(time.time(), "INFO", ACCESS, message)
        try:
            handler.stream.write(f"{line}\n")
            handler.stream.flush()
        except (OSError, ValueError):
            handler.handleError(logging.makeLogRecord({"msg": message}))

    def atoms(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta
    ) -> dict[str, Any]:
        return atoms_of(environ, request_time) | {
            "s": str(resp.status).split(maxsplit=1)[0],
            "B": getattr(resp, "sent", None),
        }
