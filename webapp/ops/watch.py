"""Each request has an ID, which log and answer carry, and is counted."""

import os
import re
import time
from functools import cache
from typing import Any

from flask import Flask, Response

from config.logs import request_id
from webapp import metrics
from webapp.in_hand import request_in_hand

# What a router before us may have named the request.
GIVEN = re.compile(r"[A-Za-z0-9_-]{8,64}")


def init_watch(app: Flask, trusted_proxies: int) -> None:
    """Watch every request, also those that are refused before they come to a view."""

    def begin() -> None:
        request = request_in_hand()
        given = request.headers.get("X-Request-ID", "") if trusted_proxies else ""
        request_id.set(given if GIVEN.fullmatch(given) else os.urandom(8).hex())
        request.environ["holdfast.began"] = time.perf_counter()

    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = request_id.get()
        request = request_in_hand()
        endpoint = request.endpoint
        route = endpoint or "none"
        took = time.perf_counter() - request.environ["holdfast.began"]
        _seconds(route).observe(took)
        # Whoever asks by a method of their own invention makes no new counter.
        method = request.method if endpoint else "any"
        _requests(method, route, response.status_code).inc()
        return response

    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request_funcs.setdefault(None, []).insert(0, end)


# Looking a counter up by its labels takes as long as counting.
@cache
def _seconds(route: str) -> Any:
    return metrics.SECONDS.labels(route)


@cache
def _requests(method: str, route: str, status: int) -> Any:
    return metrics.REQUESTS.labels(method, route, status)
