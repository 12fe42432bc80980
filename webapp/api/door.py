"""What every request for programs goes through first: its token, and how many it made.

Registered before the log-in guard, which lets in whoever is known then.
"""

from typing import cast

from flask import Flask, Response, current_app, g, request

from webapp.accounts.token_views import current_tokens
from webapp.api.asker import Asker
from webapp.api.rates import Left, Rates
from webapp.entries.shown import TOKEN_MARK, this_writer
from webapp.errors import InvalidToken, TooMany
from webapp.in_hand import notes_in_hand, request_in_hand
from webapp.programs import bearer_token, is_for_programs
from webapp.sessions.guard import check_fresh, current_copy, origin, session


def init_door(app: Flask, rates: Rates) -> None:
    app.extensions["rates"] = rates
    app.before_request(_recognise)
    app.after_request(_tell_rate)


def current_asker() -> Asker:
    """Return who asks, in a view for programs."""
    if token := g.get("token"):
        by = f"{TOKEN_MARK}{token.name}"
        return Asker(token.user_id, by, _never, token=token)
    copy = current_copy()
    return Asker(copy.user_id, this_writer(), check_fresh, copy=copy)


def require_token() -> None:
    """Raise InvalidToken when it was revoked while the body was still arriving."""
    if (token := bearer_token()) is not None:
        current_tokens().find(token)


def _recognise() -> None:
    """Find whose token it is, and count the request; raises InvalidToken, TooMany."""
    if not is_for_programs():
        return
    token = bearer_token()
    if token is None:
        copy = session.copy_at_open
        _count(f"session:{copy.record_id}" if copy else _address())
        return
    try:
        row = current_tokens().find(token)
    except InvalidToken:
        _count(_address())
        raise
    _count(f"token:{row.id}")
    g.token, g.token_user_id = row, row.user_id
    current_tokens().touch(row, origin())


def _never() -> None:
    """Let a token do what a browser needs the password for: it was made with it."""


def _tell_rate(response: Response) -> Response:
    left: Left | None = notes_in_hand().get("rate_left")
    if left is not None:
        rates = _rates()
        response.headers["RateLimit-Policy"] = rates.policy
        response.headers["RateLimit"] = rates.write(left)
    if (
        request_in_hand().method == "OPTIONS"
        and is_for_programs()
        and response.status_code < 400
    ):
        # Flask's answer to it is empty HTML.
        response.headers.pop("Content-Type", None)
    return response


def _count(key: str) -> None:
    try:
        g.rate_left = _rates().take(key)
    except TooMany as error:
        g.rate_left = Left(0, error.retry_after)
        raise


def _address() -> str:
    return f"address:{request.remote_addr}"


def _rates() -> Rates:
    return cast(Rates, current_app.extensions["rates"])
