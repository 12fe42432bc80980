"""What is long is shown in part, and the rest of it is where the part leads."""

import json

import pytest
from flask import Flask

from tests.browser import Browser
from tests.entries.files import send
from webapp.entries.comparing import beginning_of, compare
from webapp.entries.inputs import NewEntry, NewValue
from webapp.entries.models import KEY_LENGTH, LABEL_LENGTH, MOST_LABELS
from webapp.entries.service import Entries
from webapp.weight import count_fitting, cut, weigh, weigh_value

ALICE = 1
LONG = "k" * KEY_LENGTH
LABELS = tuple(f"{number}".ljust(LABEL_LENGTH, "l") for number in range(MOST_LABELS))
SIGNS = "<&'\"é🦀"


@pytest.fixture
def entries(app: Flask, alice: Browser) -> Entries:
    return app.extensions["entries"]  # type: ignore[no-any-return]


def shown(browser: Browser) -> str:
    return str(browser.tree.xpath("string(//pre)"))


def test_of_labels_that_have_no_room_the_list_says_how_many_there_are(
    alice: Browser, entries: Entries
) -> None:
    for number in range(20):
        entries.create(ALICE, NewEntry(key=f"{number} {LONG}"[:200], labels=LABELS))
    alice.open("/entries")
    row = alice.tree.xpath("//tbody/tr")[0]
    links = [link.text for link in row.iter("a")]
    assert links[0].startswith("19 kkk")
    assert links[0].endswith("…")
    assert links[1:-1] == list(LABELS[: len(links) - 2])
    assert links[-1] == f"+{MOST_LABELS + 2 - len(links)} more"
    alice.open(row.xpath(".//a/@href")[-1])
    assert alice.tree.xpath("string(//h1)") == f"19 {LONG}"[:200]
    assert set(LABELS) <= alice.links().keys()


def test_all_labels_of_few_entries_have_room(alice: Browser, entries: Entries) -> None:
    for number in range(5):
        entries.create(ALICE, NewEntry(key=f"{number}", labels=LABELS))
    assert len(alice.open("/entries").tree.xpath("//tbody/tr/td/a")) == 50


def test_the_number_of_an_entry_leads_to_it_and_nobody_else(
    alice: Browser, bob: Browser, entries: Entries
) -> None:
    alice.keep(LONG, "first").submit(f"/entries/{LONG}/edit", value="second")
    address = alice.open("/entries").link_to(LONG)
    assert shown(alice.open(address)) == "second"
    past = alice.open(f"/entries/{LONG}/history").tree.xpath("//td/a/@href")[-1]
    assert shown(alice.open(past)) == "first"
    for path in (address, past, f"{past}/history"):
        assert bob.open(path).status == 404
    entries.delete(ALICE, LONG, entries.get(ALICE, LONG).version)
    assert alice.open(address).status == 404
    links = alice.open("/entries/bin").links()
    assert "History of kkk" in alice.open(links["History"]).text


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_large_value_is_shown_from_its_beginning_and_then_as_a_whole(
    alice: Browser, kind: str
) -> None:
    value = f'["{"<&" + "é🦀" * 3_000}"]'
    alice.keep("k", value, kind)
    pages = ["/entries/k", "/entries/k/delete"]
    alice.submit("/entries/k/edit", value="[]").submit("/entries/k/edit", value=value)
    pages.append(alice.open("/entries/k/history").tree.xpath("//td/a/@href")[-1])
    for page in pages:
        part = shown(alice.open(page))
        assert value.startswith(part)
        assert 5_000 < len(part.encode()) < 10_000
        assert "of 18.0 kB. Show all of it" in alice.text
        assert shown(alice.open(alice.links()["Show all of it"])) == value
        assert "Show all of it" not in alice.text


def test_two_versions_of_a_large_value_are_shown_with_what_was_typed(
    alice: Browser, entries: Entries
) -> None:
    alice.keep("k", "x").open("/entries/k/edit")
    now, saved = entries.get(ALICE, "k"), "é" * 30_000
    entries.change(ALICE, "k", now.version, NewValue(value=saved))
    typed = "m" * 30_000
    alice.send(value=typed)
    assert alice.status == 409
    assert "These are the first" in alice.text
    assert saved.startswith(shown(alice))
    assert alice.tree.xpath("string(//textarea)") == typed
    assert alice.links()["Show all of it in another tab"] == "/entries/k?all=1"


