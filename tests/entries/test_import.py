"""A file of entries: all of it or nothing, told before, and done in steps."""

import json
import re
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from time import thread_time
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from config.settings import Settings
from tests.browser import Browser
from tests.entries.files import action_of, export, figures, mistakes, run, send, take
from webapp import clock, create_app, pace
from webapp.entries.checking import MOST_MISTAKES, FileCheck, WrongLines
from webapp.entries.import_parts import PART_LINES, PARTS
from webapp.entries.imports import LIFETIME, Imports
from webapp.entries.inputs import NewEntry
from webapp.entries.models import Entry, EntryImport, EntryImportPart, Usage
from webapp.entries.service import Entries
from webapp.errors import NotFound

ALICE = 1
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
OTHER_KEY = "OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg="
SECRET = "the tide turns at noon"
START = "2096-03-01T12:00:00Z"


@pytest.fixture
def entries(app: Flask) -> Entries:
    return app.extensions["entries"]  # type: ignore[no-any-return]


@pytest.fixture
def imports(app: Flask) -> Imports:
    return app.extensions["imports"]  # type: ignore[no-any-return]


@pytest.fixture
def time() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


def lines(count: int, value: str = "v") -> str:
    return json.dumps([{"key": f"k{at}", "value": value} for at in range(count)])


def rows(app: Flask) -> tuple[int, int]:
    """How many imports wait, and in how many parts."""
    with app.extensions["database"].read() as db:
        counts = (
            db.scalar(select(func.count()).select_from(model))
            for model in (EntryImport, EntryImportPart)
        )
        return tuple(counts)


def values(app: Flask) -> dict[str, str]:
    return {
        entry["key"]: entry["value"]
        for entry in app.extensions["entries"].export(ALICE)
    }


def test_it_shows_what_would_change_and_changes_nothing_before_it_is_told_to(
    app: Flask, alice: Browser
) -> None:
    for key in ("old", "same"):
        alice.keep(key, key)
    send(alice, "key,value\nold,changed\nsame,same\nnew,1\n")
    assert figures(alice) == {"New": "1", "Changed": "1", "The same as now": "1"}
    assert alice.tree.xpath("//del/text()") == ["old"]
    assert alice.tree.xpath("//ins/text()") == ["changed"]
    assert values(app) == {"old": "old", "same": "same"}
    run(alice)
    assert "1 new, 1 changed, 1 left as they were" in alice.text
    assert values(app) == {"old": "changed", "same": "same", "new": "1"}
    assert rows(app) == (0, 0)
    assert "k" in alice.open("/entries").text


def test_keys_that_exist_can_be_left_as_they_are(app: Flask, alice: Browser) -> None:
    alice.keep("old", "old")
    send(alice, "key,value\nold,changed\nnew,1\n", mode="leave")
    assert figures(alice) == {
        "New": "1",
        "There already, and left": "1",
        "In the file": "2",
    }
    run(alice)
    assert values(app) == {"old": "old", "new": "1"}


def test_what_is_replaced_stays_in_the_history_also_when_changed_meanwhile(
    app: Flask, alice: Browser, entries: Entries
) -> None:
    alice.keep("k", "first")
    send(alice, "key,value\nk,last\n")
    version = entries.get(ALICE, "k").version
    new = NewEntry(key="k", value="between")
    entries.change(ALICE, "k", version, new, by="elsewhere")
    run(alice.open("/entries/import"))
    past = app.extensions["earlier_values"].history(ALICE, "k")
    assert [row.value for row in past] == ["between", "first"]
    assert entries.get(ALICE, "k").written_by.startswith("Werkzeug")


def test_what_a_file_does_not_say_stays(app: Flask, settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"encryption_keys": (KEY,)}))
    alice = Browser(app.test_client(), "alice").sign_up()
    entries = app.extensions["entries"]
    for key, kind in (("a", "json"), ("b", "json"), ("c", "text")):
        entries.create(
            ALICE,
            NewEntry.model_validate(
                {"key": key, "kind": kind, "value": "1", "secret": True,
                 "labels": ["red"], "expires_at": "2999-01-01T00:00:00Z"}
            ),
        )  # fmt: skip
    take(alice, "key,value\na,2\nb,no json\nc,2\n")
    found = {entry["key"]: entry for entry in entries.export(ALICE)}
    assert [found[key]["kind"] for key in "abc"] == ["json", "text", "text"]
    for entry in found.values():
        assert entry["secret"]
        assert entry["labels"] == ["red"]
        assert entry["expires_at"]
    take(alice, "key,value,secret,labels,expires_at\na,2,false,,\n")
    found = {entry["key"]: entry for entry in entries.export(ALICE)}
    assert (found["a"]["labels"], found["a"]["expires_at"]) == ([], None)
    assert not found["a"]["secret"]


