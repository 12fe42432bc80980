"""Flask, with less work for each request."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from config.headers import HEADERS
from webapp.static_files import YEAR

# What may be kept says so itself; the pages of a person never do.
OTHERWISE = HEADERS | {"Cache-Control": "no-store"}
ALWAYS = [(name.lower(), (name, value)) for name, value in OTHERWISE.items()]
BY_TLS = ("Strict-Transport-Security", f"max-age={YEAR}; includeSubDomains")


class Application(Flask):
    """Puts headers on all answers, and sees at once which functions are asyncio's.

    The headers as one list of strings beside those that an answer has; one by one in
    `after_request` they would take as long as it takes to find out who is logged in.
    """

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            given = {name.lower() for name, _ in headers}
            more = [header for name, header in ALWAYS if name not in given]
            if environ["wsgi.url_scheme"] == "https":
                more.append(BY_TLS)
            return start_response(status, headers + more, *error)

        return super().wsgi_app(environ, start)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        # Asked for each of the functions that a request goes through, seventeen here.
        code = getattr(func, "__code__", None)
        # What somebody has marked as a coroutine has a mark among its attributes.
        if code and not code.co_flags & inspect.CO_COROUTINE and not func.__dict__:
            return func
        return super().ensure_sync(func)
