"""Programs of the cast: each sends a token, or the session of a browser."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask

from config.settings import Settings
from tests.browser import Browser
from webapp import create_app

KEY = "Zm91ciBzbWFsbCBib2F0cyBpbiBhIHF1aWV0IGhhcmI="
TOKEN = re.compile(r"hf_[A-Za-z0-9_-]{43}")
ENTRIES = "/api/v1/entries"
JSON, TEXT = "application/json", "text/plain"
MERGE_PATCH = "application/merge-patch+json"


@dataclass
class Program:
    """Something that asks through the API; its answers are Werkzeug's."""

    client: Any
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **how: Any) -> Any:
        headers = self.headers | how.pop("headers", {})
        return self.client.open(path, method=method, headers=headers, **how)

    def get(self, key: str, **how: Any) -> Any:
        return self.ask("GET", f"{ENTRIES}/{key}", **how)

    def put(self, key: str, value: Any, content_type: str = JSON, **how: Any) -> Any:
        path = f"{ENTRIES}/{key}"
        return self.ask("PUT", path, data=value, content_type=content_type, **how)

    def patch(self, key: str, patch: str, **how: Any) -> Any:
        path = f"{ENTRIES}/{key}"
        return self.ask("PATCH", path, data=patch, content_type=MERGE_PATCH, **how)

    def delete(self, key: str, **how: Any) -> Any:
        return self.ask("DELETE", f"{ENTRIES}/{key}", **how)

    def increment(self, key: str, by: Any = 1, **how: Any) -> Any:
        path = f"{ENTRIES}/{key}/increment"
        return self.ask("POST", path, json={"by": by}, **how)

    def batch(self, *operations: dict[str, Any], **how: Any) -> Any:
        body = {"operations": operations}
        return self.ask("POST", "/api/v1/batch", json=body, **how)

    def listed(self, /, **parameters: Any) -> Any:
        return self.ask("GET", ENTRIES, query_string=parameters)

    def keys(self, /, **parameters: Any) -> list[str]:
        return [entry["key"] for entry in self.listed(**parameters).json["entries"]]


def new_token(browser: Browser, **fields: str) -> str:
    """Make a token on the page, and return it."""
    given = {"name": "program", "access": "write", "prefix": "", "expires": "never"}
    browser.submit("/account/tokens", **(given | fields))
    assert browser.status == 200, browser.text
    return str(TOKEN.findall(browser.page.text)[0])


def program_of(browser: Browser, **fields: str) -> Program:
    """Make a token, and a program that sends it."""
    token = new_token(browser, **fields)
    client = browser.client.application.test_client()
    return Program(client, {"Authorization": f"Bearer {token}"})


def script_of(browser: Browser) -> Program:
    """Make a program that runs in the browser, with its session."""
    form = browser.open("/")._form("/logout", {})
    headers = {"X-Form-Token": form.fields["form_token"]}
    return Program(browser.client, headers | {"Sec-Fetch-Site": "same-origin"})


def problem(answer: Any, status: int, kind: str) -> dict[str, Any]:
    """Check that the answer is this problem, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    told: dict[str, Any] = answer.json
    assert told["type"] == f"/api#problem-{kind}", told
    assert told["status"] == status
    assert told["title"]
    assert told["detail"]
    assert unquote(told["instance"]) == answer.request.path
    return told


@pytest.fixture
def program(alice: Browser) -> Program:
    """A program that may do everything of alice's."""
    return program_of(alice, secrets="yes")


@pytest.fixture
def script(alice: Browser) -> Program:
    return script_of(alice)


@pytest.fixture
def app_with(settings: Settings) -> Callable[..., Flask]:
    """Make the application with other settings."""

    def make(**changes: Any) -> Flask:
        return create_app(settings.model_copy(update=changes))

    return make


@pytest.fixture
def secret_app(app_with: Callable[..., Flask]) -> Flask:
    """One that can keep secret entries."""
    return app_with(encryption_keys=(KEY,))


@pytest.fixture
def carol(secret_app: Flask) -> Browser:
    """She is where secret entries can be kept."""
    return Browser(secret_app.test_client(), "carol").enter("/signup")