WRONG = {
    "Line 3 · a The same key is in the file before: line 2.": "key,value\na,1\na,2",
    "Line 4 Give it a key.": 'key,value\na,"1\n"\n,2',
    "Line 2 · a It has 3 fields and the first line 2": "key,value\na,b,c",
    "Line 2 · a It has 1 field and the first line 2": "key,value\na",
    "Line 2 A field begins with a quote here, and no quote": 'key,value\n"a,b',
    "Line 2 After the quote at the end of a field": 'key,value\n"a"b,c',
    "Line 2 · a This is not JSON": "key,value,kind\na,{,json",
    "Line 2 · a Secret: This site cannot keep": "key,value,secret\na,b,true",
    "Line 2 · a Secret: This should be yes or no": "key,value,secret\na,b,maybe",
    "Line 2 · a End: Choose a time": "key,value,expires_at\na,b,2000-01-01T00:00",
    "Line 2 · a Labels: A label can have 40": f"key,value,labels\na,b,{'x' * 41}",
    "Line 1 “vlaue” is not known here": "key,value,vlaue\na,b,c",
    "Line 1 Two columns": "key,value,key\na,b,c",
    "Line 1 The first line has to name": "a,b\nc,d",
    "Line 1 There are no entries": "key,value\n\n\r\n",
    "Line 1 The file is empty": "\ufeff \n",
    "Line 1, entry 1 · a This should be text.": '[{"key": "a", "value": 5}]',
    "Line 1, entry 1 · a It has no value.": '[{"key": "a"}]',
    "Line 2, entry 1 This is no object": "[\n5]",
    "Line 1, entry 1 This is not JSON: nothing": '[{"key": "a", "value": NaN}]',
    "Line 1, entry 1 Two of its members": '[{"key": "a", "key": "b", "value": ""}]',
    "Line 1, entry 1 This is not JSON: half of": '[{"key": "a", "value": "\\ud800"}]',
    "Line 1, entry 1 · a A value cannot": '[{"key": "a", "value": "\\u0000"}]',
    "Line 1, entry 1 · a “no” is not known": '[{"key": "a", "value": "", "no": 1}]',
    "Line 1, entry 1 · a Its value": '[{"key":"a","value":null,"missing":"x"}]',
    "Line 1 This is not JSON: its end comes": '[{"key": "a", "value": ""}',
    "Line 1 This is not JSON: neither a comma": '[{"key": "a", "value": ""} {}]',
    "Line 1 This is not JSON: something after": '[{"key": "a", "value": ""}] x',
    "Line 1 This is JSON, and there are no": '{"key": "a", "value": ""}',
    "Line 1 This is JSON, and there": '{"entries": {}}',
}  # fmt: skip


@pytest.mark.parametrize(("told", "content"), WRONG.items())
def test_one_wrong_line_and_nothing_is_done(
    app: Flask, alice: Browser, told: str, content: str
) -> None:
    send(alice, content)
    assert alice.status == 400
    (mistake,) = mistakes(alice)
    assert mistake.startswith(told), mistake
    assert "Nothing was imported" in alice.text
    assert (values(app), rows(app)) == ({}, (0, 0))


def test_bytes_that_are_no_text_are_told_by_their_line(alice: Browser) -> None:
    for content in (b"key,value\n\xff,1", "key,value\nä,1".encode("latin-1")):
        assert mistakes(send(alice, content))[0].startswith("Line 2 This is no text")
    told = mistakes(send(alice, b"key,value\na,\0"))
    assert told == ["Line 2 There is a NUL character in it."]


def test_all_mistakes_are_told_but_no_more_than_a_page_has_room_for(
    alice: Browser,
) -> None:
    told = mistakes(send(alice, "key,value\n,a\nb,1\n" + ",c\n" * 200))
    assert told[:2] == ["Line 2 Give it a key.", "Line 4 Give it a key."]
    assert len(told) == MOST_MISTAKES


def test_the_quota_is_that_of_the_whole_file(settings: Settings) -> None:
    few = {"max_entries": 5, "max_entries_size": 100, "max_value_size": 50}
    app = create_app(settings.model_copy(update=few))
    alice = Browser(app.test_client(), "alice").sign_up().keep("old", "x" * 40)
    for content, told in {
        lines(6): "At most 5 entries can be kept",
        lines(5): "more than 5 entries",
        lines(2, "v" * 30): "more than 100 bytes",
        lines(1, "v" * 51): "at most 50 can be kept in one entry",
    }.items():
        assert told in mistakes(send(alice, content))[0]
    take(alice, "key,value\nold,x\nother," + "y" * 50)
    assert len(values(app)) == 2


