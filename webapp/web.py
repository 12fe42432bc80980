"""What every request goes through: is it text, does it come from here."""

import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from io import BytesIO
from typing import IO, Any, TypeVar
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from flask import (
    Flask,
    Request,
    Response,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.routing import IntegerConverter, Map
from werkzeug.wrappers import Response as WerkzeugResponse

from webapp.error_pages import init_error_pages, retry_after
from webapp.errors import Forbidden, HoldfastError, Invalid
from webapp.in_hand import request_in_hand
from webapp.moments import moment
from webapp.programs import bearer_token, own_path
from webapp.static_files import init_static_files
from webapp.weight import as_iri, as_value, cut, cut_value

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
BODY_MARGIN = 16_384
# More than a form has that keeps no value: a `next` of 8 kB, encoded once more.
LARGE = 32_768
UPLOAD = "multipart/form-data"
FORMS = ("application/x-www-form-urlencoded", UPLOAD)
# pydantic's kinds of mistakes, in words for people.
MISTAKES = {
    "missing": "This is needed.",
    "extra_forbidden": "There is no such field here.",
    "union_tag_not_found": "Say op: put, patch, increment or delete.",
    "union_tag_invalid": "There are put, patch, increment and delete.",
    "model_": "This should be an object.",
    "list_": "This should be a list.",
    "timezone_": "Say the time zone as well, like Z or +01:00.",
    "string_too_long": "This is too long.",
    "int_": "This should be a number.",
    "bool_": "This should be yes or no.",
    "greater_": "This number is too small.",
    "less_": "This number is too large.",
    "literal_": "Choose one of what is offered.",
    "string_": "This should be text.",
    "tuple_": "This should be a list.",
}
MOST_ADDRESSES = 500
# A path, and a query if there is one; no host, and nothing a browser would read as one.
PATH = re.compile(r"/(?![/\\])[^\x00-\x20\x7f\\]*")
Answer = str | bytes | tuple[str, int] | WerkzeugResponse
Input = TypeVar("Input", bound=BaseModel)
log = logging.getLogger(__name__)


def init_web(app: Flask, largest_value: int, largest_file: int) -> None:
    """Put the application behind what every request goes through."""
    app.request_class = FormRequest
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = LARGE
    app.config["LARGEST_VALUE"] = largest_value
    # In a form a byte may be written as %XX, and the end of a line as %0D%0A.
    app.config["LARGEST_FORM"] = 6 * largest_value + BODY_MARGIN
    app.config["LARGEST_UPLOAD"] = largest_file + BODY_MARGIN
    # A key may have two slashes in a row; redirecting to one would lose it.
    app.url_map.merge_slashes = False
    app.url_map.converters["row_id"] = RowId
    app.before_request(compare_length)
    app.before_request(refuse_what_is_no_text)
    app.before_request(refuse_other_sites)
    init_static_files(app)
    app.jinja_env.globals["url_for"] = _address_for(app)
    app.add_template_filter(moment)
    app.add_template_filter(as_value)
    app.add_template_filter(cut)
    app.add_template_filter(cut_value)
    init_error_pages(app)


class RowId(IntegerConverter):
    """Routes as `<row_id:name>`: a number that every database can look for."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=2**63 - 1)


def compare_length() -> None:
    """Have a body refused that ends before the length that was announced.

    Of a server that says it ends bodies itself (gunicorn, mod_wsgi) Werkzeug takes one
    that was cut off as complete, and its last fields as never sent.
    """
    environ = request_in_hand().environ
    if "CONTENT_LENGTH" in environ and request.content_length is not None:
        environ.pop("wsgi.input_terminated", None)


def refuse_what_is_no_text() -> None:
    """Raise BadRequest for an address that Werkzeug would take for some other text."""
    environ = request_in_hand().environ
    if query := environ.get("QUERY_STRING"):
        _check_text(unquote_to_bytes(query.encode("latin-1")))
    if not (path := environ.get("PATH_INFO", "")).isascii():
        _check_text(path.encode("latin-1"))


class FormParser(FormDataParser):
    """Raises BadRequest for a form that Werkzeug would take for some other text."""

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> Any:
        # A file may be of anything, and goes to the disk while it arrives; whoever
        # reads it says what is wrong. The fields beside it are no text of anybody's.
        is_file = self.max_content_length == current_app.config["LARGEST_UPLOAD"]
        if mimetype in FORMS and not (is_file and mimetype == UPLOAD):
            body = stream.read()
            stream.read(1)  # Raises RequestEntityTooLarge where there is more.
            _check_text(body if mimetype == UPLOAD else unquote_to_bytes(body))
            stream = BytesIO(body)
        return super().parse(stream, mimetype, content_length, options)


class FormRequest(Request):
    form_data_parser_class = FormParser


def _check_text(sent: bytes) -> None:
    try:
        sent.decode()
    except UnicodeDecodeError as error:
        raise BadRequest from error


def refuse_other_sites() -> None:
    """Raise Forbidden for an unsafe request that another site had the browser send.

    OWASP's CSRF cheat sheet, Fetch Metadata first: `Sec-Fetch-Site` where the browser
    says it, else `Origin` against the host. What sends neither is no browser.
    """
    if request_in_hand().method in SAFE_METHODS or bearer_token() is not None:
        return  # A token is nothing that a browser adds by itself.
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        allowed = site in ("same-origin", "none")
    else:
        allowed = origin is None or origin == f"{request.scheme}://{request.host}"
    if not allowed:
        log.warning("Refused a request from another site to %s", request.path)
        raise Forbidden("Another site sent this. Open the page here and try again.")


def of_a_visitor(text: str) -> Response:
    """Let a browser keep a page that has nothing of anybody in it, and ask each time.

    `compressed` answers 304 where it has not changed.
    """
    page = Response(text)
    page.headers["Cache-Control"] = "private, no-cache"
    page.add_etag()
    return page


def go_to(endpoint: str, **values: Any) -> WerkzeugResponse:
    """Send the browser on to a page, after a form was dealt with."""
    return redirect(url_for(endpoint, **values), HTTPStatus.SEE_OTHER)


def earlier_than() -> datetime | None:
    """Return the moment before which the page of a list ends; None for the first."""
    try:
        return datetime.fromisoformat(request.args["before"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None


def begin_download(address: str, template: str, /, **values: Any) -> Answer:
    """Stay on a page beside the file: a browser that only gets one stays where it was.

    That would be the form of /confirm, which is of no use any more.
    """
    page = current_app.make_response(render_template(template, **values))
    page.headers["Refresh"] = f"0; url={address}"
    return page


def refuse(error: HoldfastError, template: str, /, **values: Any) -> Answer:
    """Show a form again with what is wrong, and the status of the error."""
    text = render_template(template, **values)
    page = current_app.make_response((text, error.status))
    page.headers.update(retry_after(error))
    return page


def parse(model: type[Input], given: Mapping[str, str]) -> Input:
    """Make the input of a form or a query; raises Invalid with a sentence per field."""
    return check(model, dict(given))


def check(model: type[Input], given: object) -> Input:
    """Make the input of what was sent; raises Invalid with a sentence per field."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise Invalid(
            **{
                ".".join(map(str, mistake["loc"])) or "value": _explain(mistake)
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
    path = own_path()
    query = request.query_string.decode()
    return f"{path}?{query}" if query else path


def _address_for(app: Flask) -> Callable[..., str]:
    """Make the url_for of the templates: it builds an address without values once.

    Static files count as such; only templates name them, so they are few.
    """
    known: dict[tuple[str, str, object], str] = {}

    def address_for(endpoint: str, **values: Any) -> str:
        if values and values.keys() != {"filename"}:
            return as_iri(app.url_for(endpoint, **values))
        place = (request.script_root, endpoint, values.get("filename"))
        address = known.get(place)
        if address is None:
            if len(known) >= MOST_ADDRESSES:
                known.clear()
            address = known[place] = app.url_for(endpoint, **values)
        return address

    return address_for
