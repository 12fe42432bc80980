"""What gunicorn works out anew for each request although it has not changed."""

import functools
import time
from types import SimpleNamespace
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser

from config.reading import QuickRequest

# Bytes; putting more behind its headers takes as long as sending it by itself.
LARGEST_AT_ONCE = 65_536
# Its `wsgi.errors` writes to what handlers there are at the first request; here there
# are none that change.
_base_environ = functools.cache(wsgi.base_environ)
_http_date = util.http_date
_process_headers = wsgi.Response.process_headers
_read_rest = RequestParser.finish_body


def install(cfg: Any) -> None:
    """Have the gunicorn worker of this process do it once; before gevent patches it."""
    # Loaded now, its counters take locks of the system, in a tenth of the time that
    # gevent's take: threads that hash passwords count as well.
    import prometheus_client  # noqa: F401, PLC0415

    # As plain attributes: each is looked up by three methods otherwise.
    vars(cfg).update({name: each.get() for name, each in cfg.settings.items()})
    RequestParser.mesg_class = QuickRequest
    RequestParser.finish_body = _finish_body
    wsgi.Response = _Response
    wsgi.base_environ = _copy_base_environ
    util.http_date = _Date()


def _copy_base_environ(cfg: Any) -> dict[str, Any]:
    return dict(_base_environ(cfg))


def _finish_body(parser: Any, *limits: Any, **named: Any) -> bool:
    """Read what is left of a body, where there was one."""
    is_over = parser.mesg is None or parser.mesg.has_no_body
    return is_over or bool(_read_rest(parser, *limits, **named))


@functools.lru_cache(maxsize=256)
def _process_header(name: str, value: str) -> SimpleNamespace:
    """Return what gunicorn makes of a header, most of which every answer has."""
    made = SimpleNamespace(headers=[], response_length=None, upgrade=False)
    _process_headers(made, [(name, value)])
    return made


class _Response(wsgi.Response):  # type: ignore[misc]
    """Sends an answer that is one piece with its headers, at once."""

    headers_sent: bool

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        for name, value in headers:
            if name == "Set-Cookie":  # Nobody else gets it again; it may be a log-in.
                super().process_headers([(name, value)])
                continue
            made = _process_header(name, value)
            self.headers += made.headers
            if made.response_length is not None:
                self.response_length = made.response_length
            if made.upgrade:
                self.upgrade = True

    def write(self, piece: bytes) -> None:
        if (
            self.headers_sent
            or self._omits_body
            or len(piece) != self.response_length
            or len(piece) > LARGEST_AT_ONCE
        ):
            super().write(piece)
            return
        lines = self.default_headers()
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        head = "".join(lines) + "\r\n"
        self.headers_sent = True
        self.sent = len(piece)
        util.write(self.sock, head.encode("latin-1") + piece)


class _Date:
    """Writes the date of now, once for all answers of a second."""

    _second, _text = 0, ""

    def __call__(self, timestamp: float | None = None) -> str:
        if timestamp is not None:
            return str(_http_date(timestamp))
        if (second := int(time.time())) != self._second:
            self._second, self._text = second, _http_date(second)
        return self._text
