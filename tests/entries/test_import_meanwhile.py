"""What comes up between the preview of a file and its import: all of it or nothing."""

import json
import time as clock_of_the_system
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from config.settings import Settings
from tests.browser import Browser
from tests.entries.files import action_of, figures, run, send
from webapp import clock, create_app
from webapp.entries.import_parts import PART_LINES, PARTS
from webapp.entries.imports import Imports
from webapp.errors import NotFound

ALICE = 1
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
START = "2096-03-01T12:00:00Z"
# The last part is not among the first that are read at once.
MANY = (PARTS + 1) * PART_LINES


@pytest.fixture
def time() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


@pytest.fixture
def imports(app: Flask) -> Imports:
    return app.extensions["imports"]  # type: ignore[no-any-return]


def file_of(count: int, value: str = "v") -> str:
    return json.dumps([{"key": f"k{at}", "value": value} for at in range(count)])


def number_of(imports: Imports) -> int:
    waiting = imports.waiting(ALICE)
    assert waiting
    return waiting.id


def keys(app: Flask) -> set[str]:
    return {each["key"] for each in app.extensions["entries"].export(ALICE)}


def test_room_that_was_taken_meanwhile_stops_all_of_it(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"max_entries": MANY}))
    alice = Browser(app.test_client(), "alice").sign_up()
    page = send(alice, file_of(MANY)).open("/entries/import").page
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


@pytest.mark.parametrize("act", ["run", "drop"])
def test_only_the_file_that_was_shown_is_done_or_forgotten(
    app: Flask, alice: Browser, imports: Imports, act: str
) -> None:
    page = send(alice, file_of(3)).open("/entries/import").page
    imports.upload(ALICE, file_of(5).encode(), "replace")
    alice.page = page
    alice.send(action_of(alice, act))
    assert "Another file was uploaded since." in alice.text
    assert figures(alice)["New"] == "5"
    assert keys(app) == set()
    run(alice)
    assert "Done: 5 new" in alice.text


def test_a_file_that_runs_does_not_go_on_as_another(
    app: Flask, alice: Browser, imports: Imports
) -> None:
    send(alice, file_of(2 * PART_LINES))
    number = number_of(imports)
    imports.step(ALICE, number, by="")
    imports.upload(ALICE, file_of(3 * PART_LINES, "other").encode(), "replace")
    with pytest.raises(NotFound):
        imports.step(ALICE, number, by="")
    assert len(keys(app)) == PART_LINES


def test_a_page_that_was_overtaken_says_so(
    alice: Browser, imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(alice, file_of(2 * PART_LINES))
    step = imports.step

    def overtaken(user_id: int, import_id: int, *, by: str) -> object:
        imports.drop(user_id)
        return step(user_id, import_id, by=by)

    monkeypatch.setattr(imports, "step", overtaken)
    run(alice)
    assert "finished, left out or replaced" in alice.text
    assert "the rest waits" not in alice.text


def test_what_became_secret_meanwhile_needs_the_password(
    settings: Settings, time: Any
) -> None:
    app = create_app(settings.model_copy(update={"encryption_keys": (KEY,)}))
    alice = Browser(app.test_client(), "alice").sign_up().keep("a", "1")
    send(alice, json.dumps([{"key": "a", "value": "2"}])).open("/entries/import")
    page = alice.page
    alice.submit("/entries/a/edit", value="1", secret="yes")
    time.shift(timedelta(minutes=20))
    alice.page = page
    run(alice)
    assert alice.status == 403
    assert "Confirm your password" in alice.text
    alice.send("/confirm", confirm_password=alice.password)
    _ = alice.page.text
    assert "Done: 0 new, 1 changed" in alice.text


def test_a_file_that_is_dropped_while_it_runs_holds_up_neither(
    alice: Browser, imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both lock rows in the same order; SQLite has one writer in any case."""
    send(alice, file_of(3 * PART_LINES))
    number, do = number_of(imports), imports._do
    dropping: list[Future[None]] = []

    def slow(*given: Any) -> None:
        if not dropping:
            dropping.append(pool.submit(imports.drop, ALICE))
            clock_of_the_system.sleep(0.3)
        do(*given)

    monkeypatch.setattr(imports, "_do", slow)
    with ThreadPoolExecutor() as pool:
        assert imports.step(ALICE, number, by="").done == PART_LINES
    dropping[0].result()
    assert imports.waiting(ALICE) is None


def test_a_button_of_an_import_is_nothing_that_was_typed(
    alice: Browser, browser_of: Callable[[str], Browser]
) -> None:
    send(alice, file_of(1)).open("/entries/import")
    browser_of("alice").open("/sessions").send("/sessions/end-others")
    alice.send(action_of(alice, "run"))
    assert alice.path == "/login"
    assert "typed" not in alice.text
