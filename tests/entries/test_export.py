"""All entries in a file that changes nothing when it is imported again."""

import csv
import io
import json
from typing import Any

import pytest
import time_machine
from flask import Flask

from config.settings import Settings
from tests.browser import Browser
from tests.entries.files import export, figures, run, send, take
from webapp import clock, create_app
from webapp.entries.inputs import NewEntry

ALICE = 1
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
VALUES = [
    *("", " ", "a", "\n", "\r", "\r\n", "a\r\nb\rc\nd\n", '"', '""', ",", '",\n"'),
    *("=1+1", "\ufeff", "\u2028", "\x0b\x1f", "é😀\u202e", "x" * 100_000, "[", "{"),
]
ENTRIES = [
    *({"key": f"k{at}", "value": value} for at, value in enumerate(VALUES)),
    *({"key": key, "value": "v"} for key in (" ", ",", '"', "a/b", "=k", "\ufeffkey")),
    {"key": "json", "value": '{"a": [1,\r\n 2]}', "kind": "json"},
    {"key": "labels", "value": "v", "labels": ["red", "dark blue"]},
    {"key": "end", "value": "v", "expires_at": "2999-01-01T12:30:15.000123+02:00"},
    {"key": "secret", "value": "s\r\nt", "secret": True},
]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"encryption_keys": (KEY,)})


@pytest.fixture
def kept(app: Flask, alice: Browser) -> Browser:
    for entry in ENTRIES:
        app.extensions["entries"].create(ALICE, NewEntry.model_validate(entry))
    return alice


def what_is_kept(app: Flask) -> list[dict[str, Any]]:
    return list(app.extensions["entries"].export(ALICE))


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_importing_what_was_exported_changes_nothing(
    app: Flask, kept: Browser, kind: str
) -> None:
    file, before = export(kept, kind), what_is_kept(app)
    send(kept, file)
    assert figures(kept) == {
        "New": "0",
        "Changed": "0",
        "The same as now": str(len(ENTRIES)),
    }
    assert "0 new, 0 changed" in run(kept).text
    assert what_is_kept(app) == before
    assert export(kept, kind) == file


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_what_one_person_exports_another_can_import_byte_for_byte(
    app: Flask, kept: Browser, bob: Browser, kind: str
) -> None:
    file = export(kept, kind)
    assert f"{len(ENTRIES)} new" in take(bob, file).text
    assert export(bob, kind) == file


def test_everything_downloaded_can_be_imported(
    app: Flask, kept: Browser, bob: Browser
) -> None:
    file = kept.client.get("/account/export").data
    assert f"{len(ENTRIES)} new" in take(bob, file).text
    assert export(bob, "csv") == export(kept, "csv")


def test_the_files_are_what_other_programs_read(kept: Browser) -> None:
    names = ["key", "kind", "value", "secret", "labels", "expires_at"]
    from_json = json.loads(export(kept, "json"))
    assert [list(entry) for entry in from_json] == [names] * len(ENTRIES)
    text = export(kept, "csv").decode()
    from_csv = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(from_csv[0]) == names
    for one, other in zip(from_json, from_csv, strict=True):
        assert one["value"] == other["value"]
        assert one["labels"] == [label for label in other["labels"].split(",") if label]
    assert export(kept, "json").isascii() is False


def test_an_export_of_nothing_is_a_file_all_the_same(alice: Browser) -> None:
    assert json.loads(export(alice, "json")) == []
    assert export(alice, "csv") == b"key,kind,value,secret,labels,expires_at\r\n"


def test_it_needs_the_password_and_begins_after_it(app: Flask, kept: Browser) -> None:
    with time_machine.travel("2096-03-01T12:00:00Z", tick=False) as time:
        kept.log_in()
        time.shift(1000)
        assert kept.open("/entries/export").status == 200
        for path in ("/entries/export/json", "/entries/export/entries.json"):
            assert kept.open(path).path == "/confirm"
        kept.open("/entries/export").open(kept.links()["Export as CSV"])
        kept.send(confirm_password=kept.password)
        assert kept.page.headers["Refresh"] == "0; url=/entries/export/entries.csv"
        answer = kept.client.get(kept.links()["Download it again"])
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    name = "holdfast-entries-2096-03-01.csv"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    clock.start()


def test_what_cannot_be_read_is_left_out_and_counted(
    kept: Browser, settings: Settings
) -> None:
    """The key of the secret entries is gone."""
    cookie = kept.client.get_cookie("session")
    app = create_app(settings.model_copy(update={"encryption_keys": ()}))
    without = Browser(app.test_client(), "alice")
    without.client.set_cookie("session", cookie.value)
    without.open("/entries/export/json")
    assert "1 entry is not in it" in without.text
    keys = [entry["key"] for entry in json.loads(export(without, "json"))]
    assert len(keys) == len(ENTRIES) - 1
    assert "secret" not in keys
    kept.open("/entries/export/json")
    assert "not in it" not in kept.text


def test_nobody_else_gets_it(kept: Browser, bob: Browser, app: Flask) -> None:
    assert json.loads(export(bob, "json")) == []
    visitor = app.test_client().get("/entries/export/entries.json")
    assert visitor.location.startswith("/login")
    assert bob.open("/entries/export/xml").status == 404
