"""What comes up between the preview of a file and its import: all of it or nothing."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from config.settings import Settings
from tests.browser import Browser
from tests.entries.files import run, send
from webapp import clock, create_app
from webapp.entries.import_parts import PART_LINES, PARTS

ALICE = 1
START = "2096-03-01T12:00:00Z"
# The last part is not among the first that are read at once.
MANY = (PARTS + 1) * PART_LINES


@pytest.fixture
def time() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


def keys(app: Flask) -> set[str]:
    return {each["key"] for each in app.extensions["entries"].export(ALICE)}


def test_room_that_was_taken_meanwhile_stops_all_of_it(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"max_entries": MANY}))
    alice = Browser(app.test_client(), "alice").sign_up()
    many = [{"key": f"k{at}", "value": "v"} for at in range(MANY)]
    page = send(alice, json.dumps(many)).open("/entries/import").page
    alice.keep("between", "1")
    alice.page = page
    run(alice)
    assert alice.status == 400
    assert f"entry {MANY} of the file, k{MANY - 1}. With it you" in alice.text
    assert keys(app) == {"between"}
    alice.open("/entries/between/delete").send("/entries/between/delete")
    run(alice.open("/entries/import"))
    assert f"Done: {MANY} new" in alice.text
    assert len(keys(app)) == MANY


def test_an_end_that_passed_meanwhile_stops_all_of_it(
    time: Any, app: Flask, alice: Browser
) -> None:
    end = "2096-03-01T12:05:00Z"
    both = [{"key": "a", "value": "1"}, {"key": "b", "value": "2", "expires_at": end}]
    send(alice, json.dumps(both)).open("/entries/import")
    time.shift(timedelta(minutes=6))
    run(alice)
    assert alice.status == 400
    assert "entry 2 of the file, b. Its end has passed" in alice.text
    assert keys(app) == set()


def test_an_end_of_what_is_left_as_it_is_stops_nothing(
    time: Any, app: Flask, alice: Browser
) -> None:
    alice.keep("b", "as it is")
    both = [
        {"key": "a", "value": "1"},
        {"key": "b", "value": "2", "expires_at": "2096-03-01T12:05:00Z"},
    ]
    send(alice, json.dumps(both), mode="leave").open("/entries/import")
    time.shift(timedelta(minutes=6))
    run(alice)
    assert "Done: 1 new" in alice.text
    assert keys(app) == {"a", "b"}
