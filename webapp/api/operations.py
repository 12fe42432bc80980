"""The table of what the API can do, and what each request goes through.

`OPERATIONS` has every operation by the name of its view: what it takes, what it gives.
Requests are checked by it, and OpenAPI can be made of it.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any

from flask import Blueprint, Response, request
from pydantic import BaseModel
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge

from webapp.api import json_values
from webapp.api.address import check_written
from webapp.api.asker import Asker
from webapp.api.conditions import Conditions, NotModified
from webapp.api.door import current_asker, require_token
from webapp.api.models import Given
from webapp.api.replay import replayed
from webapp.errors import Invalid, NotAcceptable, UnsupportedType
from webapp.sessions.large import large_form, large_value
from webapp.web import SAFE_METHODS, check

JSON = "application/json"
TEXT = "text/plain"
FORM = "application/x-www-form-urlencoded"
MERGE_PATCH = "application/merge-patch+json"

# How pydantic names a field of an operation of a batch.
STEP = re.compile(r"^(operations\.\d+)\.(put|patch|increment|delete)(?=\.|$)")

blueprint = Blueprint("api", __name__)


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    `body` and `query` are what a request is checked by; `gives` says for each status
    what is answered, None where there is no body. Where `is_raw`, the body of request
    or answer is the value itself; `takes_values`: there are values in the body.
    """

    method: str
    path: str
    gives: Mapping[int, type[BaseModel] | None]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    takes: tuple[str, ...] = ()
    is_raw: bool = False
    is_conditional: bool = False
    takes_values: bool = False
    summary: str = field(default="", compare=False)

    @property
    def is_unsafe(self) -> bool:
        return self.method not in SAFE_METHODS


View = Callable[..., BaseModel | Response]
OPERATIONS: dict[str, Operation] = {}


def operation(shape: Operation) -> Callable[[View], View]:
    """Serve the view as this operation; what it takes comes as `query` and `body`."""

    def register(view: View) -> View:
        name = view.__name__
        OPERATIONS[name] = replace(shape, summary=inspect.getdoc(view) or "")

        @wraps(view)
        def serve(**arguments: Any) -> Response:
            return _serve(shape, view, arguments)

        if shape.is_raw:
            serve = large_value(serve)
        elif shape.takes_values:
            serve = large_form(serve)
        blueprint.add_url_rule(shape.path, name, serve, methods=[shape.method])
        return view

    return register


def _serve(shape: Operation, view: View, arguments: dict[str, Any]) -> Response:
    asker = current_asker()
    if shape.is_unsafe:
        asker.check_write()
    if "key" in arguments:
        check_written(arguments["key"])
        asker.check_key(arguments["key"])
    if not shape.is_raw:
        check_acceptable(JSON)
    query = check(shape.query or Given, _parameters())
    if shape.query:
        arguments["query"] = query
    if shape.takes:
        arguments["body"] = _read_body(shape)
    if shape.is_unsafe:
        require_token()
        return replayed(asker, lambda: _answer(shape, view, asker, arguments))
    return _answer(shape, view, asker, arguments)


def _answer(
    shape: Operation, view: View, asker: Asker, arguments: Mapping[str, Any]
) -> Response:
    try:
        made = view(asker=asker, **arguments)
        response = made if isinstance(made, Response) else respond(made)
        if not shape.is_unsafe and "ETag" not in response.headers:
            response.add_etag()
            conditions_of_request().check_read(response.headers["ETag"])
    except NotModified as same:
        response = respond_empty(304, ETag=same.etag)
    return response


def respond(answer: BaseModel, status: int = 200, **headers: str) -> Response:
    """Write an answer, its numbers as they were typed."""
    text = json_values.write(answer)
    return Response(text, status, headers, content_type=JSON)


def respond_empty(status: int, **headers: str) -> Response:
    response = Response(status=status, headers=headers)
    # There is nothing whose type could be told.
    del response.headers["Content-Type"]
    return response


def conditions_of_request() -> Conditions:
    headers = request.headers
    return Conditions(headers.get("If-Match"), headers.get("If-None-Match"))


def check_acceptable(content_type: str) -> None:
    """Raise NotAcceptable where the client wants none of this type."""
    wanted = request.accept_mimetypes
    if wanted and not wanted.quality(content_type):
        raise NotAcceptable(f"This can be had as {content_type} only.")


def _parameters() -> dict[str, str]:
    return _each_once(request.args)


def _each_once(given: MultiDict[str, str]) -> dict[str, str]:
    """Return what a query or a form says; raises Invalid for what is given twice."""
    for name, values in given.lists():
        if len(values) > 1:
            raise Invalid(**{name: "Give this once."})
    return given.to_dict()


def _read_body(shape: Operation) -> Any:
    """Return the body: what the model makes of it, or its bytes where it is raw."""
    _check_type(shape.takes)
    is_form = request.mimetype == FORM
    body = b"" if is_form else request.get_data()
    given = _each_once(request.form)
    _check_whole()
    if is_form:
        given.pop("form_token", None)  # The guard has had a look at it.
        return check(shape.body or BaseModel, given)
    if shape.body is None:
        return body
    try:
        return check(shape.body, json_values.read(body))
    except Invalid as error:
        # Without the kind of the operation, by which pydantic tells them apart.
        named = {STEP.sub(r"\1", name): text for name, text in error.fields.items()}
        raise Invalid(**named) from None


def _check_whole() -> None:
    """Raise RequestEntityTooLarge when a body without a length goes on.

    Werkzeug stops reading such a one at the limit and says nothing.
    """
    has_end = request.environ.get("wsgi.input_terminated")
    is_open = request.content_length is None and has_end
    if is_open and request.environ["wsgi.input"].read(1):
        raise RequestEntityTooLarge


def _check_type(takes: tuple[str, ...]) -> None:
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    is_plain = request.headers.get("Content-Encoding", "identity") == "identity"
    if request.mimetype in takes and charset in ("utf-8", "utf8") and is_plain:
        return
    raise UnsupportedType(f"Send {' or '.join(takes)}, in UTF-8, not compressed.")
