"""The request in hand itself, for what every request goes through.

Flask's `request` and its kin are proxies that look it up for each attribute: 0.8 µs
beside 0.1, forty times a request.
"""

from typing import Any, cast

from flask import Flask, Request, current_app, g, request, session


def request_in_hand() -> Request:
    return cast(Request, cast(Any, request)._get_current_object())


def session_in_hand() -> Any:
    """Return the `Session` (webapp/sessions/interface.py) of the request in hand."""
    return cast(Any, session)._get_current_object()


def app_in_hand() -> Flask:
    return cast(Flask, cast(Any, current_app)._get_current_object())


def notes_in_hand() -> dict[str, Any]:
    """Return what `g` has of the request in hand."""
    return cast(Any, g)._get_current_object().__dict__  # type: ignore[no-any-return]
