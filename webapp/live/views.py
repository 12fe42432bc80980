"""News of the person as Server-Sent Events, for the pages that are open."""

import json
import secrets
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, request
from sqlalchemy.exc import SQLAlchemyError

from webapp import clock
from webapp.hub import Hub, Waiter
from webapp.live.service import Known, Live, News
from webapp.pace import is_one_thread
from webapp.sessions.copies import Copy
from webapp.sessions.devices import describe_device
from webapp.sessions.guard import public
from webapp.sessions.interface import SessionInterface

blueprint = Blueprint("live", __name__)

# Seconds after which a page that hears nothing looks by itself, and is told so: routers
# cut what is silent for 55.
HEARTBEAT = 15.0
# Up to so many hundredths less, so that not all come at the same moment after a start.
JITTER = 30
# Seconds between two pieces of news; an import makes some each 20 ms.
GAP = 0.5
# Seconds after which a browser comes again: when it was cut off, and where it cannot
# wait here.
SOON, LATER = 4.0, 20.0


def init_live(app: Flask, live: Live, hub: Hub) -> None:
    app.extensions["live"] = partial(_follow, live, hub)
    app.register_blueprint(blueprint)


@blueprint.get("/live")
@public
def news() -> Response:
    """Follow the person's news; a visitor is told that no session is left."""
    interface = cast(SessionInterface, current_app.session_interface)
    copy = interface.look_at(current_app, request)
    # A page that was hidden begins anew, and says itself what a browser would.
    last = request.headers.get("Last-Event-ID") or request.args.get("after", "")
    follow = current_app.extensions["live"]
    content = follow(copy, Known.read(last)) if copy else [_ended(0, "")]
    response = Response(content, mimetype="text/event-stream")
    # nginx would gather some before it sends any.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _follow(live: Live, hub: Hub, copy: Copy, before: Known | None) -> Iterator[str]:
    # Where each request has a thread, it would be kept from everybody else.
    room = hub.waiting(copy.user_id) if is_one_thread() else nullcontext()
    with room as waiter:
        yield _retry(SOON if waiter else LATER)
        try:
            while isinstance(found := live.look(copy, before), News):
                yield from _tell(copy, found, before)
                if waiter is None:
                    return
                yield from _wait(waiter, found, pauses=found.known != before)
                before = found.known
                if waiter.is_dismissed:
                    # The next process has news at once; elsewhere there is no room.
                    yield _retry(SOON if hub.is_closed else LATER)
                    return
            yield _ended(copy.record_id, found.reason)
        except SQLAlchemyError:
            yield _retry(LATER)


def _wait(waiter: Waiter, found: News, *, pauses: bool) -> Iterator[str]:
    if pauses:
        waiter.rest(GAP)
    left = (found.until - clock.now()).total_seconds()
    if not waiter.wait(min(_about(HEARTBEAT), max(0.0, left))):
        yield ":\n\n"


def _tell(copy: Copy, found: News, before: Known | None) -> Iterator[str]:
    for row in found.log_ins:
        log_in = {
            "id": row.id,
            "at": row.created_at.isoformat(timespec="seconds"),
            "device": describe_device(row.user_agent),
            "address": row.address,
        }
        yield _event("log-in", log_in)
    if found.known != before:
        state = {
            "session": copy.record_id,
            "entries": str(found.known.entries),
            "sessions": found.known.sessions,
            "newer": [row.id for row in found.newer],
        }
        yield f"id: {found.known}\n{_event('state', state)}"


def _ended(record_id: int, reason: str) -> str:
    return _event("ended", {"session": record_id, "reason": reason})


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def _retry(seconds: float) -> str:
    return f"retry: {round(_about(seconds) * 1000)}\n\n"


def _about(seconds: float) -> float:
    return seconds * (1 - secrets.randbelow(JITTER) / 100)
