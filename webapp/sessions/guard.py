"""Who may pass: every URL needs a log-in unless its view says `@public`."""

import hashlib
import hmac
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar, cast

from flask import Flask, current_app, request, url_for
from flask import session as flask_session
from markupsafe import Markup
from werkzeug.wrappers import Response

from webapp.errors import Forbidden
from webapp.sessions.interface import Session
from webapp.sessions.service import Origin
from webapp.web import SAFE_METHODS, is_own_page

View = TypeVar("View", bound=Callable[..., Any])

session = cast(Session, flask_session)


def init_guard(app: Flask, login_endpoint: str) -> None:
    """Guard every URL of the application; static files are public."""

    def require_login() -> Response | None:
        if session.failure:
            raise session.failure
        if session.user_id or _is_open():
            return None
        target = url_for(login_endpoint, next=_next_page())
        return current_app.redirect(target, HTTPStatus.SEE_OTHER)

    app.before_request(require_login)
    app.before_request(check_form_token)
    app.jinja_env.globals["form_token"] = form_token_field


def public(view: View) -> View:
    """Let everyone open this view."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def origin() -> Origin:
    """Describe where the request in hand comes from."""
    return Origin(request.remote_addr or "", request.user_agent.string)


def current_user_id() -> int:
    """Return whose request this is, in a view that needs a log-in."""
    user_id = session.user_id
    assert user_id is not None, "only views without @public have a user"  # noqa: S101
    return user_id


def form_token() -> str:
    """Return a value that only this session's pages have; nothing is stored for it."""
    return hmac.new(session.sid.encode(), b"form", hashlib.sha256).hexdigest()[:32]


def form_token_field() -> Markup:
    """Write the hidden input that every form of a logged-in page needs."""
    return Markup('<input type="hidden" name="form_token" value="{}">').format(
        form_token()
    )


def check_form_token() -> None:
    """Raise Forbidden when a logged-in browser posts a form that is not from here."""
    if request.method in SAFE_METHODS or not session.user_id:
        return
    if not hmac.compare_digest(
        request.form.get("form_token", "").encode(), form_token().encode()
    ):
        raise Forbidden(
            "This form belongs to an earlier log-in. Go back, reload the page and "
            "send it again."
        )


def _is_open() -> bool:
    if request.endpoint is None or request.endpoint == "static":
        return True
    view = current_app.view_functions[request.endpoint]
    return getattr(view, "is_public", False)


def _next_page() -> str | None:
    """Where to go after log-in: this page, or none when it cannot be opened again."""
    page = request.full_path.rstrip("?")
    if request.method == "GET":
        return page
    return request.path if is_own_page(request.path) else None
