"""What the API says of itself: to programs by OpenAPI, to people by a page."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.browser import Browser
from webapp.api.openapi import KEY_PATTERN, PARAMETER
from webapp.entries.address import escape_key
from webapp.programs import PATHS, PROBLEMS


@pytest.fixture
def document(client: FlaskClient) -> dict[str, object]:
    answer = client.get("/api/openapi.json")
    assert answer.mimetype == "application/json"
    assert answer.json
    return dict(answer.json)


def routes(app: Flask) -> set[tuple[str, str]]:
    """Return every method and path that is for programs."""
    return {
        (method.lower(), PARAMETER.sub(r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(PATHS)
    }


def test_every_operation_is_in_it(app: Flask, document: dict[str, dict]) -> None:  # type: ignore[type-arg]
    said = {
        (method, path)
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert said == routes(app)
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["summary"].endswith(".")
            assert {"400", "401", "403", "429", "500"} <= operation["responses"].keys()


def test_every_reference_leads_somewhere(
    client: FlaskClient,
    document: dict[str, dict],  # type: ignore[type-arg]
) -> None:
    text = client.get("/api/openapi.json").text
    named = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', text))
    assert named
    assert named <= document["components"]["schemas"].keys()


def test_a_client_that_has_it_is_not_given_it_again(client: FlaskClient) -> None:
    etag = client.get("/api/openapi.json").headers["ETag"]
    again = client.get("/api/openapi.json", headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "key", ["a", "a/b", "new", "~", "..", ".", "...", "é 🦀", "a" * 200, "%2F", "newer"]
)
def test_the_pattern_of_keys_is_that_of_addresses(key: str) -> None:
    address = escape_key(key)
    is_reserved = key in ("new", ".", "..")
    # Of names of pages the pattern says less than can be written.
    assert bool(re.search(KEY_PATTERN, address)) != is_reserved
    assert bool(re.search(KEY_PATTERN, key)) == (address == key)


def test_the_page_has_every_operation_and_every_problem(
    client: FlaskClient,
    alice: Browser,
    document: dict[str, dict],  # type: ignore[type-arg]
) -> None:
    for page in (client.get("/api").text, alice.open("/api").page.text):
        for path in document["paths"]:
            assert f"<code>{path}</code>" in page
        for name in PROBLEMS:
            assert f'id="problem-{name}"' in page
        for link in re.findall(r'href="#([\w-]+)"', page):
            assert f'id="{link}"' in page, link
        assert "//" not in re.sub(r"https?://localhost/", "", page).split("<main")[0]
    assert "page of your tokens" in alice.text


def test_under_a_prefix_the_addresses_have_it(app: Flask) -> None:
    below = {"SCRIPT_NAME": "/site"}
    answer = app.test_client().get("/api/openapi.json", environ_overrides=below)
    assert answer.json
    assert answer.json["servers"] == [{"url": "/site"}]