def test_it_is_done_in_steps_and_goes_on_where_it_was(
    app: Flask, alice: Browser, imports: Imports, settings: Settings
) -> None:
    count = 3 * PART_LINES + 1
    send(alice, lines(count))
    waiting = imports.waiting(ALICE)
    assert waiting
    number = waiting.id
    progress = imports.step(ALICE, number, by="cut off")
    assert (progress.done, len(values(app))) == (PART_LINES, PART_LINES)
    again = create_app(settings)
    browser = Browser(again.test_client(), "alice").log_in()
    assert (
        f"{PART_LINES} of {count} lines are done"
        in browser.open("/entries/import").text
    )
    run(browser)
    assert f"Done: {count} new" in browser.text
    assert len(values(app)) == count
    with pytest.raises(NotFound):
        imports.step(ALICE, number, by="too late")
    with app.extensions["database"].read() as db:
        assert db.scalar(select(Usage.entries)) == count
        versions = db.scalars(select(Entry.version)).all()
    assert len(set(versions)) == count, "each write has its own"


def test_the_page_says_how_far_it_is_while_it_runs(
    app: Flask, alice: Browser, imports: Imports
) -> None:
    send(alice, lines(5 * PART_LINES))
    form = alice._form(action_of(alice, "run"), {})
    answer = alice.client.post(form.action, data=dict(form.form_values()))
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.text.count("<progress") == 4
    send(alice, lines(5 * PART_LINES, "other"))
    form = alice._form(action_of(alice, "run"), {})
    running = alice.client.post(
        form.action, data=dict(form.form_values()), buffered=False
    )
    pieces = list(islice(running.iter_encoded(), 3))
    running.close()
    assert f"{PART_LINES} of {5 * PART_LINES}".encode() in pieces[1]
    done = 2 * PART_LINES
    assert list(values(app).values()).count("other") == done, "the browser was closed"
    alice.open("/entries/import")
    assert f"{done} of {5 * PART_LINES} lines are done" in alice.text


def test_a_step_that_fails_leaves_what_was_done_and_says_so(
    settings: Settings,
) -> None:
    few = settings.model_copy(update={"max_entries": PART_LINES + 4})
    app = create_app(few)
    alice = Browser(app.test_client(), "alice").sign_up()
    send(alice, lines(PART_LINES + 4))
    imports = app.extensions["imports"]
    imports.step(ALICE, imports.waiting(ALICE).id, by="cut off")
    alice.keep("between", "1")
    run(alice.open("/entries/import"))
    assert "It stopped: You have" in alice.text
    assert len(values(app)) == PART_LINES + 1
    alice.open("/entries/import").send(action_of(alice, "drop"))
    assert rows(app) == (0, 0)
    assert len(values(app)) == PART_LINES + 1


def test_another_file_takes_the_place_of_one_that_waits(
    app: Flask, alice: Browser, bob: Browser, imports: Imports
) -> None:
    send(bob, lines(2))
    imports.upload(ALICE, lines(50).encode(), "replace")
    imports.upload(ALICE, lines(3).encode(), "replace")
    assert rows(app) == (2, 2)
    alice.open("/entries/import")
    assert figures(alice)["New"] == "3"
    alice.send(action_of(alice, "drop"))
    assert rows(app) == (1, 1)
    assert "There is nothing left to import." in _post(alice, "run").text
    assert figures(bob.open("/entries/import"))["New"] == "2"


def test_what_waits_is_gone_after_a_day(
    app: Flask, alice: Browser, time: Any, imports: Imports
) -> None:
    imports.upload(ALICE, lines(PART_LINES * 30).encode(), "replace")
    upkeep = app.extensions["upkeep"]
    time.shift(LIFETIME.total_seconds() - 1)
    upkeep.purge_all()
    assert rows(app) == (1, 30)
    time.shift(1)
    assert imports.waiting(ALICE) is None
    assert imports.purge(100) == PARTS
    upkeep.purge_all()
    assert rows(app) == (0, 0)


def test_it_goes_with_the_account(app: Flask, alice: Browser) -> None:
    send(alice, lines(25))
    app.extensions["accounts"].remove(ALICE)
    assert rows(app) == (0, 0)


