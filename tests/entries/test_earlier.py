"""What an entry was before: its history, the bin, and having it back."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from config.settings import Settings
from tests.browser import Browser
from webapp import clock, create_app
from webapp.accounts.inputs import NewAccount
from webapp.entries.earlier import PAGE, EarlierValues
from webapp.entries.inputs import ListQuery, NewEntry, NewValue
from webapp.entries.models import Entry, PastValue, Usage
from webapp.entries.service import Entries
from webapp.entries.writing import MOST_PAST
from webapp.errors import NotFound, QuotaReached, Taken

ALICE, BOB = 1, 2
# Ahead of the real time: the clock of the application does not go back.
START = "2096-03-01T12:00:00Z"
DAY = 24 * 3600


@pytest.fixture
def time(app: Flask) -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as time:
        yield time
    clock.start()


@pytest.fixture
def people(app: Flask) -> None:
    for name in ("alice", "bob"):
        app.extensions["accounts"].create(
            NewAccount(name=name, password="quiet-harbour-seven-boats")
        )


@pytest.fixture
def entries(app: Flask, people: None) -> Entries:
    return app.extensions["entries"]  # type: ignore[no-any-return]


@pytest.fixture
def earlier(app: Flask) -> EarlierValues:
    return app.extensions["earlier_values"]  # type: ignore[no-any-return]


def keep(entries: Entries, key: str, *values: str, user_id: int = ALICE) -> None:
    """Give it these values, one after the other."""
    for value in values:
        try:
            version = entries.get(user_id, key).version
        except NotFound:
            entries.create(user_id, NewEntry(key=key, value=value), by="first")
        else:
            entries.change(user_id, key, version, NewValue(value=value), by="then")


def delete(entries: Entries, key: str, user_id: int = ALICE) -> int:
    return entries.delete(user_id, key, entries.get(user_id, key).version, by="deleter")


def past(earlier: EarlierValues, key: str, user_id: int = ALICE) -> list[str]:
    return [row.value for row in earlier.history(user_id, key)]


def binned(earlier: EarlierValues, user_id: int = ALICE) -> list[str]:
    return [row.key for row in earlier.bin(user_id).rows]


def figures(app: Flask) -> tuple[Any, ...]:
    """Return what is counted of alice, after seeing that it is what there is."""
    with app.extensions["database"].read() as db:
        usage = db.execute(
            select(Usage.entries, Usage.size, Usage.past_size).where(
                Usage.user_id == ALICE
            )
        ).one()
        count, size = func.count(), func.coalesce(func.sum(Entry.size), 0)
        found = db.execute(select(count, size).where(Entry.user_id == ALICE)).one()
        past_size = func.coalesce(func.sum(PastValue.size), 0)
        of_past = select(past_size).where(PastValue.user_id == ALICE)
        assert (*found, db.execute(of_past).scalar()) == tuple(usage)
    return tuple(usage)


def test_each_value_is_kept_with_who_wrote_it_and_when(
    entries: Entries, earlier: EarlierValues, time: Any
) -> None:
    keep(entries, "k", "one")
    time.shift(60)
    keep(entries, "k", "two")
    time.shift(60)
    keep(entries, "k", "three")
    rows = earlier.history(ALICE, "k")
    assert [(row.value, row.written_by) for row in rows] == [
        ("two", "then"),
        ("one", "first"),
    ]
    assert (rows[0].updated_at - rows[1].updated_at).total_seconds() == 60
    now = entries.get(ALICE, "k")
    assert (now.value, now.written_by) == ("three", "then")
    assert earlier.history(BOB, "k") == []
    with pytest.raises(NotFound):
        earlier.get(BOB, rows[0].id)


def test_the_last_50_are_kept(
    app: Flask, entries: Entries, earlier: EarlierValues
) -> None:
    keep(entries, "other", "1", "2")
    keep(entries, "k", *map(str, range(MOST_PAST + 5)))
    assert past(earlier, "k") == list(map(str, range(MOST_PAST + 3, 3, -1)))
    assert past(earlier, "other") == ["1"]
    figures(app)


def test_earlier_values_take_as_much_room_as_entries_may_and_the_oldest_go(
    settings: Settings,
) -> None:
    small = settings.model_copy(update={"max_entries_size": 100})
    app = create_app(small)
    app.extensions["accounts"].create(
        NewAccount(name="alice", password="quiet-harbour-seven-boats")
    )
    entries, earlier = app.extensions["entries"], app.extensions["earlier_values"]
    keep(entries, "a", "x" * 29, "y" * 29, "z" * 29)
    keep(entries, "b", "x" * 29, "y" * 29)
    assert figures(app) == (2, 60, 90)
    keep(entries, "b", "z" * 29, "!")
    assert past(earlier, "a") == []
    assert past(earlier, "b") == ["z" * 29, "y" * 29, "x" * 29]
    keep(entries, "b", "x" * 69, "")
    assert past(earlier, "b") == ["x" * 69, "!"]
    figures(app)


def test_what_was_deleted_can_be_had_back_with_all_it_had(
    app: Flask, entries: Entries, earlier: EarlierValues, time: Any
) -> None:
    value = '{"a": 1}'
    entries.create(
        ALICE, NewEntry(key="k", kind="json", value=value, labels=("red", "blue"))
    )
    made = entries.get(ALICE, "k")
    time.shift(60)
    number = delete(entries, "k")
    assert binned(earlier) == ["k"]
    assert earlier.get(ALICE, number).deleted_by == "deleter"
    assert figures(app) == (0, 0, 9)
    with pytest.raises(NotFound):
        entries.get(ALICE, "k")
    with pytest.raises(NotFound):
        earlier.undelete(BOB, number)
    earlier.undelete(ALICE, number, by="me")
    again = entries.get(ALICE, "k")
    assert (again.kind, again.value, again.labels) == ("json", value, "red\nblue")
    assert (again.created_at, again.written_by) == (made.created_at, "me")
    assert again.version > made.version
    assert entries.page(ALICE, ListQuery(label="red")).rows[0].key == "k"
    assert binned(earlier) == []
    assert figures(app) == (1, 9, 0)
    with pytest.raises(NotFound):
        earlier.undelete(ALICE, number)


def test_nothing_comes_back_over_what_is_there_or_past_the_quota(
    settings: Settings,
) -> None:
    app = create_app(settings.model_copy(update={"max_entries": 1}))
    app.extensions["accounts"].create(
        NewAccount(name="alice", password="quiet-harbour-seven-boats")
    )
    entries, earlier = app.extensions["entries"], app.extensions["earlier_values"]
    keep(entries, "k", "old")
    number = delete(entries, "k")
    keep(entries, "k", "new")
    with pytest.raises(Taken):
        earlier.undelete(ALICE, number)
    delete(entries, "k")
    keep(entries, "another", "")
    with pytest.raises(QuotaReached):
        earlier.undelete(ALICE, number)
    assert binned(earlier) == ["k", "k"]


def test_the_bin_is_emptied_after_its_time(
    app: Flask, entries: Entries, earlier: EarlierValues, time: Any
) -> None:
    keep(entries, "first", "a", "b")
    delete(entries, "first")
    keep(entries, "bobs", "x", user_id=BOB)
    delete(entries, "bobs", BOB)
    time.shift(DAY)
    keep(entries, "second", "x", "y")
    delete(entries, "second")
    keep(entries, "first", "c", "d")
    time.shift(29 * DAY - 1)
    assert earlier.purge(100) == 0
    time.shift(1)
    assert binned(earlier) == ["second"], "also before it is cleared away"
    assert earlier.purge(1) == 1
    assert earlier.purge(100) == 1
    assert earlier.purge(100) == 0
    assert past(earlier, "first") == ["c"], "the history of the one that is there stays"
    assert past(earlier, "second") == ["y", "x"]
    assert past(earlier, "bobs", BOB) == []
    figures(app)
    time.shift(DAY)
    assert earlier.purge(100) == 1
    assert past(earlier, "second") == []
    assert figures(app) == (1, 6, 6)


def test_one_can_be_forgotten_at_once(
    app: Flask, entries: Entries, earlier: EarlierValues
) -> None:
    keep(entries, "k", "a", "b")
    number = delete(entries, "k")
    with pytest.raises(NotFound):
        earlier.forget(BOB, number)
    earlier.forget(ALICE, number)
    assert past(earlier, "k") == []
    assert figures(app) == (0, 0, 0)


def test_what_is_not_in_the_bin_is_not_forgotten_or_had_back(
    entries: Entries, earlier: EarlierValues
) -> None:
    keep(entries, "k", "a", "b")
    (row,) = earlier.history(ALICE, "k")
    for verb in (earlier.forget, earlier.undelete):
        with pytest.raises(NotFound):
            verb(ALICE, row.id)


def test_the_bin_goes_on_page_by_page(entries: Entries, earlier: EarlierValues) -> None:
    keys = [f"{number:02}" for number in range(PAGE + 3)]
    for key in keys:
        keep(entries, key, "")
        delete(entries, key)
    first = earlier.bin(ALICE)
    second = earlier.bin(ALICE, first.older)
    assert [row.key for row in (*first.rows, *second.rows)] == keys[::-1]
    assert second.older is None


def test_what_joins_happens_together_or_not_at_all(
    app: Flask, entries: Entries, earlier: EarlierValues
) -> None:
    def keep_two(second: str) -> None:
        with entries.at_once(ALICE):
            keep(entries, "a", "1")
            entries.create(ALICE, NewEntry(key=second))

    with pytest.raises(Taken):
        keep_two("a")
    assert entries.page(ALICE, ListQuery()).rows == []
    with entries.at_once(ALICE):
        keep(entries, "a", "1", "2")
        delete(entries, "a")
    assert past(earlier, "a") == ["2", "1"]
    figures(app)


def test_a_person_is_cleared_away_in_steps(
    app: Flask,
    entries: Entries,
    earlier: EarlierValues,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: list[tuple[Any, ...]] = []
    for number in range(25):
        keep(entries, f"{number:02}", "a", "b")
    keep(entries, "bobs", "a", "b", user_id=BOB)
    monkeypatch.setattr(
        "webapp.entries.writing.let_others_go", lambda: left.append(figures(app))
    )
    entries.clear(ALICE)
    assert [each[0] for each in left] == [15, 5, 5, 5, 5, 5]
    assert [each[2] for each in left] == [75, 75, 75, 45, 15, 15]
    app.extensions["accounts"].remove(ALICE)
    assert entries.page(ALICE, ListQuery()).rows == []
    assert past(earlier, "bobs", BOB) == ["a"]
    assert entries.get(BOB, "bobs").value == "b"


def test_the_history_page_compares_and_restores(alice: Browser) -> None:
    alice.keep("poem", "roses\nviolets\nsugar")
    for value in ("roses\nlilies\nsugar", "roses\nlilies\nsalt"):
        alice.submit("/entries/poem/edit", value=value)
    alice.open("/entries/poem").open(alice.links()["History"])
    assert "The last 2 values" in alice.text
    assert "by Werkzeug" in alice.text
    alice.page = alice.client.get(
        "/entries/poem/history/compare",
        query_string={"old": radio(alice, "old")[-1], "new": radio(alice, "new")[1]},
    )
    assert alice.tree.xpath("//del/text()") == ["violets"]
    assert alice.tree.xpath("//ins/text()") == ["lilies"]
    alice.open("/entries/poem/history").open(alice.tree.xpath("//td/a/@href")[-1])
    assert "violets" in alice.text
    alice.send(action=alice.tree.forms[-1].action)
    assert "Restored." in alice.text
    assert alice.value("poem") == "roses\nviolets\nsugar"
    assert "The last 3 values" in alice.open("/entries/poem/history").text


def radio(person: Browser, name: str) -> list[str]:
    found: list[str] = person.tree.xpath(f"//input[@name='{name}']/@value")
    return found


def test_undo_brings_back_what_was_deleted(alice: Browser) -> None:
    alice.keep("note", "hold this").open("/entries/note/delete").send(
        "/entries/note/delete"
    )
    assert "Deleted." in alice.text
    (undo,) = [form for form in alice.tree.forms if "/bin/" in (form.action or "")]
    alice.send(undo.action)
    assert "It is back." in alice.text
    assert alice.value("note") == "hold this"
    assert "The bin is empty." in alice.open("/entries/bin").text


def test_the_bin_page_restores_and_forgets(alice: Browser, bob: Browser) -> None:
    for key in ("one", "two"):
        alice.keep(key, f"value of {key}")
        alice.open(f"/entries/{key}/delete").send(f"/entries/{key}/delete")
    alice.open("/entries/bin")
    assert "two Werkzeug" not in alice.text
    restore, forget = (
        alice.tree.xpath(f"//button[contains(@formaction, '{verb}')]/@formaction")
        for verb in ("restore", "forget")
    )
    assert len(restore) == len(forget) == 2
    bob.open("/entries/bin")
    for action in (*restore, *forget):
        token = bob.tree.xpath("string(//input[@name='form_token']/@value)")
        answer = bob.client.post(action, data={"form_token": token})
        assert answer.status_code == 404
    alice.send(forget[0])
    assert "gone for good" in alice.text
    alice.send(alice.tree.xpath("//@formaction[contains(., 'restore')]")[0])
    assert alice.value("one") == "value of one"
    assert alice.open("/entries/two/history").status == 404


def test_a_key_can_be_called_as_a_page(alice: Browser) -> None:
    for key in ("bin", "import", "export", "history"):
        alice.keep(key, f"the value of {key}")
        assert alice.value(key) == f"the value of {key}"


def test_nobody_sees_anothers_history(alice: Browser, bob: Browser) -> None:
    alice.keep("k", "first").submit("/entries/k/edit", value="second")
    bob.keep("k", "bobs").submit("/entries/k/edit", value="again")
    address = alice.open("/entries/k/history").tree.xpath("//td/a/@href")[-1]
    assert alice.open(address).status == 200
    assert bob.open(address).status == 404
    number = address.rpartition("/")[2]
    assert bob.open(f"/entries/k/history/compare?old={number}").status == 404


@pytest.mark.parametrize(
    "query", ["", "old=x", "old=0", "old=99999999999999999999", "old=1&new=x", "old=7"]
)
def test_a_comparison_that_cannot_be_is_refused(alice: Browser, query: str) -> None:
    alice.keep("k", "first")
    assert alice.open(f"/entries/k/history/compare?{query}").status in (400, 404)
    assert alice.open("/entries/k/history/999").status == 404
    assert alice.open("/entries/bin?before=x").status == 400
    assert alice.open("/entries/none/history").status == 404


def test_the_download_has_earlier_values_too(
    alice: Browser, app: Flask, browser_of: Callable[[str], Browser]
) -> None:
    browser_of("bob").keep("bobs", "1").submit("/entries/bobs/edit", value="2")
    alice.keep("k", "one").submit("/entries/k/edit", value="two")
    alice.open("/entries/k/delete").send("/entries/k/delete")
    given = alice.open("/account/export").page.json["earlier_values"]
    assert [each["value"] for each in given] == ["one", "two"]
    assert given[0]["deleted_at"] is None
    assert given[1]["deleted_at"] is not None
