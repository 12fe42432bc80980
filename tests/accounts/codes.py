"""One-time codes as they are made and used."""

from flask import Flask
from werkzeug.test import TestResponse

from tests.browser import Browser
from webapp.accounts.code_views import NOT_VALID

NEW = "quiet-harbour-eight-boats"


def code_of(said: str) -> str:
    [code] = [line for line in said.splitlines() if line.count("-") == 5]
    return code


def use(
    app: Flask, code: str, name: str = "alice", password: str = NEW, again: str = ""
) -> TestResponse:
    """Set a password with a browser that was never here before."""
    form = {"name": name, "code": code, "password": password}
    form["again"] = again or password
    return app.test_client().post("/password", data=form)


def is_used(app: Flask, code: str, **typed: str) -> bool:
    answer = use(app, code, **typed)
    assert (answer.status_code == 303) == (answer.location is not None)
    if answer.status_code != 303:
        assert NOT_VALID in answer.text
    return answer.location == "/login?notice=password-set"


def log_in(app: Flask, password: str = NEW, name: str = "alice") -> Browser:
    return Browser(app.test_client(), name, password).log_in()
