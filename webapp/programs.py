"""What is for programs: which requests those are, their tokens, how failures are told.

A failure is a problem of RFC 9457. Its type stays the same for ever; titles and details
are for people and may change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from flask import request
from pydantic import BaseModel, Field
from werkzeug.exceptions import NotFound

from webapp.in_hand import request_in_hand

# Below these nothing is a page: no HTML, no redirect to the log-in.
PATHS = ("/api/v1", "/store", "/retrieve")
PROBLEM_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """One kind of problem: its status and its title."""

    status: HTTPStatus
    title: str


# The last part of the type, which is `/api#problem-NAME`. The first of a status is what
# a failure becomes of which no more than the status is known.
PROBLEMS = {
    "invalid": Kind(HTTPStatus.BAD_REQUEST, "What was sent is not valid"),
    "not-authenticated": Kind(HTTPStatus.UNAUTHORIZED, "Nobody is logged in"),
    "invalid-token": Kind(HTTPStatus.UNAUTHORIZED, "The token is not valid"),
    "forbidden": Kind(HTTPStatus.FORBIDDEN, "That is not allowed"),
    "read-only-token": Kind(HTTPStatus.FORBIDDEN, "The token may only read"),
    "beyond-prefix": Kind(HTTPStatus.FORBIDDEN, "The token is for other keys"),
    "secret-value": Kind(HTTPStatus.FORBIDDEN, "The token may not read secret values"),
    "not-fresh": Kind(HTTPStatus.FORBIDDEN, "The password must be given again"),
    "not-found": Kind(HTTPStatus.NOT_FOUND, "There is nothing here"),
    "method-not-allowed": Kind(
        HTTPStatus.METHOD_NOT_ALLOWED, "That method does not work here"
    ),
    "not-acceptable": Kind(HTTPStatus.NOT_ACCEPTABLE, "There is no such form of it"),
    "conflict": Kind(HTTPStatus.CONFLICT, "Something else came first"),
    "not-a-number": Kind(HTTPStatus.CONFLICT, "The value is not a JSON number"),
    "not-json": Kind(HTTPStatus.CONFLICT, "The value is not JSON"),
    "unreadable-value": Kind(HTTPStatus.CONFLICT, "The secret value cannot be read"),
    "request-in-flight": Kind(HTTPStatus.CONFLICT, "The same request is under way"),
    "precondition-failed": Kind(
        HTTPStatus.PRECONDITION_FAILED, "It is not as the request expects"
    ),
    "too-large": Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is too large"),
    "address-too-long": Kind(
        HTTPStatus.REQUEST_URI_TOO_LONG, "The address is too long"
    ),
    "unsupported-type": Kind(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "That content type is not taken here"
    ),
    "idempotency-key-reused": Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The key belongs to another request"
    ),
    "precondition-required": Kind(
        HTTPStatus.PRECONDITION_REQUIRED, "The request must say what it expects"
    ),
    "headers-too-large": Kind(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large"
    ),
    "too-many-requests": Kind(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    "failed": Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here"),
    "unavailable": Kind(
        HTTPStatus.SERVICE_UNAVAILABLE, "That cannot be done right now"
    ),
    "busy": Kind(HTTPStatus.SERVICE_UNAVAILABLE, "Too much is under way"),
    "quota-reached": Kind(HTTPStatus.INSUFFICIENT_STORAGE, "No room is left"),
}


class Problem(BaseModel):
    """A failure: RFC 9457 problem details."""

    type: str = Field(description="Which kind it is; stays the same for ever.")
    title: str
    status: int
    detail: str = Field(description="What happened and what to do, for people.")
    instance: str = Field(description="The path of the request.")
    errors: dict[str, str] | None = Field(
        None, description="A sentence for each field or parameter that is wrong."
    )


def is_for_programs() -> bool:
    """Tell whether the request in hand is to an address for programs."""
    path = request_in_hand().path
    return any(path == each or path.startswith(f"{each}/") for each in PATHS)


def bearer_token() -> str | None:
    """Return the token of the request in hand; None where it brings none.

    Only at addresses for programs: a proxy may add tokens of its own to all requests,
    and pages go by their session.
    """
    # request.headers would first look at all of them.
    given = request_in_hand().environ.get("HTTP_AUTHORIZATION", "")
    scheme, _, token = given.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and is_for_programs() else None


def type_of(name: str) -> str:
    """Return the URI of a kind of problem, relative to the site."""
    return f"/api#problem-{name}"


def problem(
    name: str, detail: str = "", errors: Mapping[str, str] | None = None
) -> tuple[str, int, dict[str, str]]:
    """Write the answer to a request that failed."""
    kind = PROBLEMS[name]
    told = Problem(
        type=type_of(name),
        title=kind.title,
        status=kind.status,
        detail=detail or f"{kind.title}.",
        instance=own_path(),
        errors=dict(errors) if errors else None,
    )
    headers = {"Content-Type": PROBLEM_TYPE}
    return told.model_dump_json(exclude_none=True), kind.status, headers


def no_address() -> str | None:
    """Say what is likely wrong with the address in hand; None where that is not it."""
    is_key = request.path.startswith(f"{PATHS[0]}/entries/")
    if is_key and isinstance(request.routing_exception, NotFound):
        return "A key is one part of the address; a / in it is written ~2F."
    return None


def problem_of_status(status: int) -> str:
    """Name the kind of a failure of which no more than the status is known."""
    for name, kind in PROBLEMS.items():
        if kind.status == status:
            return name
    return "invalid" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "failed"


def own_path() -> str:
    """Write the path of the request in hand as a browser would."""
    return quote(request.path, safe="/~:@!$&'()*+,;=-._")
