"""Answers that are sent compressed to whoever takes gzip.

Most pages are not: where text that a stranger can choose stands beside the form token,
the length of what is compressed tells of the token (BREACH).
"""

import gzip
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Request, current_app, request
from werkzeug.wrappers import Response as WerkzeugResponse

QUICK, BEST = 1, 9


def accepts_gzip(request: Request) -> bool:
    return request.accept_encodings["gzip"] > 0


def compress(content: bytes, level: int = BEST) -> bytes:
    """Compress so that the same content gives the same bytes."""
    return gzip.compress(content, level, mtime=0)


def compressed(view: Callable[..., Any]) -> Callable[..., WerkzeugResponse]:
    """Compress a page of which no stranger can write a part, not even by its address.

    What has an ETag is answered with 304 to whoever has it already.
    """

    @wraps(view)
    def compressing(*given: Any, **arguments: Any) -> WerkzeugResponse:
        response = current_app.make_response(view(*given, **arguments))
        response.vary.add("Accept-Encoding")
        if accepts_gzip(request):
            response.data = compress(response.get_data(), QUICK)
            response.content_encoding = "gzip"
            if etag := response.get_etag()[0]:
                response.set_etag(f"{etag}-gzip")
        return response.make_conditional(request)

    return compressing