def test_secret_values_wait_encrypted_and_are_not_shown(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"encryption_keys": (KEY,)}))
    alice = Browser(app.test_client(), "alice").sign_up()
    file = f"key,value,secret\nk,{SECRET},true\n"
    take(alice, file)
    send(alice, file.replace("noon", "night"))
    assert figures(alice)["Changed"] == "1"
    assert "the tide" not in alice.text
    with app.extensions["database"].read() as db:
        kept = (*db.scalars(select(EntryImport.forecast)),
                *db.scalars(select(EntryImportPart.content)))  # fmt: skip
    assert len(kept) == 2
    assert all(re.fullmatch(r"[\w=-]{100,}", text, re.ASCII) for text in kept), "tokens"
    other = create_app(settings.model_copy(update={"encryption_keys": (OTHER_KEY,)}))
    assert other.extensions["imports"].waiting(ALICE).forecast is None


def test_replacing_what_is_secret_needs_the_password(
    settings: Settings, time: Any
) -> None:
    app = create_app(settings.model_copy(update={"encryption_keys": (KEY,)}))
    alice = Browser(app.test_client(), "alice").sign_up()
    take(alice, f"key,value,secret\nk,{SECRET},true\n")
    time.shift(1000)
    take(alice, "key,value\nk,other\n")
    assert "Confirm your password" in alice.text
    assert values(app) == {"k": SECRET}
    alice.send(confirm_password=alice.password)
    assert "1 changed" in alice.text
    assert values(app) == {"k": "other"}


def test_no_more_is_received_than_may_be_imported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings.model_copy(update={"max_import_size": 300_000}))
    alice = Browser(app.test_client(), "alice").sign_up()
    file = "key,value\n" + "".join(f"k{at},{'v' * 1000}\n" for at in range(280))
    assert send(alice, file).status == 200
    alice.send(action_of(alice, "drop"))
    assert send(alice, file * 2).status == 413
    large = {"mode": "x" * 200_000, "file": (BytesIO(b"x"), "f")}
    assert alice.client.post("/entries/import", data=large).status_code == 413
    visitor = app.test_client().post(
        "/entries/import", data={"file": (BytesIO(b"x" * 100_000), "f")}
    )
    assert visitor.status_code in (303, 413)


def test_a_form_from_elsewhere_does_nothing(app: Flask, alice: Browser) -> None:
    send(alice, lines(1))
    for path in ("", "/run", "/drop"):
        answer = alice.client.post(f"/entries/import{path}")
        assert answer.status_code == 403
    assert rows(app) == (1, 1)
    assert values(app) == {}


M = 3_000_000
HOSTILE = {
    "brackets": "[" * M,
    "arrays": "[" + "[]," * M,
    "members": "{" + '"a":1,' * (M // 2),
    "elsewhere": '{"x":[' + "[]," * (M // 10) + '0],"entries":[]}',
    "text": '["' + "a" * M,
    "quotes": '["' + '\\"' * M,
    "spaces": "[" + " " * M,
    "columns": "key,value\n" + "," * M,
    "open": 'key,value\n"' + "a" * M,
    "doubled": 'key,value\n"' + '""' * M,
    "blank": "key,value\n" + "\n" * M,
    "labels": "key,value,labels\na,b," + "x\t" * M,
}


@pytest.mark.embedded
@pytest.mark.long
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_holds_nobody_up(
    content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock()
    monkeypatch.setattr(pace, "time", clock)
    check = FileCheck(lambda _new: None, largest=256_000, most=10_000)
    with pytest.raises(WrongLines):
        check.read(content.encode())
    assert max(clock.gaps()) < 0.25, "it is 0.03 s on a machine that does nothing else"


class _Clock:
    """Notes how long this thread worked between two pauses."""

    def __init__(self) -> None:
        self.monotonic = self._now = thread_time
        self._pauses = [self._now()]

    def sleep(self, _seconds: float) -> None:
        self._pauses.append(self._now())

    def gaps(self) -> list[float]:
        ends = [*self._pauses[1:], self._now()]
        return [end - start for start, end in zip(self._pauses, ends, strict=True)]


def _post(browser: Browser, act: str) -> Browser:
    form = browser.open("/entries/import")._form("/logout", {})
    browser.page = browser.client.post(
        f"/entries/import/{act}", data=dict(form.form_values()), follow_redirects=True
    )
    return browser


def test_what_was_imported_is_what_was_exported(alice: Browser, bob: Browser) -> None:
    take(alice, lines(30))
    take(bob, export(alice, "csv"))
    assert export(bob, "json") == export(alice, "json")
