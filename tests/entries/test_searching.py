"""A search finds the same on every database, whatever index that has or has not."""

from urllib.parse import urlencode

import pytest
from flask import Flask

from tests.browser import Browser
from webapp.api import listing
from webapp.entries import searching
from webapp.entries.inputs import ListQuery, NewEntry
from webapp.entries.search_index import LONGEST
from webapp.entries.service import Entries

ALICE, BOB = 1, 2
LONG = "x" * LONGEST


@pytest.fixture
def entries(
    app: Flask, alice: Browser, bob: Browser, monkeypatch: pytest.MonkeyPatch
) -> Entries:
    for module, limit in (
        (searching, "STEP_ROWS"),
        (searching, "NEAR_ROWS"),
        (listing, "STEP_ROWS"),
    ):
        monkeypatch.setattr(module, limit, 1)
    return app.extensions["entries"]  # type: ignore[no-any-return]


LETTERS = ("qz", "QZ", "q", "é", "É", "中文", "中")
SIGNS = ("§", "!", "?!?", "q!", "%_", "\\", "q!qz")


@pytest.mark.parametrize("words", LETTERS + SIGNS)
def test_what_has_no_trigram_is_found_wherever_it_stands(
    entries: Entries, alice: Browser, words: str
) -> None:
    keep = {
        f"{words} first": "in a key",
        f"last {words}": "in a key",
        words: "all of a key",
        "begins": f"{words} a value",
        "ends": f"a value {words}",
        "is": words,
        "capitals": f"a {words.upper()}",
        "small": f"a {words.lower()}",
        "large": f"{LONG}{words}",
    }
    for key, value in keep.items():
        entries.create(ALICE, NewEntry(key=key, value=value))
    entries.create(ALICE, NewEntry(key="nothing", value=f"of the kind {words[:-1]}"))
    entries.create(BOB, NewEntry(key="bob's", value=words))
    found = [row.key for row in entries.page(ALICE, ListQuery(q=words)).rows]
    assert found == list(keep)[::-1]
    listed = alice.open(f"/api/v1/entries?{urlencode({'q': words})}").page.json
    assert [entry["key"] for entry in listed["entries"]] == sorted(keep)
