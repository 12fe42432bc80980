"""Every error raised on purpose, and the HTTP status it becomes.

What a person reads is `str(error)`: what happened and what to do next. The cause
goes to the log, never onto a page.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar


class HoldfastError(Exception):
    """Base of all errors raised on purpose.

    `problem` is what a program is told instead of a page: one of `PROBLEMS`, whose
    status may be another. `headers` go with either.
    """

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    problem = "failed"
    headers: ClassVar[Mapping[str, str]] = {}


class Invalid(HoldfastError):
    """What was given cannot be taken; `fields` has a sentence per wrong input."""

    status = HTTPStatus.BAD_REQUEST
    problem = "invalid"

    def __init__(self, /, **fields: str) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = fields


class TooLarge(Invalid):
    """One input is larger than its limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    problem = "too-large"


class Taken(Invalid):
    """The name or key exists already."""

    status = HTTPStatus.CONFLICT
    problem = "conflict"


class QuotaReached(Invalid):
    """The person has no room left."""

    status = HTTPStatus.CONFLICT
    problem = "quota-reached"


class NotFound(HoldfastError):
    """There is no such thing, or it is somebody else's."""

    status = HTTPStatus.NOT_FOUND
    problem = "not-found"


class Forbidden(HoldfastError):
    """Understood and refused."""

    status = HTTPStatus.FORBIDDEN
    problem = "forbidden"


class NoForm(HoldfastError):
    """Something else was sent where the fields of a form belong."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    problem = "unsupported-type"


class WrongCredentials(HoldfastError):
    """User name and password do not belong together; never says which is wrong."""

    status = HTTPStatus.UNAUTHORIZED
    problem = "not-authenticated"


class NotAuthenticated(HoldfastError):
    """A program came without a token, and without the session of a browser."""

    status = HTTPStatus.UNAUTHORIZED
    problem = "not-authenticated"
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class InvalidToken(HoldfastError):
    """There is no such token, or it is over; never says which."""

    status = HTTPStatus.UNAUTHORIZED
    problem = "invalid-token"
    headers: ClassVar[Mapping[str, str]] = {
        "WWW-Authenticate": 'Bearer error="invalid_token"'
    }


class ReadOnly(Forbidden):
    """The token may only read."""

    problem = "read-only-token"


class BeyondPrefix(Forbidden):
    """The token is for keys that begin with something else."""

    problem = "beyond-prefix"


class SecretValue(Forbidden):
    """The token may not read secret values."""

    problem = "secret-value"


class SessionOver(HoldfastError):
    """The session ended while its request was under way."""

    status = HTTPStatus.UNAUTHORIZED
    problem = "not-authenticated"


class TooMany(HoldfastError):
    """Tried too often; `retry_after` is in seconds."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    problem = "too-many-requests"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many attempts. Try again in {_words(retry_after)}.")
        self.retry_after = retry_after


class NotLoggedIn(HoldfastError):
    """A form came from a browser whose session is over, or that never had one."""

    status = HTTPStatus.UNAUTHORIZED


class NotFresh(HoldfastError):
    """The password must be given again first."""

    status = HTTPStatus.FORBIDDEN
    problem = "not-fresh"


class NotAcceptable(HoldfastError):
    """The client takes none of the content types there are."""

    status = HTTPStatus.NOT_ACCEPTABLE
    problem = "not-acceptable"


class UnsupportedType(HoldfastError):
    """What was sent is of a content type, charset or encoding not taken there."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    problem = "unsupported-type"


class NotNumber(HoldfastError):
    """Only a JSON number can be incremented."""

    status = HTTPStatus.CONFLICT
    problem = "not-a-number"


class NotJson(HoldfastError):
    """Only JSON can be patched."""

    status = HTTPStatus.CONFLICT
    problem = "not-json"


class Unreadable(HoldfastError):
    """A secret value cannot be decrypted with the keys there are."""

    status = HTTPStatus.CONFLICT
    problem = "unreadable-value"


class PreconditionFailed(HoldfastError):
    """`If-Match` or `If-None-Match` does not hold."""

    status = HTTPStatus.PRECONDITION_FAILED
    problem = "precondition-failed"


class PreconditionRequired(HoldfastError):
    """The operator wants every write to say what it expects."""

    status = HTTPStatus.PRECONDITION_REQUIRED
    problem = "precondition-required"


class KeyReused(HoldfastError):
    """An `Idempotency-Key` came with another request than before."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    problem = "idempotency-key-reused"


class InFlight(HoldfastError):
    """The request with the same `Idempotency-Key` has no answer yet."""

    status = HTTPStatus.CONFLICT
    problem = "request-in-flight"
    retry_after = 1


class Busy(HoldfastError):
    """More work of a costly kind waits than can be done soon."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    problem = "busy"
    retry_after = 1


class StoreUnavailable(HoldfastError):
    """A store of sessions or cached values does not answer or cannot keep more."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    problem = "unavailable"


class Unheard(StoreUnavailable):
    """The store keeps values, and takes no news from one process to others."""


def _words(seconds: int) -> str:
    for length, unit in ((3600, "hour"), (60, "minute")):
        if seconds > length:
            return f"{-(-seconds // length)} {unit}s"
    return "1 second" if seconds == 1 else f"{seconds} seconds"
