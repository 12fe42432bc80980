"""A line of a request is the same, whichever way it is written."""

import io
import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from config.logs import ACCESS, LINE, Lines, Logger, OneLine, request_id

pytestmark = pytest.mark.embedded

PATHS = ["/entries", "/a b", '/"quoted"', "/line\nbreak", "/\x1b[31m", "/Ã¤", "/%(h)s"]


class Full(io.StringIO):
    """A disk that is full, as is found out when what was written is to go there."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def logger(stream: io.StringIO) -> Logger:
    """gunicorn's logger as it is set up here, without the loggers of this process."""
    logger = Logger.__new__(Logger)
    logger.cfg = SimpleNamespace(access_log_format=LINE)
    logger._access_log_enabled = True
    logger.access_log = logging.Logger(ACCESS, logging.INFO)  # noqa: LOG001
    logger.access_log.propagate = False
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines())
    handler.addFilter(OneLine())
    logger.access_log.addHandler(handler)
    return logger


def write(logger: Logger, stream: io.StringIO, path: str) -> str:
    """Log a request for the path, and return what was written of it."""
    stream.seek(0)
    stream.truncate()
    environ = {"REMOTE_ADDR": "192.0.2.1", "REQUEST_METHOD": "GET", "PATH_INFO": path}
    answer = SimpleNamespace(status="200 OK", sent=1234)
    request_id.set("0123456789abcdef")
    logger.access(answer, None, environ, timedelta(milliseconds=5))
    assert request_id.get() == ""
    return stream.getvalue()


@pytest.mark.parametrize("path", PATHS)
def test_a_line_is_what_a_record_would_have_become(
    logger: Logger, stream: io.StringIO, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with time_machine.travel("2026-02-03T04:05:06Z", tick=False):
        plainly = write(logger, stream, path)
        monkeypatch.setattr(logger.access_log, "handle", _fail)
        assert write(logger, stream, path) == plainly, "no record is made"
        monkeypatch.undo()
        logger.access_log.addFilter(lambda _record: True)
        assert write(logger, stream, path) == plainly
    assert plainly.count("\n") == 1
    assert plainly.startswith("2026-02-03T")
    assert plainly.endswith(" 200 1234 bytes 5 ms 0123456789abcdef\n")


def test_lines_go_where_somebody_else_has_them_go(
    logger: Logger, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    records: list[logging.LogRecord] = []
    other = logging.Handler()
    monkeypatch.setattr(other, "emit", records.append)
    logger.access_log.addHandler(other)
    assert "/entries" in write(logger, stream, "/entries")
    assert len(records) == 1
    logger.access_log.removeHandler(other)
    logger.access_log.disabled = True
    assert write(logger, stream, "/entries") == ""
    logger.access_log.disabled = False
    logger.cfg.access_log_format = "%(m)s"
    assert write(logger, stream, "/entries").split()[3:] == ["GET", "0123456789abcdef"]


def test_a_disk_that_is_full_keeps_nobody_from_an_answer(
    logger: Logger, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    (handler,) = logger.access_log.handlers
    failed: list[Any] = []
    monkeypatch.setattr(handler, "stream", full := Full())
    monkeypatch.setattr(handler, "handleError", failed.append)
    assert write(logger, stream, "/entries") == ""
    assert len(failed) == 1
    assert full.getvalue().count("\n") == 1, "not once more when there is room again"


def _fail(record: logging.LogRecord) -> None:
    raise AssertionError(record)
