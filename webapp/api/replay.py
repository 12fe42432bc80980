"""Unsafe requests that come with an `Idempotency-Key` are done once."""

from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from typing import cast

from flask import Flask, Response, current_app, request

from webapp.api.asker import Asker
from webapp.api.idempotency import (
    Answer,
    Asked,
    Claim,
    Idempotency,
    hash_of,
    read_key,
)
from webapp.error_pages import show_error
from webapp.errors import HoldfastError

KEY = "Idempotency-Key"
# Of what a request is; other headers may differ between two tries.
TELLING = ("Content-Type", "If-Match", "If-None-Match")
KEPT_HEADERS = ("Content-Type", "ETag", "Location")
# These may be otherwise the next time, though the request is the same.
PASSING = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
)


def init_replay(app: Flask, idempotency: Idempotency) -> None:
    app.extensions["idempotency"] = idempotency


def replayed(asker: Asker, act: Callable[[], Response]) -> Response:
    """Answer as the first time; raises KeyReused or InFlight where that cannot be."""
    header = request.headers.get(KEY)
    if header is None:
        return act()
    begun = _idempotency().begin(_asked(asker, read_key(header)))
    if isinstance(begun, Answer):
        response = Response(begun.body, begun.status)
        del response.headers["Content-Type"]  # Flask's, where there was none.
        response.headers.update(begun.headers)
        return response
    with ExitStack() as unless_answered:
        unless_answered.callback(_idempotency().give_up, begun)
        response = _act_once(asker, begun, act)
        unless_answered.pop_all()
    return response


def _act_once(asker: Asker, claim: Claim, act: Callable[[], Response]) -> Response:
    try:
        # What is done and its answer, or neither.
        with current_app.extensions["entries"].at_once(asker.user_id):
            response = act()
            _idempotency().keep(claim, _kept(response))
    except HoldfastError as error:
        # Nothing was done; that this was the answer is kept as well.
        response = current_app.make_response(show_error(error))
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or (
            response.status_code in PASSING
        ):
            raise
        _idempotency().keep(claim, _kept(response))
    return response


def _asked(asker: Asker, key: str) -> Asked:
    if request.form:
        body = repr(sorted(request.form.items(multi=True))).encode()
    else:
        body = request.get_data()
    parts = [request.method, request.full_path]
    parts += [request.headers.get(name, "") for name in TELLING]
    fingerprint = hash_of([*(part.encode() for part in parts), body])
    key_hash = hash_of([asker.scope.encode(), key.encode()])
    return Asked(asker.user_id, key_hash, fingerprint)


def _kept(response: Response) -> Answer:
    headers = [
        (name, response.headers[name])
        for name in KEPT_HEADERS
        if name in response.headers
    ]
    return Answer(
        status=response.status_code,
        headers=headers,
        body=response.get_data(as_text=True),
    )


def _idempotency() -> Idempotency:
    return cast(Idempotency, current_app.extensions["idempotency"])
