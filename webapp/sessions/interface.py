"""Flask's `session` over records and copies: the one subclass of Flask-Session's.

A session begins at log-in, never before: for a visitor `session` is empty and writing
to it is an error. Static files and health URLs open none, nor does a page that is left
open and asks by itself.
"""

import copy as copying
import re
from functools import cache
from typing import Any

from flask import Flask, Request, Response, request
from flask_session.base import ServerSideSession, ServerSideSessionInterface
from sqlalchemy.exc import SQLAlchemyError

from webapp.in_hand import request_in_hand
from webapp.programs import bearer_token
from webapp.sessions.copies import Copy, copy_of, without_notices
from webapp.sessions.records import hash_id
from webapp.sessions.service import Sessions, Started

SESSION_ID = re.compile(r"[A-Za-z0-9_-]{43}")
# As long as the record by which the browser is known, and the history after it.
DEVICE_LIFETIME = 120 * 24 * 3600
WITHOUT_SESSION = ("/static/", "/healthz", "/readyz", "/metrics", "/live")


class Session(ServerSideSession):  # type: ignore[misc]
    """What `flask.session` is: a dict whose changes are kept, for a logged-in user.

    `failure` is the error that kept it from being opened, if there was one.
    """

    def __init__(self, sid: str = "", copy: Copy | None = None) -> None:
        super().__init__(_copied(copy.data) if copy else None, sid)
        self.on_update = _note_change
        self.copy_at_open = copy
        self.started: Started | None = None
        self.ended = False
        self.failure: Exception | None = None

    @property
    def user_id(self) -> int | None:
        """Whose session it is; None for a visitor."""
        return self.copy_at_open.user_id if self.copy_at_open else None

    @property
    def is_changed(self) -> bool:
        """Whether anything was changed, nested values included."""
        before = self.copy_at_open.data if self.copy_at_open else {}
        return self.modified or dict(self) != before

    def become(self, started: Started) -> None:
        """Be the session that has just been started, under its new ID."""
        self.sid = started.session_id
        self.copy_at_open = started.copy
        dict.clear(self)
        self.update(_copied(started.copy.data))
        self.modified = False
        self.started, self.ended = started, False

    def forget(self) -> None:
        """Be nobody's session; the answer clears the cookie."""
        self.step_back()
        self.ended = True

    def step_back(self) -> None:
        """Be nobody's session, and leave the cookie to whoever set it last."""
        dict.clear(self)
        self.copy_at_open = None
        self.started, self.ended = None, False


@cache
def _cookie_called(name: str) -> re.Pattern[str]:
    """Find the first of the name, as Werkzeug does; our values are not in quotes."""
    return re.compile(rf"(?:^|;)\s*{re.escape(name)}\s*(?:=([^;]*))?(?:;|$)")


def _copied(data: dict[str, Any]) -> dict[str, Any]:
    """Copy what a session holds; most have a string or two, which nobody can change."""
    if all(isinstance(value, str) for value in data.values()):
        return dict(data)
    return copying.deepcopy(data)


def _note_change(session: Session) -> None:
    if session.copy_at_open is None:
        raise RuntimeError(
            "A visitor has no session: it starts at log-in. Check session.user_id "
            "before writing, or put what must be kept into the form or the URL."
        )
    session.modified = session.accessed = True


class SessionInterface(ServerSideSessionInterface):  # type: ignore[misc]
    """Opens and saves `flask.session` by the verbs of `Sessions`."""

    session_class = Session

    def __init__(self, app: Flask, sessions: Sessions) -> None:
        super().__init__(app, key_prefix="")
        self.sessions = sessions

    def open_session(self, app: Flask, request: Request) -> Session:
        if bearer_token() is not None:
            return Session()
        session_id = self._session_id(app, request)
        if not session_id or request.path.startswith(WITHOUT_SESSION):
            return Session()
        try:
            copy = self._retrieve_session_data(session_id)
        except SQLAlchemyError as error:
            # Raised by the guard, where Flask can answer it with a page.
            session = Session()
            session.failure = error
            return session
        if copy and request.environ.get("HTTP_SEC_FETCH_DEST") == "empty":
            copy = without_notices(copy)
        return Session(session_id, copy) if copy else Session()

    def look_at(self, app: Flask, request: Request) -> Copy | None:
        """Return the session of the request, over or not, as nobody's use of it."""
        id_hash = hash_id(self._session_id(app, request))
        record = self.sessions.records.find(id_hash)
        return copy_of(record, {}, id_hash) if record else None

    def _session_id(self, app: Flask, request: Request) -> str:
        # request.cookies would first make a list of all headers, and take all cookies
        # apart.
        sent = request.environ.get("HTTP_COOKIE", "")
        found = _cookie_called(self.get_cookie_name(app)).search(sent)
        session_id = (found[1] or "").strip() if found else ""
        return session_id if SESSION_ID.fullmatch(session_id) else ""

    def save_session(
        self, app: Flask, session: ServerSideSession, response: Response
    ) -> None:
        assert isinstance(session, Session)  # noqa: S101
        if (
            request_in_hand().path.startswith(WITHOUT_SESSION)
            or bearer_token() is not None
        ):
            return  # The same for everybody, or a program's.
        if "Vary" in response.headers:
            response.vary.add("Cookie")
        else:
            response.headers["Vary"] = "Cookie"
        if session.ended:
            self._clear_cookie(app, response)
        elif session.copy_at_open:
            if session.is_changed:
                self._upsert_session(app.permanent_session_lifetime, session, "")
            if session.started:
                self._set_cookies(app, session.started, response)

    def _set_cookies(self, app: Flask, started: Started, response: Response) -> None:
        copy, name = started.copy, self.get_cookie_name(app)
        # Without "Keep me logged in" the browser forgets it when it is closed.
        expires = copy.expires_at if copy.kept else None
        self._set_cookie(name, started.session_id, response, expires=expires)
        if started.device:
            name, age = device_cookie(), DEVICE_LIFETIME
            self._set_cookie(name, started.device, response, max_age=age)

    def regenerate(
        self, session: ServerSideSession, *, confirmed: bool = False
    ) -> None:
        """Rotate: the same session goes on under a new ID, or is over already."""
        assert isinstance(session, Session)  # noqa: S101
        if copy := session.copy_at_open:
            data = dict(session)
            if started := self.sessions.rotate(copy, data, confirmed=confirmed):
                session.become(started)
            else:
                session.step_back()

    def _retrieve_session_data(self, store_id: str) -> Any:
        is_used = "HTTP_X_REFRESH" not in request_in_hand().environ
        return self.sessions.resume(store_id, is_used=is_used)

    def _upsert_session(
        self, session_lifetime: Any, session: Any, store_id: str
    ) -> None:
        before, data = session.copy_at_open, dict(session)
        # Once only: the page that reports a failure is saved as well.
        session.modified = False
        session.copy_at_open = before.model_copy(update={"data": data})
        self.sessions.save(before, data)

    def _delete_session(self, store_id: str) -> None:
        if copy := self.sessions.resume(store_id):
            self.sessions.end(copy, "logged out")

    def get_cookie_name(self, app: Flask) -> str:
        # A browser takes a __Host- cookie only from the host itself, over https.
        return "__Host-session" if request_in_hand().is_secure else "session"

    def _set_cookie(
        self, name: str, value: str, response: Response, **how: Any
    ) -> None:
        response.set_cookie(
            name,
            value,
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
            **how,
        )

    def _clear_cookie(self, app: Flask, response: Response) -> None:
        name = self.get_cookie_name(app)
        self._set_cookie(name, "", response, expires=0, max_age=0)


def device_cookie() -> str:
    """Name the cookie by which a browser that has logged in before is told again.

    It opens nothing; it only has an allowance of wrong passwords of its own.
    """
    return "__Host-device" if request.is_secure else "device"
