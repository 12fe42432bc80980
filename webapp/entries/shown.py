"""What pages of entries have in common: who asks, and what they may see of a value."""

from dataclasses import dataclass

from flask import current_app, request
from werkzeug.wrappers import Response

from webapp.database import AnyRow
from webapp.entries.models import Content
from webapp.entries.service import Entries
from webapp.sessions.guard import is_fresh
from webapp.web import go_to


@dataclass(frozen=True)
class Shown:
    """What can be seen of a value now: `text` is None where it cannot be read."""

    text: str | None = None
    is_hidden: bool = False


def current_entries() -> Entries:
    return current_app.extensions["entries"]  # type: ignore[no-any-return]


def this_writer() -> str:
    """Say who writes: the browser, as it calls itself."""
    return request.user_agent.string


def look_at(content: AnyRow | Content) -> Shown:
    """Reveal the value, unless it is secret and the password was given long ago."""
    if content.encrypted_by and not is_fresh():
        return Shown(is_hidden=True)
    return Shown(current_entries().reveal(content))


def see(key: str) -> Response:
    """Go on to the page of an entry."""
    return go_to("entries.show", key=key)
