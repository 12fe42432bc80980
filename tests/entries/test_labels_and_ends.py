"""Labels find entries, and what has an end is gone from then on."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from config.settings import Settings
from tests.browser import Browser
from webapp import clock, create_app
from webapp.entries.earlier import EarlierValues
from webapp.entries.inputs import ListQuery, NewEntry, NewValue
from webapp.entries.models import Entry, Label, PastValue
from webapp.entries.service import Entries
from webapp.errors import NotFound, QuotaReached

ALICE = 1
# Ahead of the real time: the clock of the application does not go back.
START = "2096-03-01T12:00:00Z"
HOUR = timedelta(hours=1)


@pytest.fixture
def time(app: Flask, alice: Browser) -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as time:
        alice.enter("/login")
        yield time
    clock.start()


@pytest.fixture
def entries(app: Flask, alice: Browser) -> Entries:
    return app.extensions["entries"]  # type: ignore[no-any-return]


@pytest.fixture
def earlier(app: Flask) -> EarlierValues:
    return app.extensions["earlier_values"]  # type: ignore[no-any-return]


def count(app: Flask, model: Any) -> int:
    with app.extensions["database"].read() as db:
        return db.execute(select(func.count()).select_from(model)).scalar() or 0


def until(end: datetime | None = None, **left: float) -> str:
    end = end or clock.now() + timedelta(**left)
    return f"{end:%Y-%m-%dT%H:%M:%S}"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("red, blue", "red\nblue"), (" red ,,red,", "red"), ("", ""), ("é 🦀", "é 🦀"),
        (",".join("abcdefghij"), "\n".join("abcdefghij")), ("x" * 40, "x" * 40),
        ("Red,red", "Red\nred"), ("<b>,'\"", "<b>\n'\""), ("a\u2028b", "a\u2028b"),
    ],
)  # fmt: skip
def test_labels_are_typed_with_commas_between(
    alice: Browser, entries: Entries, typed: str, kept: str
) -> None:
    alice.submit("/entries/new", key="k", value="v", labels=typed)
    assert entries.get(ALICE, "k").labels == kept
    for label in filter(None, kept.split("\n")):
        address = alice.open("/entries/k").links()[label]
        assert "k" in alice.open(address).links()
        assert label in alice.open("/entries").links()


@pytest.mark.parametrize("typed", [",".join("abcdefghijk"), "x" * 41, "a\tb", "a\0b"])
def test_labels_that_cannot_be_are_explained_and_kept_in_the_form(
    alice: Browser, typed: str
) -> None:
    alice.submit("/entries/new", key="k", value="v", labels=typed)
    assert alice.status == 400
    assert alice.tree.xpath("string(//*[@id='labels-error'])")
    assert alice.tree.xpath("string(//*[@id='key']/@value)") == "k"


def test_the_list_of_a_label_has_those_only_and_is_searched_and_turned(
    alice: Browser, entries: Entries
) -> None:
    for number in range(45):
        label = ("even", "odd")[number % 2]
        entries.create(ALICE, NewEntry(key=f"{number:02}", labels=(label, "all")))
    alice.open("/entries?label=even")
    assert "Those with the label even" in alice.text
    seen = [link for link in alice.links() if link.isdigit()]
    alice.open(alice.links()["Older →"])
    seen += [link for link in alice.links() if link.isdigit()]
    assert seen == [f"{number:02}" for number in range(44, -1, -2)]
    alice.open("/entries?label=even&q=4")
    assert [link for link in alice.links() if link.isdigit()] == [
        *("44", "42", "40", "34", "24", "14", "04")
    ]
    assert "No entry has the label “none”" in alice.open("/entries?label=none").text
    assert alice.open(f"/entries?label={'x' * 201}").status == 400


def test_all_labels_are_listed_with_how_many_have_each(
    time: Any, alice: Browser, bob: Browser, entries: Entries
) -> None:
    assert "No entry has a label" in alice.open("/labels").text
    bob.submit("/entries/new", key="bobs", value="v", labels="his")
    for number, ends in enumerate((None, None, clock.now() + HOUR)):
        labels = ("all", f"<{number}>")
        entries.create(ALICE, NewEntry(key=f"{number}", labels=labels, expires_at=ends))
    listed = ["<0> 1 entry", "<1> 1 entry", "<2> 1 entry", "all 3 entries"]
    assert items(alice.open("/labels")) == listed
    time.shift(HOUR)
    assert items(alice.open("/labels")) == [*listed[:2], "all 2 entries"], "at once"
    alice.open(alice.links()["<1>"])
    assert "Those with the label <1>" in alice.text


def items(browser: Browser) -> list[str]:
    found = browser.tree.xpath("//ul[@class='lines']/li")
    return [" ".join(each.text_content().split()) for each in found]


def test_labels_change_with_the_entry_and_go_with_it(
    app: Flask, alice: Browser, bob: Browser, entries: Entries
) -> None:
    bob.submit("/entries/new", key="bobs", value="v", labels="red")
    alice.submit("/entries/new", key="k", value="v", labels="red, blue")
    alice.submit("/entries/k/edit", labels="blue, green")
    assert entries.page(ALICE, ListQuery(label="red")).rows == []
    assert "k" in alice.open("/entries?label=green").links()
    version = entries.get(ALICE, "k").version
    entries.change(ALICE, "k", version, NewValue(value="other"))
    assert entries.get(ALICE, "k").labels == "blue\ngreen", "not said, not changed"
    alice.submit("/entries/k/edit", labels="")
    assert entries.get(ALICE, "k").labels == ""
    assert count(app, Label) == 1
    alice.submit("/entries/k/edit", labels="red")
    alice.open("/entries/k/delete").send("/entries/k/delete")
    assert count(app, Label) == 1


def test_what_has_ended_is_gone_everywhere_at_once(
    time: Any, alice: Browser, entries: Entries
) -> None:
    end = until(seconds=90)
    alice.submit("/entries/new", key="ends", value="soon", labels="l", expires_at=end)
    alice.submit("/entries/new", key="stays", value="soon")
    assert "ends" in alice.open("/entries").links()
    assert "ends" in alice.open("/entries").links(), "and from the cache"
    assert " · ends " in alice.open("/entries/ends").text
    time.shift(89)
    assert "ends" in alice.open("/entries").links()
    time.shift(1)
    for path in ("/entries", "/entries?q=soon", "/entries?label=l"):
        assert "ends" not in alice.open(path).links(), path
    assert alice.open("/entries/ends").status == 404
    assert alice.open("/entries/ends/edit").status == 404
    exported = [each["key"] for each in entries.export(ALICE)]
    assert exported == ["stays"]
    alice.submit("/entries/new", key="ends", value="anew")
    assert alice.value("ends") == "anew"
    assert entries.get(ALICE, "ends").expires_at is None


def test_it_is_cleared_away_in_steps_with_its_history(
    app: Flask, time: Any, entries: Entries, earlier: EarlierValues
) -> None:
    soon = clock.now() + HOUR
    for number in range(5):
        new = NewEntry(key=f"{number}", value="v", expires_at=soon, labels=("l",))
        entry = entries.create(ALICE, new)
        entries.change(ALICE, f"{number}", entry.version, NewValue(value="w"))
    version = entries.get(ALICE, "4").version
    entries.change(ALICE, "4", version, NewValue(value="x", expires_at=None))
    assert earlier.purge(100) == 0
    time.shift(HOUR)
    assert [earlier.purge(3), earlier.purge(3), earlier.purge(3)] == [3, 1, 0]
    assert (count(app, Entry), count(app, PastValue), count(app, Label)) == (1, 2, 1)
    assert entries.figures(ALICE).entries == 1
    assert entries.get(ALICE, "4").value == "x"


@pytest.mark.parametrize("new", ["short", "x" * 4000])
def test_what_has_ended_is_in_nobodys_way(settings: Settings, new: str) -> None:
    """Until it is cleared away its owner can neither see nor delete it."""
    limits = {"max_entries": 12, "max_entries_size": 5000}
    app = create_app(settings.model_copy(update=limits))
    Browser(app.test_client(), "alice").enter("/signup")
    entries: Entries = app.extensions["entries"]
    with time_machine.travel(START, tick=False) as time:
        for number in range(12):
            value = "x" * (300 if number % 2 else 3)
            end = clock.now() + HOUR
            entries.create(
                ALICE, NewEntry(key=f"{number}", value=value, expires_at=end)
            )
        with pytest.raises(QuotaReached):
            entries.create(ALICE, NewEntry(key="new", value=new))
        time.shift(HOUR)
        entries.create(ALICE, NewEntry(key="new", value=new))
        assert entries.totals(ALICE)[0] == count(app, Entry) < 13
        entries.create(ALICE, NewEntry(key="newer", value="too"))
        found = entries.page(ALICE, ListQuery()).rows
        assert [row.key for row in found] == ["newer", "new"]
    clock.start()


def test_what_ends_before_it_is_changed_is_not_changed(
    time: Any, alice: Browser, entries: Entries
) -> None:
    alice.submit("/entries/new", key="k", value="v", expires_at=until(minutes=1))
    alice.open("/entries/k/edit")
    time.shift(60)
    alice.send(value="late")
    assert "Choose a time in the future" in alice.text
    alice.send(value="late", expires_at="")
    assert alice.status == 404
    assert "is deleted" in alice.text
    alice.send(value="late")
    assert alice.value("k") == "late"


@pytest.mark.parametrize(
    "typed",
    [
        "2096-03-01T12:00:00", "2001-01-01T00:00", "tomorrow", "9999-12-31T23:59:59",
        "2096-13-01T00:00", "99999-01-01T00:00", "0001-01-01T00:00:00+14:00",
    ],
)  # fmt: skip
def test_an_end_that_cannot_be_is_explained(
    time: Any, alice: Browser, typed: str
) -> None:
    alice.submit("/entries/new", key="k", value="v", expires_at=typed)
    assert alice.status == 400
    assert alice.tree.xpath("string(//*[@id='expires_at-error'])")
    assert alice.tree.xpath("string(//*[@id='expires_at']/@value)") == typed


def test_editing_keeps_the_end_unless_it_is_emptied(
    time: Any, alice: Browser, entries: Entries
) -> None:
    alice.submit("/entries/new", key="k", value="v", expires_at=until(hours=1))
    end = entries.get(ALICE, "k").expires_at
    assert end == clock.now() + HOUR
    alice.submit("/entries/k/edit", value="w")
    assert entries.get(ALICE, "k").expires_at == end
    with pytest.raises(NotFound):
        entries.get(2, "k")
    alice.submit("/entries/k/edit", expires_at="")
    assert entries.get(ALICE, "k").expires_at is None
