"""Who may pass: every URL needs a log-in unless its view says `@public`."""

import hmac
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar, cast

from flask import Flask, current_app, request, url_for
from flask import session as flask_session
from markupsafe import Markup
from werkzeug.wrappers import Response

from webapp.errors import Forbidden, NotFresh
from webapp.sessions.copies import Copy
from webapp.sessions.interface import (
    SESSION_ID,
    Session,
    SessionInterface,
    device_cookie,
)
from webapp.sessions.records import hash_id
from webapp.sessions.service import Origin, Sessions
from webapp.web import SAFE_METHODS, is_own_page, own_address

# Where a visitor is sent; the page itself belongs to the accounts.
LOGIN = "accounts.login"

View = TypeVar("View", bound=Callable[..., Any])

session = cast(Session, flask_session)


def init_guard(app: Flask) -> None:
    """Guard every URL of the application; static files are public."""

    def require_login() -> Response | None:
        if session.failure:
            raise session.failure
        if request.method not in SAFE_METHODS:
            _look_again()
        if session.user_id or _is_open():
            return None
        target = url_for(LOGIN, next=_next_page())
        return current_app.redirect(target, HTTPStatus.SEE_OTHER)

    app.before_request(require_login)
    app.before_request(_check_form_token)
    app.before_request(require_fresh)
    app.jinja_env.globals["form_token"] = form_token_field


def public(view: View) -> View:
    """Let everyone open this view."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def sensitive(view: View) -> View:
    """Let only those do this who gave their password lately."""
    view.is_sensitive = True  # type: ignore[attr-defined]
    return view


def is_sensitive(endpoint: str | None) -> bool:
    view = current_app.view_functions.get(endpoint or "")
    return getattr(view, "is_sensitive", False)


def origin() -> Origin:
    """Describe where the request in hand comes from."""
    device = request.cookies.get(device_cookie(), "")
    return Origin(
        request.remote_addr or "",
        request.user_agent.string,
        hash_id(device) if SESSION_ID.fullmatch(device) else "",
    )


def current_user_id() -> int:
    """Return whose request this is, in a view that needs a log-in."""
    return current_copy().user_id


def current_copy() -> Copy:
    """Return the session of the request, in a view that needs a log-in."""
    copy = session.copy_at_open
    assert copy is not None, "only views without @public have a session"  # noqa: S101
    return copy


def current_sessions() -> Sessions:
    return cast(SessionInterface, current_app.session_interface).sessions


def form_token() -> str:
    """Return a value that only this session's pages have; nothing is stored for it."""
    return hmac.digest(session.sid.encode(), b"form", "sha256").hex()[:32]


def form_token_field() -> Markup:
    """Write the hidden input that every form of a logged-in page needs."""
    # Hexadecimal digits need no escaping.
    field = f'<input type="hidden" name="form_token" value="{form_token()}">'
    return Markup(field)  # noqa: S704


def _look_again() -> None:
    """Become a visitor when the session ended while its form was still arriving."""
    if session.copy_at_open:
        _ = request.form  # Reads to the end, however slowly it comes.
        if not current_sessions().is_alive(session.copy_at_open):
            session.step_back()


def _check_form_token() -> None:
    # A wrong address or method is that first of all; a log-in page that was opened
    # before the log-in in another tab has no token yet.
    if request.method not in SAFE_METHODS and not _is_open():
        check_form_token()


def check_form_token() -> None:
    """Raise Forbidden when a logged-in browser sends a form that is not from here."""
    if not session.user_id:
        return
    if not hmac.compare_digest(
        request.form.get("form_token", "").encode(), form_token().encode()
    ):
        raise Forbidden(
            "This form belongs to an earlier log-in. Go back, reload the page and "
            "send it again."
        )


def require_fresh() -> None:
    """Raise NotFresh before a sensitive act when the password was given long ago."""
    copy = session.copy_at_open
    if copy is None or not is_sensitive(request.endpoint):
        return
    if not current_sessions().is_fresh(copy):
        raise NotFresh("Give your password again first.")


def _is_open() -> bool:
    if request.endpoint is None or request.endpoint == "static":
        return True
    view = current_app.view_functions[request.endpoint]
    return getattr(view, "is_public", False)


def _next_page() -> str | None:
    """Where to go after log-in: this page, or none when it cannot be opened again."""
    page = own_address()
    return page if request.method == "GET" or is_own_page(page) else None
