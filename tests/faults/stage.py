"""The application for gunicorn in tests: a request can be held, the clock be set.

`X-Hold: before NAME` keeps a request, whose session is open, from its view; `after`
keeps it from saving the session; `unread` only counts it before its body is read. GET
/held/NAME says how many came, POST lets them go. `X-Put: KEY` changes the session,
`X-Clock: SECONDS` sets the process's clock so far off the right time.
"""

import threading
from collections import defaultdict
from datetime import timedelta

import time_machine
from flask import Response, jsonify, request

from webapp.sessions.guard import public, session
from wsgi import app

LONGEST_HOLD = 20


class Gate:
    """Where requests wait until it is opened."""

    def __init__(self) -> None:
        self.waiting = 0
        self.opened = threading.Event()


gates: defaultdict[str, Gate] = defaultdict(Gate)
clocks: list[time_machine.travel] = []


def count_unread() -> None:
    wanted, _, name = request.headers.get("X-Hold", "").partition(" ")
    if wanted == "unread":
        gates[name].waiting += 1


# Before the guard, which reads the form.
app.before_request_funcs.setdefault(None, []).insert(0, count_unread)


@app.before_request
def follow_directions() -> None:
    if seconds := request.headers.get("X-Clock"):
        _set_clock(timedelta(seconds=int(seconds)))
    if key := request.headers.get("X-Put"):
        session[key] = True
    _hold("before")


@app.after_request
def hold_after(response: Response) -> Response:
    _hold("after")
    return response


@app.get("/held/<name>")
@public
def waiting(name: str) -> str:
    return str(gates[name].waiting)


@app.post("/held/<name>")
@public
def open_gate(name: str) -> str:
    gates[name].opened.set()
    return "open"


@app.get("/session-data")
def session_data() -> Response:
    return jsonify(dict(session))


def _hold(moment: str) -> None:
    wanted, _, name = request.headers.get("X-Hold", "").partition(" ")
    if wanted == moment:
        gates[name].waiting += 1
        assert gates[name].opened.wait(LONGEST_HOLD), f"nobody opened {name}"


def _set_clock(off: timedelta) -> None:
    """Set the wall clock of this process, as an operator would; monotonic stays."""
    while clocks:
        clocks.pop().stop()
    clocks.append(time_machine.travel(off))
    clocks[0].start()
