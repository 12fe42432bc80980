"""Large forms and answers: whose they may be, and how many at once.

Both are in memory until the last byte has come or was taken, which a slow client can
put off. A visitor sends and gets nothing large; who is logged in, a few at once.
"""

import threading
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request

from webapp.error_pages import show_error
from webapp.errors import Busy
from webapp.in_hand import app_in_hand, notes_in_hand, request_in_hand
from webapp.sessions.guard import current_person
from webapp.web import LARGE

# What two browsers have: each opens six connections.
AT_ONCE = 12
# A file is looked through while it is in memory.
FILES_AT_ONCE = 2
# Werkzeug takes 64 kB of a file at a time, and counts what it has in hand as well.
FIELDS_BESIDE_FILE = 131_072

View = TypeVar("View", bound=Callable[..., Any])


def large_form(view: View) -> View:
    """Let the form of this view be as large as the largest value needs it to be."""
    view.takes_large = "LARGEST_FORM"  # type: ignore[attr-defined]
    return view


def large_value(view: View) -> View:
    """Let the body of this view, which is a value, be as large as the largest."""
    view.takes_large = "LARGEST_VALUE"  # type: ignore[attr-defined]
    return view


def upload(view: View) -> View:
    """Let the form of this view have a file in it; its other fields stay small."""
    view.takes_large = "LARGEST_UPLOAD"  # type: ignore[attr-defined]
    return view


def init_large(app: Flask) -> None:
    """Count what is under way; to be called before the guard, which reads forms."""
    large = Large()
    app.before_request(large.allow_form)
    app.teardown_request(large.end_form)
    app.after_request(large.begin_answer)


class UnderWay:
    """How many each person has; other servers run requests on threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of = Counter[int]()
        self._lock = threading.Lock()

    def begin(self, user_id: int) -> None:
        with self._lock:
            if self._of[user_id] >= self._most:
                raise Busy("Too many large pages of yours are still on their way.")
            self._of[user_id] += 1

    def end(self, user_id: int) -> None:
        with self._lock:
            self._of[user_id] -= 1
            if not self._of[user_id]:
                del self._of[user_id]


class Large:
    """What is large of each request in hand."""

    def __init__(self) -> None:
        self._forms, self._answers = UnderWay(AT_ONCE), UnderWay(AT_ONCE)
        self._files = UnderWay(FILES_AT_ONCE)

    def allow_form(self) -> None:
        """Raise Busy for one too many; whoever may send none is stopped at LARGE."""
        asked = request_in_hand()
        view = app_in_hand().view_functions.get(asked.endpoint or "")
        person = current_person()
        setting: str | None = getattr(view, "takes_large", None)
        if person is None or setting is None:
            return
        request.max_content_length = largest = current_app.config[setting]
        is_file = setting == "LARGEST_UPLOAD"
        request.max_form_memory_size = FIELDS_BESIDE_FILE if is_file else largest
        if _is_large(request.content_length):
            under_way = self._files if is_file else self._forms
            under_way.begin(person)
            g.sends_large_form = under_way, person

    def end_form(self, _error: BaseException | None) -> None:
        if sent := notes_in_hand().pop("sends_large_form", None):
            under_way, person = sent
            under_way.end(person)
            request.close()  # What came as a file lies in a file.

    def begin_answer(self, response: Response) -> Response:
        person = current_person()
        if person is None or not _is_large(response.content_length):
            return response
        try:
            self._answers.begin(person)
        except Busy as error:
            response.close()
            return current_app.make_response(show_error(error))
        # Also when nobody closes it, as with Flask's test client.
        end = weakref.finalize(response, self._answers.end, person)
        response.call_on_close(end)
        return response


def _is_large(length: int | None) -> bool:
    """Without a length it may become anything."""
    return length is None or length > LARGE
