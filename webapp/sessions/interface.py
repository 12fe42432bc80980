"""Flask's `session` over records and copies: the one subclass of Flask-Session's.

A session begins at log-in, never before: for a visitor `session` is empty and writing
to it is an error. Static files and health URLs open none.
"""

import copy as copying
import re
from typing import Any

from flask import Flask, Request, Response, request
from flask_session.base import ServerSideSession, ServerSideSessionInterface
from sqlalchemy.exc import SQLAlchemyError

from webapp.sessions.copies import Copy
from webapp.sessions.service import Sessions, Started

SESSION_ID = re.compile(r"[A-Za-z0-9_-]{43}")
WITHOUT_SESSION = ("/static/", "/healthz", "/readyz")


class Session(ServerSideSession):  # type: ignore[misc]
    """What `flask.session` is: a dict whose changes are kept, for a logged-in user.

    `failure` is the error that kept it from being opened, if there was one.
    """

    def __init__(self, sid: str = "", copy: Copy | None = None) -> None:
        super().__init__(copying.deepcopy(copy.data) if copy else None, sid)
        self.on_update = _note_change
        self.copy_at_open = copy
        self.started = False
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
        self.update(copying.deepcopy(started.copy.data))
        self.modified = False
        self.started, self.ended = True, False

    def forget(self) -> None:
        """Be nobody's session; the answer clears the cookie."""
        dict.clear(self)
        self.copy_at_open = None
        self.started, self.ended = False, True


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
        session_id = request.cookies.get(self.get_cookie_name(app), "")
        if not SESSION_ID.fullmatch(session_id):
            return Session()
        if request.path.startswith(WITHOUT_SESSION):
            return Session()
        try:
            copy = self._retrieve_session_data(session_id)
        except SQLAlchemyError as error:
            # Raised by the guard, where Flask can answer it with a page.
            session = Session()
            session.failure = error
            return session
        return Session(session_id, copy) if copy else Session()

    def save_session(
        self, app: Flask, session: ServerSideSession, response: Response
    ) -> None:
        assert isinstance(session, Session)  # noqa: S101
        response.vary.add("Cookie")
        if session.ended:
            self._clear_cookie(app, response)
        elif before := session.copy_at_open:
            if session.is_changed:
                self._upsert_session(app.permanent_session_lifetime, session, "")
            if session.started:
                self._set_cookie(app, session.sid, before.expires_at, response)

    def regenerate(self, session: ServerSideSession) -> None:
        """Rotate: the same session goes on under a new ID."""
        assert isinstance(session, Session)  # noqa: S101
        if copy := session.copy_at_open:
            if started := self.sessions.rotate(copy, dict(session)):
                session.become(started)
            else:
                session.forget()

    def _retrieve_session_data(self, store_id: str) -> Any:
        return self.sessions.resume(store_id)

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
        return "__Host-session" if request.is_secure else "session"

    def _set_cookie(
        self, app: Flask, session_id: str, expires_at: float, response: Response
    ) -> None:
        response.set_cookie(
            self.get_cookie_name(app),
            session_id,
            expires=expires_at,
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )

    def _clear_cookie(self, app: Flask, response: Response) -> None:
        response.delete_cookie(
            self.get_cookie_name(app),
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )
