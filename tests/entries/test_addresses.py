"""Every key has one address of its own, which browsers and proxies leave as it is."""

import unicodedata
from urllib.parse import unquote, urlsplit

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from werkzeug.test import create_environ

from tests.browser import Browser

NFC, NFD = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
ODD = {
    "page": "new", "dot": ".", "dots": "..", "three dots": "...", "slash": "a/b",
    "question": "?", "escaped slash": "%2F", "escaped twice": "%252F",
    "escaped dot": "%2e", "tilde": "~", "tilde slash": "~2F", "escaped page": "~6Eew",
    "hash": "#", "space": "a b", "leading": "  a", "trailing": "a  ", "one space": " ",
    "NFC": NFC, "NFD": NFD, "emoji": "🦀", "family": "👩‍👩‍👧", "Hebrew": "שלום",
    "override": "\u202eabc", "200 emoji": "🦀" * 200, "slashes": "//",
    "backslashes": "\\\\", "semicolon": ";", "entity": "&amp;", "tag": "<script>",
    "quotes": "'\"", "plus": "+", "equals": "a=b&c", "colon": "javascript:x", "at": "@",
    "edit": "edit", "edit of": "a/edit", "delete": "delete", "percent": "100%",
    "line separator": "a\u2028b", "no-break": "\u00a0", "200 slashes": "/" * 200,
    "braces": "{{ 7*7 }}", "host": "//evil.example/", "zero width": "\u200b",
}  # fmt: skip
TWINS = [(NFC, NFD), ("A", "a"), ("a", " a"), ("a", "a "), ("~", "~7E"), (".", "%2E"),
         ("new", "~6Eew"), ("a/b", "a~2Fb"), ("a/b", "a%2Fb"), ("+", " "),
         ("ß", "ss"), ("a", "\u0430"), ("\u212b", "\u00c5")]  # fmt: skip
STRANGE = st.sampled_from(
    [*"~/\\%.2Ffnew ?#;&+=:@'\"", NFC, NFD, "🦀", "\u202e", "edit"]
)
LEGAL = st.characters(exclude_categories=["Cc", "Cs"])
KEYS = st.text(LEGAL, min_size=1, max_size=200) | st.lists(
    STRANGE, min_size=1, max_size=20
).map("".join)
REPEATABLE = bounded(
    max_examples=300, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


@pytest.fixture(params=list(ODD.values()), ids=list(ODD))
def key(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.long
def test_an_odd_key_is_shown_edited_and_deleted_through_its_links(
    alice: Browser, key: str
) -> None:
    alice.keep(key, "first")
    assert _title(alice) == key, "saving leads to the page of the entry"
    alice.open(alice.open("/entries").link_to(key))
    assert _title(alice) == key
    assert alice.tree.xpath("string(//pre)") == "first"

    alice.open(alice.links()["Edit"]).send(value="second")
    assert alice.status == 200
    assert alice.value(key) == "second"

    alice.open(alice.links()["Delete…"])
    assert alice.tree.xpath("string(//h1/*[contains(@class, 'key')])") == key
    assert alice.status == 200
    _confirm(alice)
    assert key not in alice.open("/entries").links()
    assert "You have no entries yet" in alice.text


def test_the_address_of_an_odd_key_survives_a_browser_and_a_proxy(
    app: Flask, key: str
) -> None:
    _check_that_everybody_leaves_it_as_it_is(_address(app, key))


@pytest.mark.parametrize("key", ["new", "..", "a/b", "?", "#", "%2F", " ", "<b>"])
def test_the_ways_back_from_an_odd_key_lead_to_its_page(
    alice: Browser, key: str
) -> None:
    alice.keep(key, "kept")
    page = alice.address(key)
    for link, way_out in (("Edit", "Cancel"), ("Delete…", "Keep it")):
        alice.open(alice.open(page).links()[link])
        assert alice.links()[way_out] == page
        assert alice.links()[f"← {key}"] == page
    assert alice.value(key) == "kept"


@pytest.mark.parametrize(("one", "other"), TWINS, ids=range(len(TWINS)))
def test_two_keys_that_look_alike_are_two_entries(
    alice: Browser, one: str, other: str
) -> None:
    alice.keep(one, "value of one")
    alice.keep(other, "value of the other")
    assert alice.value(one) == "value of one"
    assert alice.value(other) == "value of the other"
    alice.open(alice.address(one))
    _confirm(alice.open(alice.links()["Delete…"]))
    assert alice.open("/entries").links().keys() >= {other}
    assert alice.value(other) == "value of the other"


@pytest.mark.parametrize(
    "address",
    ["a~2fb", "~61", "a~", "a~2", "a~2Fb~", "a%252Fb", "a%2Fb", "a%5Cb", "~2E~2E",
     "%2E", "a~2Fb/", "~002F", "", "a~2Fb/edit/", "~E9"],
)  # fmt: skip
def test_no_key_has_a_second_address(alice: Browser, address: str) -> None:
    for key in ("a/b", "a", "..", ".", "a~", "é"):
        alice.keep(key, "value")
    for verb in ("", "/edit", "/delete"):
        assert alice.client.get(f"/entries/{address}{verb}").status_code == 404


def test_the_page_for_a_new_entry_is_no_entry(alice: Browser) -> None:
    alice.keep("new", "value")
    assert "New entry" in alice.open("/entries/new").text
    assert urlsplit(alice.address("new")).path == "/entries/~6Eew"


@pytest.mark.parametrize("key", ["notes", "a.b-c_d", "2026", "New", "é"])
def test_a_plain_key_stays_readable_in_its_address(app: Flask, key: str) -> None:
    assert unquote(_address(app, key)) == f"/entries/{key}"


@pytest.mark.embedded
@pytest.mark.long
@REPEATABLE
@given(key=KEYS)
@example(key="🦀" * 200)
@example(key="%" * 200)
def test_any_key_comes_back_from_its_address(app: Flask, key: str) -> None:
    address = _address(app, key)
    for verb in ("", "/edit", "/delete"):
        endpoint, found = _match(app, address + verb)
        assert found == {"key": key}
        assert endpoint.startswith("entries.")
        assert endpoint != "entries.new"
    _check_that_everybody_leaves_it_as_it_is(address)


@pytest.mark.long
@REPEATABLE
@given(one=KEYS, other=KEYS)
def test_two_keys_never_share_an_address(app: Flask, one: str, other: str) -> None:
    same = _address(app, one) == _address(app, other)
    assert same == (one == other)


def _title(browser: Browser) -> str:
    return str(browser.tree.xpath("string(//h1)"))


def _confirm(browser: Browser) -> None:
    version = browser._form("", {"version": ""}).fields["version"]
    browser.send(version=version)
    assert "Deleted." in browser.text


def _address(app: Flask, key: str) -> str:
    with app.test_request_context():
        return str(app.url_for("entries.show", key=key))


def _match(app: Flask, address: str) -> tuple[str, object]:
    """Find the view, reading the address as a server does."""
    adapter = app.url_map.bind_to_environ(create_environ(address))
    return adapter.match(method="GET")


def _check_that_everybody_leaves_it_as_it_is(address: str) -> None:
    """Browsers resolve dots, however escaped; proxies decode and join slashes."""
    assert address.isascii()
    assert address.isprintable()
    assert urlsplit(address).path == address, "no query and no fragment"
    assert address.count("/") == 2
    assert not {"\\", "<", ">", '"', " ", "{", "}", "|", "^", "`"} & set(address)
    segment = address.removeprefix("/entries/")
    decoded = unquote(segment)
    assert decoded not in ("", ".", "..")
    assert not {"/", "\\", "%"} & set(decoded)
