"""What gunicorn works out anew for each request although it has not changed."""

import functools
import time
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser

from config.reading import QuickRequest

# Its `wsgi.errors` writes to what handlers there are at the first request; here there
# are none that change.
_base_environ = functools.cache(wsgi.base_environ)
_http_date = util.http_date
_read_rest = RequestParser.finish_body


def install(cfg: Any) -> None:
    """Have the gunicorn worker of this process do it once."""
    # As plain attributes: each is looked up by three methods otherwise.
    vars(cfg).update({name: each.get() for name, each in cfg.settings.items()})
    RequestParser.mesg_class = QuickRequest
    RequestParser.finish_body = _finish_body
    wsgi.base_environ = _copy_base_environ
    util.http_date = _Date()


def _copy_base_environ(cfg: Any) -> dict[str, Any]:
    return dict(_base_environ(cfg))


def _finish_body(parser: Any, *limits: Any, **named: Any) -> bool:
    """Read what is left of a body, where there was one."""
    is_over = parser.mesg is None or parser.mesg.has_no_body
    return is_over or bool(_read_rest(parser, *limits, **named))


class _Date:
    """Writes the date of now, once for all answers of a second."""

    _second, _text = 0, ""

    def __call__(self, timestamp: float | None = None) -> str:
        if timestamp is not None:
            return str(_http_date(timestamp))
        if (second := int(time.time())) != self._second:
            self._second, self._text = second, _http_date(second)
        return self._text
