"""What pages of entries have in common: who asks, and what they may see of a value."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import request
from markupsafe import Markup
from werkzeug.wrappers import Response

from webapp.boxes import Slot
from webapp.cache import CachedValues
from webapp.database import AnyRow
from webapp.entries.models import Content, labels_of
from webapp.entries.service import Entries
from webapp.in_hand import app_in_hand, request_in_hand, session_in_hand
from webapp.sessions.guard import form_token_field, is_fresh
from webapp.web import go_to
from webapp.weight import count_fitting, weigh, weigh_in_address, weigh_value

# Where a cached page has the token of the session that asks. Nobody can write it into
# an entry: the < would be escaped.
TOKEN_PLACE = Markup("<!-- form token -->")
# How a token writes its name; everything else is a browser.
TOKEN_MARK = "token:"  # noqa: S105
# Bytes (see `weight`) of a page that a value shares with the key and the labels, which
# stand there several times, and what it has of them whatever these are like.
ROOM, LEAST = 9_700, 700


@dataclass(frozen=True)
class Shown:
    """What can be seen of a value now: `text` is None where it cannot be read.

    Of a large one it is the beginning; `whole_size` is what all of it has, in bytes.
    """

    text: str | None = None
    is_hidden: bool = False
    whole_size: int = 0

    @property
    def size(self) -> int:
        return len((self.text or "").encode())

    @property
    def is_part(self) -> bool:
        return self.size < self.whole_size


def current_entries() -> Entries:
    return app_in_hand().extensions["entries"]  # type: ignore[no-any-return]


def this_writer() -> str:
    """Say who writes: the browser, as it calls itself, which is never as a token."""
    name = request.user_agent.string
    return f" {name}" if name.startswith(TOKEN_MARK) else name


def look_at(content: AnyRow | Content) -> Shown:
    """Reveal the value, unless it is secret and the password was given long ago.

    Of a large one the beginning, unless the address asks for all of it.
    """
    if content.encrypted_by and not is_fresh():
        return Shown(is_hidden=True)
    text = current_entries().reveal(content)
    if text is None:
        return Shown()
    shown = text if asks_for_all() else _beginning(text, room_beside(content))
    return Shown(shown, whole_size=len(text.encode()))


def asks_for_all() -> bool:
    return "all" in request.args


def room_beside(content: AnyRow | Content) -> int:
    """Return how much of a value, or of two, a light page has room for."""
    labels = sum(
        70 + weigh(label) + weigh_in_address(label) for label in labels_of(content)
    )
    key = max(weigh(content.key), weigh_in_address(content.key))
    return max(LEAST, ROOM - 6 * key - labels)


def _beginning(text: str, room: int) -> str:
    return text[: count_fitting(text, room, weigh_value)]


def cached_page(
    user_id: int, name: str, render: Callable[..., str], of: str = ""
) -> str | bytes:
    """Render the page, or take it from the cache where it is of the same `of`."""
    # A notice is read once, and not by another browser.
    if "_flashes" in session_in_hand():
        return render()
    app = app_in_hand()
    release, root = app.config["RELEASE"], request_in_hand().script_root
    cached: CachedValues = app.extensions["cached_values"]
    pieces = cached.get(
        user_id,
        Slot(name, f"{release}:{root}:{of}"),
        current_entries(),
        partial(render, form_token=lambda: TOKEN_PLACE),
        _around_tokens,
    )
    return form_token_field().encode().join(pieces)


def _around_tokens(page: str) -> tuple[bytes, ...]:
    return tuple(piece.encode() for piece in str(page).split(TOKEN_PLACE))


def see(key: str) -> Response:
    """Go on to the page of an entry."""
    return go_to("entries.show", key=key)
