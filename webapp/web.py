"""What every request and answer goes through: proxies, headers, origin, errors."""

import hashlib
import logging
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, render_template, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import RequestRedirect

from webapp.errors import Forbidden, HoldfastError, Invalid

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
YEAR = 365 * 24 * 3600
BODY_MARGIN = 16_384
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it browsers send "Origin: null" from our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
# What a person reads on an error page: what happened, and what to do.
PAGES = {
    400: ("That was not understood", "Go back, check what you entered and try again."),
    401: ("Please log in", "Log in and try again."),
    403: ("That is not allowed", "Go back to the page you came from and reload it."),
    404: ("There is nothing here", "Check the address, or start from the first page."),
    405: ("That does not work here", "Go back and use the buttons of the page."),
    409: ("Something else came first", "Reload the page to see what is there now."),
    413: ("That is too large", "Send less at a time."),
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
RETRY_AFTER = "5"

Input = TypeVar("Input", bound=BaseModel)
log = logging.getLogger(__name__)


def init_web(app: Flask, trusted_proxies: int, largest_value: int) -> None:
    """Put the application behind what every request goes through."""
    # In a form every byte may be written as %XX.
    largest_body = 3 * largest_value + BODY_MARGIN
    if trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=trusted_proxies, x_proto=trusted_proxies
        )
    app.config["MAX_CONTENT_LENGTH"] = largest_body
    app.config["MAX_FORM_MEMORY_SIZE"] = largest_body
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = YEAR
    # A key may have two slashes in a row; redirecting to one would lose it.
    app.url_map.merge_slashes = False
    app.before_request(refuse_other_sites)
    app.after_request(add_headers)
    app.url_defaults(_add_static_version)
    app.register_error_handler(HoldfastError, show_error)
    app.register_error_handler(HTTPException, show_http_error)
    app.register_error_handler(DBAPIError, show_database_error)
    app.register_error_handler(PoolTimeout, show_database_error)


def refuse_other_sites() -> None:
    """Raise Forbidden for an unsafe request that another site had the browser send.

    OWASP's CSRF cheat sheet, Fetch Metadata first: `Sec-Fetch-Site` where the browser
    says it, else `Origin` against the host. What sends neither is no browser.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        allowed = site in ("same-origin", "none")
    else:
        allowed = origin is None or origin == f"{request.scheme}://{request.host}"
    if not allowed:
        log.warning("Refused a request from another site to %s", request.path)
        raise Forbidden("Another site sent this. Open the page here and try again.")


def add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = (
            f"max-age={YEAR}; includeSubDomains"
        )
    if request.endpoint == "static" and response.status_code < 400:
        if request.args.get("v") != _static_version(request.path):
            response.headers["Cache-Control"] = "no-cache"
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


def parse(model: type[Input], given: Mapping[str, str]) -> Input:
    """Make the input of what was sent; raises Invalid with a sentence per field."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise Invalid(
            **{
                str(mistake["loc"][0] if mistake["loc"] else "value"): _explain(mistake)
                for mistake in error.errors()
            }
        ) from None


def _explain(mistake: Mapping[str, object]) -> str:
    if mistake["type"] == "missing":
        return "This is needed."
    return str(mistake["msg"]).removeprefix("Value error, ")


def is_own_page(target: str) -> bool:
    """Tell whether the target is the path of one of our pages, safe to redirect to."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or not target.startswith("/") or "\\" in target:
        return False
    try:
        adapter = current_app.url_map.bind_to_environ(request.environ)
        return bool(adapter.match(parts.path, method="GET"))
    except RequestRedirect:
        return False
    except HTTPException:
        return False


def show_error(error: HoldfastError) -> tuple[str, int, dict[str, str]]:
    status = int(error.status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s %s: %s", request.method, request.path, error, exc_info=error)
        return error_page(status)
    return error_page(status, str(error))


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
    body, status, headers = error_page(status)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            headers[name] = value
    return body, status, headers


def show_database_error(error: DBAPIError | PoolTimeout) -> ResponseReturnValue:
    """Say 503: the database is full, locked, read-only or gone."""
    cause = getattr(error, "orig", None) or error
    log.error("%s %s: database: %s", request.method, request.path, cause)
    return error_page(HTTPStatus.SERVICE_UNAVAILABLE)


def error_page(status: int, message: str = "") -> tuple[str, int, dict[str, str]]:
    title, advice = PAGES.get(status) or PAGES[400 if status < 500 else 500]
    page = render_template(
        "errors/error.html", status=status, title=title, advice=message or advice
    )
    headers = {"Retry-After": RETRY_AFTER} if status == 503 else {}
    return page, status, headers


def _add_static_version(endpoint: str, values: dict[str, object]) -> None:
    if endpoint == "static":
        values.setdefault("v", _static_version(f"/static/{values['filename']}"))


def _static_version(path: str) -> str:
    """Hash the file, so that a browser keeps it for ever and still sees a change."""
    versions = current_app.extensions.setdefault("static_versions", {})
    if path not in versions:
        file = Path(current_app.static_folder or "") / path.removeprefix("/static/")
        content = file.read_bytes() if file.is_file() else b""
        versions[path] = hashlib.sha256(content).hexdigest()[:12]
    return str(versions[path])