def test_a_comparison_is_shown_from_its_beginning_and_then_as_a_whole(
    alice: Browser,
) -> None:
    alice.keep("k", "a\n" * 2_000).submit("/entries/k/edit", value="b" * 30_000)
    old = alice.open("/entries/k/history").tree.xpath("//input[@name='old']/@value")[0]
    alice.open(f"/entries/k/history/compare?old={old}&new=")
    assert "This is the beginning of what changed." in alice.text
    alice.open(alice.links()["Show all of it"])
    assert len(alice.tree.xpath("//del")) == 2_001
    assert alice.tree.xpath("string(//ins)") == "b" * 30_000


def test_of_much_that_went_and_much_that_came_both_are_seen(alice: Browser) -> None:
    alice.keep("k", "a\n" * 9_000).submit("/entries/k/edit", value="b\n" * 9_000)
    old = alice.open("/entries/k/history").tree.xpath("//input[@name='old']/@value")[0]
    alice.open(f"/entries/k/history/compare?old={old}")
    assert len(alice.tree.xpath("//del[text()='a']")) > 100
    assert len(alice.tree.xpath("//ins[text()='b']")) > 50


def test_of_two_long_lines_both_are_seen(alice: Browser) -> None:
    alice.keep("k", "a" * 30_000).submit("/entries/k/edit", value="b" * 30_000)
    old = alice.open("/entries/k/history").tree.xpath("//input[@name='old']/@value")[0]
    alice.open(f"/entries/k/history/compare?old={old}")
    assert alice.tree.xpath("string(//del)").startswith("aaa")
    assert alice.tree.xpath("string(//ins)").startswith("bbb")


def test_labels_and_histories_go_on_where_a_page_ends(
    alice: Browser, entries: Entries
) -> None:
    names = [f"{number:03} é&" for number in range(150)]
    for number in range(15):
        few = tuple(names[10 * number : 10 * number + 10])
        entries.create(ALICE, NewEntry(key=f"{number}", labels=few))
    assert pages(alice, "/labels", "//a[@class='label']/text()") == names
    for number in range(40):
        now = entries.get(ALICE, "1")
        entries.change(ALICE, "1", now.version, NewValue(value=f"{number}"))
    found = pages(alice, "/entries/1/history", "//input[@name='old']/@value")
    assert len(set(found)) == len(found) == 40
    assert found == sorted(found, key=int, reverse=True)
    assert "nothing older" in alice.open("/entries/1/history?before=1").text
    assert "no labels after" in alice.open("/labels?after=x").text


def pages(browser: Browser, path: str, what: str) -> list[str]:
    found: list[str] = []
    while path:
        tree = browser.open(path).tree
        found += tree.xpath(what)
        path = next(iter(tree.xpath("//a[@rel='next']/@href")), "")
    return found


@pytest.mark.parametrize("text", ["", "x" * 50, SIGNS * 10, "🦀" * 30])
def test_a_text_is_cut_at_a_character_and_never_weighs_more(text: str) -> None:
    for most in range(60):
        part = text[: count_fitting(text, most)]
        assert weigh(part) <= most
        assert part == text or weigh(text[: len(part) + 1]) > most
        assert cut(text, most) == (text if part == text else f"{part}…")


def test_quotation_marks_weigh_nothing_more_in_a_value() -> None:
    assert weigh_value(SIGNS) == 4 + 5 + 1 + 1 + 2 + 4


def test_of_many_changes_the_first_are_seen_and_one_gap() -> None:
    sizes = [4000] * 7 + [1] * 243
    old = [line for at, size in enumerate(sizes) for line in (f"{at}", "o" * size)]
    new = [line.replace("o", "n") for line in old]
    lines, is_part = beginning_of(compare("\n".join(old), "\n".join(new)), 9_700)
    assert is_part
    assert {line.change for line in lines} == {"same", "removed", "added", "gap"}
    changes = [line.change for line in lines]
    assert "gap gap" not in " ".join(changes)
    assert changes[-1] == "gap"
    assert sum(25 + weigh_value(line.text) for line in lines) < 10_000


def test_a_forecast_shows_where_two_values_differ(alice: Browser) -> None:
    old = '{"host": "a", "port": "1", "user": "b", "db": "c", "pw": "old"}'
    alice.keep("k", old, kind="json")
    new = json.dumps([{"key": "k", "value": old.replace("old", "new")}])
    send(alice, new)
    (gone,), (come,) = (alice.tree.xpath(f"//{tag}/text()") for tag in ("del", "ins"))
    assert "old" in gone
    assert "new" in come
