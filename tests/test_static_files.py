"""Static files and what is compressed: names, caching, ETags, and what stays plain."""

import gzip
import hashlib
import re
from base64 import b64encode
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.browser import Browser
from webapp.compression import accepts_gzip

FOR_EVER = "public, max-age=31536000, immutable"
GZIP = {"Accept-Encoding": "br, gzip"}


def _linked(browser: Browser) -> list[str]:
    found = browser.tree.xpath("//link/@href | //script/@src | //img/@src")
    return list(dict.fromkeys(found))


def _served(path: Path) -> bytes:
    """Return a file as it is served: a script imports others by their hashed names."""
    digest = hashlib.sha256((path.parent / "page.js").read_bytes()).hexdigest()[:12]
    return path.read_bytes().replace(b'"./page.js"', f'"./page.{digest}.js"'.encode())


def _get(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    return client.get(path, headers=headers, buffered=True)


def test_a_file_is_kept_for_ever_under_the_name_that_has_its_hash(
    alice: Browser,
) -> None:
    links = _linked(alice.open("/entries/new"))
    assert len(links) == 5
    for link in links:
        assert re.fullmatch(r"/static/\w+\.[0-9a-f]{12}\.\w+", link)
        first = _get(alice.client, link)
        assert first.headers["Cache-Control"] == FOR_EVER
        again = alice.client.get(link, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["Cache-Control"] == FOR_EVER


def test_a_page_runs_no_script_but_the_one_it_was_made_with(alice: Browser) -> None:
    scripts = alice.open("/entries/new").tree.xpath("//script")
    assert len(scripts) == 3
    for script in scripts:
        digest = hashlib.sha256(_get(alice.client, script.get("src")).data).digest()
        assert script.get("integrity") == f"sha256-{b64encode(digest).decode()}"


@pytest.mark.parametrize("name", ["style.css", "style.0123456789ab.css"])
def test_under_any_other_name_the_newest_is_served_and_not_kept(
    client: FlaskClient, name: str
) -> None:
    """As a page of the release before asks for it while both run."""
    answer = _get(client, f"/static/{name}")
    assert answer.text.startswith("@layer")
    assert answer.headers["Cache-Control"] == "no-cache"
    known = {"If-None-Match": answer.headers["ETag"]}
    assert client.get(f"/static/{name}", headers=known).status_code == 304


@pytest.mark.parametrize(
    "path",
    ["none.css", "style.css/", "../wsgi.py", "%2e%2e/web.py", "0123456789ab.css"],
)
def test_a_file_that_is_not_there_is_kept_nowhere(
    client: FlaskClient, path: str
) -> None:
    answer = client.get(f"/static/{path}")
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["style.css", "page.js", "live.js", "icon.svg"])
def test_a_file_is_compressed_for_whoever_takes_it(
    client: FlaskClient, app: Flask, name: str
) -> None:
    content = _served(Path(app.static_folder or "", name))
    plain, packed = (_get(client, f"/static/{name}", **each) for each in ({}, GZIP))
    assert plain.data == content
    assert gzip.decompress(packed.data) == content
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["ETag"] != packed.headers["ETag"]
    for answer in (plain, packed):
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert int(answer.headers["Content-Length"]) == len(answer.data)
        assert answer.mimetype == {
            "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"
        }[name.rpartition(".")[2]]  # fmt: skip
    unchanged = GZIP | {"If-None-Match": packed.headers["ETag"]}
    answer = _get(client, f"/static/{name}", **unchanged)
    assert (answer.status_code, answer.headers["Vary"]) == (304, "Accept-Encoding")


@pytest.mark.parametrize(
    ("said", "accepted"),
    [("gzip", True), ("br;q=1, gzip;q=0.2", True), ("*", True), ("GZIP", True),
     ("", False), ("br", False), ("gzip;q=0", False), ("identity", False)],
)  # fmt: skip
def test_who_takes_gzip(app: Flask, said: str, accepted: bool) -> None:
    with app.test_request_context(headers={"Accept-Encoding": said}) as context:
        assert accepts_gzip(context.request) == accepted


def test_a_page_with_what_a_stranger_can_choose_is_not_compressed(
    alice: Browser,
) -> None:
    """Else its length would tell of the form token beside it (BREACH)."""
    alice.keep("k", "value " * 10_000)
    for path in ("/entries", "/entries?q=a", "/entries/k", "/account/history"):
        answer = _get(alice.client, path, **GZIP)
        assert answer.status_code == 200
        assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("path", ["/api", "/sessions"])
def test_a_long_page_of_which_no_stranger_writes_a_part_is_compressed(
    alice: Browser, path: str
) -> None:
    plain, packed = (_get(alice.client, path, **each) for each in ({}, GZIP))
    assert gzip.decompress(packed.data) == plain.data
    for answer in (plain, packed):
        assert answer.headers["Vary"] == "Accept-Encoding, Cookie"
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/api"])
def test_what_is_the_same_for_every_visitor_is_sent_once(
    client: FlaskClient, alice: Browser, path: str
) -> None:
    for headers in ({}, GZIP):
        first = _get(client, path, **headers)
        assert first.headers["Cache-Control"] == "private, no-cache"
        known = headers | {"If-None-Match": first.headers["ETag"]}
        again = _get(client, path, **known)
        assert (again.status_code, again.data) == (304, b"")
        of_alice = _get(alice.client, path, **known)
        assert of_alice.status_code == 200
        assert of_alice.headers["Cache-Control"] == "no-store"
