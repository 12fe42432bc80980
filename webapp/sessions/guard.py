"""Who may pass: every URL needs a log-in unless its view says `@public`."""

import hmac
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar, cast

from flask import Flask, current_app, request, url_for
from flask import session as flask_session
from markupsafe import Markup
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response

from webapp.errors import Forbidden, NoForm, NotAuthenticated, NotFresh, NotLoggedIn
from webapp.in_hand import (
    app_in_hand,
    notes_in_hand,
    request_in_hand,
    session_in_hand,
)
from webapp.programs import is_for_programs
from webapp.sessions.copies import FORM_KEY, Copy
from webapp.sessions.form_tokens import form_key_of, form_token_of
from webapp.sessions.interface import (
    SESSION_ID,
    Session,
    SessionInterface,
    device_cookie,
)
from webapp.sessions.records import hash_id
from webapp.sessions.service import Origin, Sessions
from webapp.web import FORMS, LARGE, SAFE_METHODS, is_own_page, own_address

# Where a visitor is sent; the page itself belongs to the accounts.
LOGIN = "accounts.login"
# Bytes of a form that goes through the log-in: user name and password come on top.
MOST_CARRIED = LARGE // 2
# What a form with nothing but buttons says: its token, and which import it is of.
NOT_TYPED = ("form_token", "import")

View = TypeVar("View", bound=Callable[..., Any])

session = cast(Session, flask_session)


def init_guard(app: Flask) -> None:
    """Guard every URL of the application; static files are public."""

    def require_login() -> Response | None:
        if failure := session_in_hand().failure:
            raise failure
        if request_in_hand().method not in SAFE_METHODS:
            _look_again()
        if current_person() or _is_open():
            return None
        if is_for_programs():
            raise NotAuthenticated("Send a token: Authorization: Bearer hf_…")
        if _is_typed():
            raise NotLoggedIn("Please log in. What you typed is kept here meanwhile.")
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
    return sensitive_if(lambda **_arguments: True)(view)


def sensitive_if(condition: Callable[..., bool]) -> Callable[[View], View]:
    """As `sensitive`, where the condition holds for the arguments of the view."""

    def mark(view: View) -> View:
        view.is_sensitive = condition  # type: ignore[attr-defined]
        return view

    return mark


def is_sensitive(endpoint: str | None, arguments: Mapping[str, Any]) -> bool:
    view = app_in_hand().view_functions.get(endpoint or "")
    condition = getattr(view, "is_sensitive", None)
    return condition is not None and condition(**arguments)


def is_fresh() -> bool:
    """Tell whether the password was given lately, in a view that needs a log-in."""
    return current_sessions().is_fresh(current_copy())


def origin() -> Origin:
    """Describe where the request in hand comes from."""
    device = request.cookies.get(device_cookie(), "")
    return Origin(
        request.remote_addr or "",
        request.user_agent.string,
        hash_id(device) if SESSION_ID.fullmatch(device) else "",
    )


def current_person() -> int | None:
    """Return whose request it is, by session or by token; None for a visitor."""
    found: int | None = session_in_hand().user_id
    return found or notes_in_hand().get("token_user_id")


def current_user_id() -> int:
    """Return whose request this is, in a view that needs a log-in."""
    return current_copy().user_id


def current_copy() -> Copy:
    """Return the session of the request, in a view that needs a log-in."""
    copy: Copy | None = session_in_hand().copy_at_open
    assert copy is not None, "only views without @public have a session"  # noqa: S101
    return copy


def current_sessions() -> Sessions:
    return cast(SessionInterface, current_app.session_interface).sessions


def form_token() -> str:
    """Return a value that only this session's pages have, under each of its IDs."""
    key = session_in_hand().get(FORM_KEY)
    if not isinstance(key, str):
        database = current_app.extensions["database"]
        key = session[FORM_KEY] = form_key_of(database, current_copy().record_id)
    return form_token_of(key) if key else ""


def form_token_field() -> Markup:
    """Write the hidden input that every form of a logged-in page needs."""
    try:
        token = form_token()
    except SQLAlchemyError:
        token = ""  # The page that says so needs none.
    # Hexadecimal digits need no escaping.
    return Markup(f'<input type="hidden" name="form_token" value="{token}">')  # noqa: S704


def _look_again() -> None:
    """Become a visitor when the session ended while its form was still arriving."""
    if session.copy_at_open:
        # Reads to the end, however slowly it comes.
        request.get_data(parse_form_data=True)
        if not current_sessions().is_alive(session.copy_at_open):
            session.step_back()


def _check_form_token() -> None:
    # A wrong address or method is that first of all; a log-in page that was opened
    # before the log-in in another tab has no token yet.
    if request_in_hand().method not in SAFE_METHODS and not _is_open():
        check_form_token()


def check_form_token() -> None:
    """Raise Forbidden when a logged-in browser sends a form that is not from here.

    Raises NoForm for what is none.
    """
    if not session.user_id:
        return
    if request.mimetype not in ("", *FORMS) and not is_for_programs():
        raise NoForm(f"This address takes the fields of a form, no {request.mimetype}.")
    given = request.headers.get("X-Form-Token") or request.form.get("form_token", "")
    token = form_token()
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        if is_for_programs():
            raise Forbidden(
                "With the session of a browser, send the form_token of one of its "
                "pages as X-Form-Token."
            )
        raise Forbidden(
            "This form belongs to an earlier log-in. Go back, copy what you typed, "
            "reload the page and send it again."
        )


def require_fresh() -> None:
    """Raise NotFresh before a sensitive act when the password was given long ago."""
    if not session_in_hand().copy_at_open:
        return
    asked = request_in_hand()
    if is_sensitive(asked.endpoint, asked.view_args or {}):
        check_fresh()


def check_fresh() -> None:
    """Raise NotFresh when the password was given long ago."""
    if not is_fresh():
        raise NotFresh("Give your password again first.")


def _is_open() -> bool:
    if request.endpoint is None or request.endpoint == "static":
        return True
    view = current_app.view_functions[request.endpoint]
    return getattr(view, "is_public", False)


def _is_typed() -> bool:
    """Tell whether the request has a form that fits into the one of a log-in."""
    is_small = 0 < (request.content_length or 0) <= MOST_CARRIED
    if request.method in SAFE_METHODS or not is_small:
        return False
    return any(name not in NOT_TYPED for name in request.form)


def _next_page() -> str | None:
    """Where to go after log-in: this page, or none when it cannot be opened again."""
    page = own_address()
    return page if request.method == "GET" or is_own_page(page) else None
