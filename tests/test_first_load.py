"""What a page weighs on a first visit, with the longest that people can keep in it.

A page of a person comes uncompressed (BREACH), its files are compressed.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert

from config.settings import Settings
from tests.browser import Browser
from tests.entries.files import send
from webapp import clock, create_app
from webapp.accounts.models import Event, Token
from webapp.entries.inputs import NewEntry, NewValue
from webapp.entries.models import KEY_LENGTH, LABEL_LENGTH, MOST_LABELS, Day, Entry
from webapp.entries.service import Entries
from webapp.sessions.models import SessionRecord

FIRST_LOAD = 30_000
# What comes with each answer: the headers, about.
HEADERS = 600
# Where the numbers of entries have seven digits more than in a test.
LIGHT = FIRST_LOAD - 20 * 3 * 6
ALICE = 1
GZIP = {"Accept-Encoding": "gzip"}
# Of one byte, of four, of one that is five in HTML, and of one that is three in an
# address.
CHARACTERS = ("x", "🦀", "&", "'", "#")
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
AGENTS = [
    f"Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
    for system in ("Windows NT 10.0", "X11; Linux x86_64", "Android 16; Mobile")
    for version in (138, 139, 140)
]
FIREFOX = AGENTS[0]


@pytest.fixture(params=CHARACTERS)
def character(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def entries(app: Flask, alice: Browser) -> Entries:
    return app.extensions["entries"]  # type: ignore[no-any-return]


@pytest.fixture
def time_of_day() -> Iterator[Any]:
    with ExitStack() as stack:

        def travel(hour: int) -> None:
            when = datetime(2096, 9, 26, hour, 59, 58, tzinfo=UTC)
            stack.enter_context(time_machine.travel(when, tick=False))

        yield travel
    clock.start()


def linked(browser: Browser) -> list[str]:
    """Return the files of the page in hand, each once."""
    found = browser.tree.xpath("//link/@href | //script/@src | //img/@src")
    return list(dict.fromkeys(found))


def weight(browser: Browser, path: str) -> int:
    """Return the bytes of the page and of all its files, with their headers."""
    page = browser.client.get(path, headers=GZIP)
    assert page.status_code == 200, path
    return weight_of(browser.open(path), page)


def weight_of(browser: Browser, page: Any) -> int:
    files = [browser.client.get(link, headers=GZIP) for link in linked(browser)]
    return sum(len(answer.data) + HEADERS for answer in (page, *files))


def test_first_load_of_a_page_is_light(client: FlaskClient, alice: Browser) -> None:
    for at in range(21):
        alice.keep(f"An entry of usual length, number {at}", "of some words " * 20)
    pages = {"/": client, "/login": client, "/api": client} | dict.fromkeys(
        ["/entries", "/entries/new", "/sessions", "/account", "/entries/bin"],
        alice.client,
    )
    for path, who in pages.items():
        assert weight(Browser(who), path) < FIRST_LOAD, path


def test_a_list_is_light_whatever_is_in_it(
    alice: Browser, entries: Entries, character: str
) -> None:
    keep(entries, character, 45)
    older = str(alice.open("/entries").links()["Older →"])
    words = quote(character * 100)
    label = quote(labels_of(character)[0])
    for path in (
        *("/entries", older, f"/entries?q={words}"),
        *(f"/entries?label={label}", f"/entries?q={words}&label={label}"),
    ):
        assert len(alice.open(path).tree.xpath("//tbody/tr")) == 20
        assert weight(alice, path) < LIGHT, path


def test_the_bin_and_the_labels_are_light(
    alice: Browser, entries: Entries, character: str
) -> None:
    for key in keep(entries, character, 25):
        entries.delete(ALICE, key, entries.get(ALICE, key).version, by=FIREFOX)
    assert weight(alice, "/entries/bin") < LIGHT
    for number in range(40):
        labels = (f"{number:02}{at}{character * 37}" for at in range(MOST_LABELS))
        entries.create(ALICE, NewEntry(key=f"{number}", labels=tuple(labels)))
    assert weight(alice, "/labels") < LIGHT


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_large_value_is_shown_in_part_at_first(
    alice: Browser, entries: Entries, character: str, kind: str
) -> None:
    key, address = key_of(character), address_of(character)
    value = character * (250_000 // len(character.encode()))
    value = json.dumps([value], ensure_ascii=False) if kind == "json" else value
    create(entries, key, value, kind, character)
    change(entries, key, value.replace("[", "[1,") + "\n ", by_token(character))
    (past,) = alice.open(f"{address}/history").tree.xpath("//input[@name='old']/@value")
    for page in ("", "/delete", f"/history/{past}", f"/history/compare?old={past}"):
        assert weight(alice, address + page) < FIRST_LOAD, page


def test_a_comparison_of_many_lines_is_light(alice: Browser, entries: Entries) -> None:
    create(entries, "k", "a\n" * 60_000, "text", "x")
    change(entries, "k", "b\n" * 60_000)
    (past,) = alice.open("/entries/k/history").tree.xpath("//input[@name='old']/@value")
    assert weight(alice, f"/entries/k/history/compare?old={past}") < FIRST_LOAD


def test_the_history_of_an_entry_is_light(
    alice: Browser, entries: Entries, character: str
) -> None:
    key = key_of(character)
    for number in range(26):
        by = by_token(character)
        version = create(entries, key, f"{number}", "text", character).version
        change(entries, key, f"{number}!", by)
        entries.delete(ALICE, key, version + 1, by=by)
    assert weight(alice, f"{address_of(character)}/history") < LIGHT


def test_an_editor_weighs_what_its_value_weighs(
    alice: Browser, entries: Entries
) -> None:
    """Nothing comes twice, and quotation marks are no longer in HTML than in JSON."""
    weights = []
    for size in (0, 2_000):
        value = json.dumps([{"name": "harbour"}] * size)
        create(entries, f"{size:04}", value, "json", "x")
        weights.append(weight(alice, f"/entries/{size:04}/edit") - len(value))
    assert max(weights) - min(weights) < 10


@pytest.mark.parametrize("hour", [0, 6, 12, 18, 23])
def test_the_sessions_of_a_person_are_light(
    settings: Settings, time_of_day: Any, hour: int
) -> None:
    """The strips begin at another hour each hour, and so do the days of the table."""
    time_of_day(hour)
    app = create_app(settings)
    alice = Browser(app.test_client(), "alice").sign_up()
    random, now = Random(7), clock.now()  # noqa: S311
    rows = [
        {
            "id_hash": f"{number}",
            "user_id": ALICE,
            "kept": True,
            "user_agent": AGENTS[number % 7],
            "address": address_in(number),
            "created_at": now - number * HOUR,
            "expires_at": now + 900 * HOUR,
            "last_seen_at": now - random.randrange(40_000) * SECOND,
            "active_hours": f"{random.getrandbits(168):x}",
            "ended_at": now - number * HOUR if number > 49 else None,
            "end_reason": "ended from another session" if number > 49 else None,
        }
        for number in range(1, 200)
    ]
    with app.extensions["database"].write() as db:
        db.execute(insert(SessionRecord), rows)
    for path in pages_from(alice, "/sessions"):
        assert weight(alice, path) < LIGHT, path


def test_the_history_of_an_account_is_light(app: Flask, alice: Browser) -> None:
    events = [
        {
            "user_id": ALICE,
            "kind": "wrong one-time code",
            "about": "'" * 60,
            "address": address_in(number),
            "user_agent": "'" * 60,
            "created_at": clock.now() - number * HOUR,
        }
        for number in range(150)
    ]
    with app.extensions["database"].write() as db:
        db.execute(insert(Event), events)
    for path in pages_from(alice, "/account/history"):
        assert weight(alice, path) < LIGHT, path


def test_the_tokens_of_a_person_are_light(
    app: Flask, alice: Browser, character: str
) -> None:
    now = clock.now()
    rows = [
        {
            "user_id": ALICE,
            "token_hash": f"{number}",
            "can_read_secrets": True,
            "can_write": True,
            "name": f"{number:03}{character * 57}",
            "key_prefix": character * 200,
            "created_at": now - number * HOUR,
            "expires_at": now + HOUR,
            "last_used_at": now - SECOND,
            "address": address_in(number),
            "user_agent": character * 60,
            "ended_at": now if number > 49 else None,
            "end_reason": "password set with a code" if number > 49 else None,
        }
        for number in range(200)
    ]
    with app.extensions["database"].write() as db:
        db.execute(insert(Token), rows)
    for path in pages_from(alice, "/account/tokens"):
        assert weight(alice, path) < LIGHT, path


def test_what_an_import_would_do_is_told_lightly(
    alice: Browser, entries: Entries, character: str
) -> None:
    keys = keep(entries, character, 110)
    file = [{"key": key, "value": character * 400 + "!"} for key in keys]
    send(alice, json.dumps(file))
    assert weight(alice, "/entries/import") < LIGHT


def test_what_is_wrong_in_a_file_is_told_lightly(
    alice: Browser, character: str
) -> None:
    line = {"key": key_of(character), "value": 1, "labels": [character * 50] * 9}
    page = send(alice, json.dumps([line] * 200)).page
    assert page.status_code == 400
    assert weight_of(alice, page) < LIGHT


def test_a_whole_year_is_light(app: Flask, alice: Browser) -> None:
    random, today = Random(7), clock.now().date()  # noqa: S311
    days = [
        {
            "user_id": ALICE,
            "day": today - timedelta(days=ago),
            "writes": random.randrange(1, 9999),
            "size": random.randrange(10**7),
        }
        for ago in range(1, 370)
    ]
    with app.extensions["database"].write() as db:
        db.execute(insert(Day), days)
    assert weight(alice, "/overview") < LIGHT


def pages_from(browser: Browser, path: str) -> Iterator[str]:
    """Give the path of the list and those of its pages that follow."""
    following: str | None = path
    while following:
        yield following
        (following,) = browser.open(following).tree.xpath("//a[@rel='next']/@href") or [
            None
        ]


def key_of(character: str, number: int = 0) -> str:
    return f"{number:03}{character * KEY_LENGTH}"[:KEY_LENGTH]


def address_of(character: str) -> str:
    return f"/entries/{quote(key_of(character))}"


def labels_of(character: str) -> tuple[str, ...]:
    longest = character * LABEL_LENGTH
    return tuple(f"{number}{longest}"[:LABEL_LENGTH] for number in range(MOST_LABELS))


def keep(entries: Entries, character: str, count: int) -> list[str]:
    """Keep as many entries with all that can be long; return their keys."""
    keys = [key_of(character, number) for number in range(count)]
    with entries.at_once(ALICE):
        for key in keys:
            value = json.dumps(character * 500, ensure_ascii=False)
            create(entries, key, value, "json", character)
    return keys


def create(entries: Entries, key: str, value: str, kind: str, character: str) -> Entry:
    new = {"key": key, "value": value, "kind": kind, "labels": labels_of(character)}
    new_entry = NewEntry.model_validate(new)
    return entries.create(ALICE, new_entry, by=by_token(character))


def change(entries: Entries, key: str, value: str, by: str = FIREFOX) -> None:
    now = entries.get(ALICE, key)
    new = NewValue.model_validate({"kind": now.kind, "value": value})
    entries.change(ALICE, key, now.version, new, by=by)


def by_token(character: str) -> str:
    return f"token:{character * 60}"


def address_in(number: int) -> str:
    return f"2001:db8:1234:5678:9abc:def0:{number:04}:{number * 37 % 9999:04}"
