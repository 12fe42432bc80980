"""What every request and answer goes through: proxies, headers, origin."""

import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import humanize
from flask import (
    Flask,
    Response,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)
from markupsafe import Markup
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as WerkzeugResponse

from webapp import clock
from webapp.error_pages import init_error_pages, retry_after
from webapp.errors import Forbidden, HoldfastError, Invalid

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
YEAR = 365 * 24 * 3600
BODY_MARGIN = 16_384
# pydantic's kinds of mistakes, in words for people.
MISTAKES = {
    "missing": "This is needed.",
    "int_": "This should be a number.",
    "greater_": "This number is too small.",
    "less_": "This number is too large.",
    "string_too_long": "This is too long.",
    "literal_": "Choose one of what is offered.",
}
MOST_ADDRESSES = 500
# A path, and a query if there is one; no host, and nothing a browser would read as one.
PATH = re.compile(r"/(?![/\\])[^\x00-\x20\x7f\\]*")
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
Answer = str | tuple[str, int] | WerkzeugResponse
Input = TypeVar("Input", bound=BaseModel)
log = logging.getLogger(__name__)


def init_web(app: Flask, trusted_proxies: int, largest_value: int) -> None:
    """Put the application behind what every request goes through."""
    # In a form a byte may be written as %XX, and the end of a line as %0D%0A.
    largest_body = 6 * largest_value + BODY_MARGIN
    if trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=trusted_proxies, x_proto=trusted_proxies
        )
    app.config["MAX_CONTENT_LENGTH"] = largest_body
    app.config["MAX_FORM_MEMORY_SIZE"] = largest_body
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = YEAR
    # A key may have two slashes in a row; redirecting to one would lose it.
    app.url_map.merge_slashes = False
    app.before_request(refuse_what_is_no_text)
    app.before_request(refuse_other_sites)
    app.after_request(add_headers)
    app.url_defaults(_add_static_version)
    app.jinja_env.globals["url_for"] = _address_for(app)
    app.add_template_filter(moment)
    init_error_pages(app)


def refuse_what_is_no_text() -> None:
    """Raise BadRequest for bytes in a query that Werkzeug would fail at later."""
    try:
        request.query_string.decode()
    except UnicodeDecodeError as error:
        raise BadRequest from error


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
    given = {name.lower() for name, _ in response.headers}
    response.headers.extend(
        [header for header in HEADERS.items() if header[0].lower() not in given]
    )
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


def go_to(endpoint: str, **values: Any) -> WerkzeugResponse:
    """Send the browser on to a page, after a form was dealt with."""
    return redirect(url_for(endpoint, **values), HTTPStatus.SEE_OTHER)


def moment(when: datetime) -> Markup:
    """Write a time as people say it ("3 minutes ago"), exact when pointed at."""
    said = humanize.naturaltime(when, when=clock.now())
    exact = f"{when:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        when.isoformat(timespec="seconds"), exact, said
    )


def refuse(error: HoldfastError, template: str, /, **values: Any) -> Answer:
    """Show a form again with what is wrong, and the status of the error."""
    text = render_template(template, **values)
    page = current_app.make_response((text, error.status))
    page.headers.update(retry_after(error))
    return page


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
    kind = str(mistake["type"])
    for start, words in MISTAKES.items():
        if kind.startswith(start):
            return words
    return str(mistake["msg"]).removeprefix("Value error, ")


def is_own_page(target: str) -> bool:
    """Tell whether the target is the path of one of our pages, safe to redirect to."""
    if not PATH.fullmatch(target):
        return False
    adapter = current_app.url_map.bind_to_environ(request.environ)
    try:
        endpoint, _ = adapter.match(unquote(urlsplit(target).path), method="GET")
    except HTTPException:
        return False
    return bool(endpoint != "static")


def own_address() -> str:
    """Write the address of the request in hand as a browser would."""
    path = quote(request.path, safe="/~:@!$&'()*+,;=-._")
    query = request.query_string.decode()
    return f"{path}?{query}" if query else path


def _address_for(app: Flask) -> Callable[..., str]:
    """Make the url_for of the templates: it builds an address without values once.

    Static files count as such; only templates name them, so they are few.
    """
    known: dict[tuple[str, str, object], str] = {}

    def address_for(endpoint: str, **values: Any) -> str:
        if values and values.keys() != {"filename"}:
            return app.url_for(endpoint, **values)
        place = (request.script_root, endpoint, values.get("filename"))
        address = known.get(place)
        if address is None:
            if len(known) >= MOST_ADDRESSES:
                known.clear()
            address = known[place] = app.url_for(endpoint, **values)
        return address

    return address_for


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
