"""Every failure becomes a page: what happened, and what to do. The cause is logged.

For programs it becomes a problem instead, see `programs.py`.
"""

import logging
from http import HTTPStatus

from flask import Flask, current_app, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.routing import RequestRedirect

from webapp.errors import Busy, HoldfastError, Invalid
from webapp.programs import is_for_programs, no_address, problem, problem_of_status

# What a person reads on an error page: what happened, and what to do.
PAGES = {
    400: ("That was not understood", "Go back, check what you entered and try again."),
    401: ("Please log in", "Log in and try again."),
    403: ("That is not allowed", "Go back to the page you came from and reload it."),
    404: ("There is nothing here", "Check the address, or start from the first page."),
    405: ("That does not work here", "Go back and use the buttons of the page."),
    409: ("Something else came first", "Reload the page to see what is there now."),
    413: ("That is too large", "Go back and send less at a time."),
    429: ("Too many attempts", "Wait a little, then try again."),
    500: (
        "Something went wrong here",
        "It is not your doing and has been noted. What was saved before is safe.",
    ),
    503: (
        "That cannot be done right now",
        "Nothing of this was saved. Wait a moment, then go back and try again.",
    ),
}
TO_READ = "Wait a moment, then try again. What was saved before is safe."
RETRY_AFTER = "5"

log = logging.getLogger(__name__)


def init_error_pages(app: Flask) -> None:
    app.register_error_handler(HoldfastError, show_error)
    app.register_error_handler(HTTPException, show_http_error)
    app.register_error_handler(DBAPIError, show_database_error)
    app.register_error_handler(PoolTimeout, show_database_error)


def show_error(error: HoldfastError) -> tuple[str, int, dict[str, str]]:
    is_ours = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    is_ours = is_ours and not isinstance(error, Busy)
    if is_ours:
        log.error("%s %s: %s", request.method, request.path, error, exc_info=error)
    message = "" if is_ours else str(error)
    if is_for_programs():
        fields = error.fields if isinstance(error, Invalid) else None
        text, status, headers = problem(error.problem, message, fields)
        headers |= _come_back(status)
    else:
        text, status, headers = error_page(error.status, message)
    return text, status, headers | dict(error.headers) | retry_after(error)


def show_http_error(error: HTTPException) -> ResponseReturnValue:
    if isinstance(error, RequestRedirect):
        return error.get_response()
    if isinstance(error, InternalServerError):
        cause = error.original_exception
        if isinstance(cause, HoldfastError):
            return show_error(cause)
        if isinstance(cause, DBAPIError | PoolTimeout):
            return show_database_error(cause)
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    detail = "" if is_ours else no_address() or error.description or ""
    body, status, headers = _failure(status, detail)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            headers[name] = value
    return body, status, headers


def show_database_error(error: DBAPIError | PoolTimeout) -> ResponseReturnValue:
    """Say 503: the database is full, locked, read-only or gone."""
    cause = getattr(error, "orig", None) or error
    place = current_app.extensions["database"].place
    log.error("%s %s: %s: %s", request.method, request.path, place, cause)
    return _failure(HTTPStatus.SERVICE_UNAVAILABLE)


def _failure(status: int, detail: str = "") -> tuple[str, int, dict[str, str]]:
    """Tell a program more than a person, who cannot do anything about it."""
    if not is_for_programs():
        return error_page(status)
    text, _, headers = problem(problem_of_status(status), detail)
    return text, status, headers | _come_back(status)


def error_page(status: int, message: str = "") -> tuple[str, int, dict[str, str]]:
    title, advice = PAGES.get(status) or PAGES[400 if status < 500 else 500]
    if status == HTTPStatus.SERVICE_UNAVAILABLE and request.method in ("GET", "HEAD"):
        advice = TO_READ
    page = render_template(
        "errors/error.html", status=status, title=title, advice=message or advice
    )
    return page, status, _come_back(status)


def _come_back(status: int) -> dict[str, str]:
    return {"Retry-After": RETRY_AFTER} if status == 503 else {}


def retry_after(error: HoldfastError) -> dict[str, str]:
    """Return the header that says in how many seconds to come back, if one is due."""
    seconds = getattr(error, "retry_after", None)
    return {"Retry-After": str(seconds)} if seconds else {}
