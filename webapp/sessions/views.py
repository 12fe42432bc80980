"""The page of a person's sessions: where they are logged in, and ending that."""

from typing import Annotated

from flask import Blueprint, Flask, flash, render_template, request
from pydantic import BaseModel, Field
from werkzeug.wrappers import Response

from webapp import clock
from webapp.compression import compressed
from webapp.sessions.activity import draw_strip
from webapp.sessions.devices import describe_device
from webapp.sessions.guard import (
    LOGIN,
    current_copy,
    current_sessions,
    init_guard,
    sensitive,
    session,
)
from webapp.sessions.interface import SessionInterface
from webapp.sessions.large import init_large
from webapp.sessions.records import MOST_LISTED
from webapp.sessions.service import Sessions
from webapp.web import earlier_than, go_to, parse

blueprint = Blueprint("sessions", __name__)
# Those alive on one page.
LISTED = 12
ENDED_HERE = "ended from another session"


class SessionQuery(BaseModel):
    """The part of those alive that begins after so many."""

    skip: Annotated[int, Field(ge=0, lt=1000)] = 0


def init_sessions(app: Flask, sessions: Sessions) -> None:
    app.session_interface = SessionInterface(app, sessions)
    init_large(app)
    init_guard(app)
    app.register_blueprint(blueprint)
    app.add_template_filter(describe_device, "device")


@blueprint.get("/sessions")
@compressed
def index() -> str:
    """Show those that are alive, some on each page, and then those that are over."""
    copy, sessions, before = current_copy(), current_sessions(), earlier_than()
    skip = parse(SessionQuery, request.args).skip
    version = sessions.records.version(copy.user_id)
    every, over = sessions.records.of_user(copy.user_id, before)
    alive = [] if before else every[skip : skip + LISTED]
    more = None if before or skip + LISTED >= len(every) else skip + LISTED
    over_at, now = sessions.records.over_at, clock.now()
    if more:
        over = []
    return render_template(
        "sessions/list.html",
        version=version,
        this_id=copy.record_id,
        alive=alive,
        has_others=len(every) > 1,
        over=over,
        over_at=over_at,
        strips={row.id: draw_strip(row, now) for row in alive + over},
        more=more,
        older=over_at(over[-1]) if len(over) == MOST_LISTED else None,
    )


@blueprint.post("/sessions/<row_id:record_id>/end")
@sensitive
def end(record_id: int) -> Response:
    copy = current_copy()
    current_sessions().end_one(copy, record_id, ENDED_HERE)
    if record_id == copy.record_id:
        session.forget()
        return go_to(LOGIN)
    flash("That session is over: the browser is logged out.")
    return go_to("sessions.index")


@blueprint.post("/sessions/end-others")
@sensitive
def end_others() -> Response:
    ended = current_sessions().end_others(current_copy(), ENDED_HERE)
    flash(f"{ended} other session{'' if ended == 1 else 's'} ended.")
    return go_to("sessions.index")
