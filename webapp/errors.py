"""Every error raised on purpose, and the HTTP status it becomes.

What a person reads is `str(error)`: what happened and what to do next. The cause
goes to the log, never onto a page.
"""

from http import HTTPStatus


class HoldfastError(Exception):
    """Base of all errors raised on purpose."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class Invalid(HoldfastError):
    """What was given cannot be taken; `fields` has a sentence per wrong input."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, **fields: str) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = fields


class TooLarge(Invalid):
    """One input is larger than its limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Taken(Invalid):
    """The name or key exists already."""

    status = HTTPStatus.CONFLICT


class QuotaReached(Invalid):
    """The person has no room left."""

    status = HTTPStatus.CONFLICT


class NotFound(HoldfastError):
    """There is no such thing, or it is somebody else's."""

    status = HTTPStatus.NOT_FOUND


class Forbidden(HoldfastError):
    """Understood and refused."""

    status = HTTPStatus.FORBIDDEN


class WrongCredentials(HoldfastError):
    """User name and password do not belong together; never says which is wrong."""

    status = HTTPStatus.UNAUTHORIZED


class SessionOver(HoldfastError):
    """The session ended while its request was under way."""

    status = HTTPStatus.UNAUTHORIZED


class TooMany(HoldfastError):
    """Tried too often; `retry_after` is in seconds."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many attempts. Try again in {_words(retry_after)}.")
        self.retry_after = retry_after


class NotFresh(HoldfastError):
    """The password must be given again first."""

    status = HTTPStatus.FORBIDDEN


class Busy(HoldfastError):
    """More work of a costly kind waits than can be done soon."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retry_after = 1


class StoreUnavailable(HoldfastError):
    """A store of sessions or cached values does not answer or cannot keep more."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


def _words(seconds: int) -> str:
    for length, unit in ((3600, "hour"), (60, "minute")):
        if seconds > length:
            return f"{-(-seconds // length)} {unit}s"
    return "1 second" if seconds == 1 else f"{seconds} seconds"
