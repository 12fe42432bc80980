"""/healthz, /readyz and /metrics, and the ID of each request."""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import TimeoutError as PoolTimeout

from config.settings import Settings, load_settings
from tests.browser import Browser
from webapp import create_app
from webapp.errors import StoreUnavailable
from webapp.ops.readiness import Readiness

TOKEN = "quiet-harbour-seven"


class Part:
    """A database or a store that does what the test says."""

    def __init__(self, does: Callable[[], object]) -> None:
        self._does = does
        self.looks = 0

    def ping(self) -> None:
        self.looks += 1
        self._does()

    def set(self, _key: str, _value: Any, _timeout: int) -> bool:
        self.ping()
        return True


def readiness_of(database: Any, session_store: Any, cache_store: Any) -> Readiness:
    return Readiness(database, session_store, cache_store)


def well() -> None:
    pass


def away() -> None:
    raise StoreUnavailable("secret place")


def slow() -> None:
    time.sleep(1.5)


def test_every_part_is_told_with_its_time(app: Flask) -> None:
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 200
    found = json.loads(answer.text)
    assert found["ready"] is True
    parts = found["parts"]
    assert list(parts) == ["cached values", "database", "session data"]
    assert all(part["ok"] and 0 <= part["ms"] < 1000 for part in parts.values())


@pytest.mark.long
@pytest.mark.parametrize("trouble", [away, slow])
def test_a_part_in_trouble_is_named_within_a_second(trouble: Callable[[], Any]) -> None:
    readiness = readiness_of(Part(well), Part(trouble), Part(well))
    begin = time.monotonic()
    found = readiness.check()
    assert time.monotonic() - begin < 1.4, "not as long as the slow one takes"
    assert {name for name, part in found.items() if not part["ok"]} == {"session data"}
    assert found["session data"] == {"ok": False, "ms": None}


def test_asking_often_makes_no_part_work() -> None:
    database = Part(well)
    readiness = readiness_of(database, Part(well), Part(well))
    for _ in range(100):
        readiness.check()
    assert database.looks <= 2


def test_a_part_in_trouble_makes_it_503_and_its_place_stays_ours(app: Flask) -> None:
    parts = readiness_of(Part(away), Part(well), Part(well))
    app.extensions["readiness"] = parts
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    found = json.loads(answer.text)
    assert found["ready"] is False
    assert found["parts"]["database"] == {"ok": False, "ms": None}
    assert "secret place" not in answer.text


@pytest.mark.embedded
def test_a_database_file_that_another_process_holds_is_told_at_once(
    settings: Settings,
) -> None:
    """Waiting for it would keep everybody else waiting: SQLite does not yield."""
    app = create_app(settings)
    with closing(sqlite3.connect(settings.data_dir / "holdfast.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        answer = app.test_client().get("/readyz")
        assert time.monotonic() - begin < 1
    assert answer.status_code == 503
    assert json.loads(answer.text)["parts"]["database"] == {"ok": False, "ms": None}


def test_search_engines_may_read_what_is_public(client: FlaskClient) -> None:
    answer = client.get("/robots.txt")
    assert answer.mimetype == "text/plain"
    assert answer.text == "User-agent: *\nDisallow:\n"


def test_healthz_asks_nothing_of_anybody(app: Flask) -> None:
    app.extensions["readiness"] = readiness_of(*[Part(away)] * 3)
    answer = app.test_client().get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


@pytest.fixture
def guarded(settings: Settings) -> Flask:
    return create_app(settings.model_copy(update={"metrics_token": TOKEN}))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Authorization": "Bearer wrong"}, 403),
        ({"Authorization": TOKEN}, 403),
        ({"Authorization": "Bearer é"}, 403),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
    ],
)
def test_a_token_opens_the_metrics(
    guarded: Flask, headers: dict[str, str], status: int
) -> None:
    answer = guarded.test_client().get("/metrics", headers=headers)
    assert answer.status_code == status
    assert ("holdfast_requests_total" in answer.text) == (status == 200)


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.7", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 403),
        ("127.0.0.1", {"Forwarded": "for=192.0.2.7"}, 403),
        ("127.0.0.1", {"X-Real-IP": "192.0.2.7"}, 403),
        ("127.0.0.1", {"X-Forwarded-Proto": "https"}, 403),
        ("127.0.0.1", {"Via": "1.1 proxy"}, 403),
        ("192.0.2.7", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("unix:", {}, 403),
    ],
)
def test_without_one_they_are_for_this_machine(
    app: Flask, address: str, headers: dict[str, str], status: int
) -> None:
    at = {"REMOTE_ADDR": address}
    answer = app.test_client().get("/metrics", headers=headers, environ_base=at)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("peer", "person", "status"),
    [
        ("127.0.0.1", "127.0.0.1", 200),
        ("127.0.0.1", "192.0.2.7", 403),
        ("10.0.0.5", "127.0.0.1", 403),
        ("10.0.0.5", "192.0.2.7", 403),
    ],
)
def test_behind_a_proxy_both_must_be_on_this_machine(
    settings: Settings, peer: str, person: str, status: int
) -> None:
    app = create_app(settings.model_copy(update={"trusted_proxies": 1}))
    at, headers = {"REMOTE_ADDR": peer}, {"X-Forwarded-For": person}
    answer = app.test_client().get("/metrics", headers=headers, environ_base=at)
    assert answer.status_code == status


def test_what_happens_is_counted(app: Flask) -> None:
    before = _metrics(app)
    browser = Browser(app.test_client(), "alice")
    browser.sign_up()
    browser.open("/entries")
    app.test_client().open("/entries", method="BREW")
    wrong = {"name": "alice", "password": "not the right one"}
    app.test_client().post("/login", data=wrong)
    after = _metrics(app)

    def grown(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after.get(key, 0) - before.get(key, 0)

    opened = {"method": "GET", "route": "entries.index", "status": "200"}
    assert grown("holdfast_requests_total", **opened) >= 1
    assert grown("holdfast_requests_total", **opened | {"method": "BREW"}) == 0
    assert grown("holdfast_request_seconds_count", route="entries.index") >= 1
    assert grown("holdfast_passwords_total", result="wrong") == 1
    assert grown("holdfast_sessions_alive") <= 1
    assert after[("holdfast_sessions_alive", ())] >= 0


def test_sessions_alive_are_counted(app: Flask, alice: Browser, bob: Browser) -> None:
    bob.log_out()
    assert _metrics(app)[("holdfast_sessions_alive", ())] == 1


def test_metrics_go_on_without_the_database(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = app.extensions["database"]

    def fail() -> None:
        raise PoolTimeout

    monkeypatch.setattr(database, "read", fail)
    metrics = _metrics(app)
    assert ("holdfast_sessions_alive", ()) not in metrics
    assert any(name == "holdfast_requests_total" for name, _ in metrics)


def test_every_answer_has_an_id_of_its_own(app: Flask) -> None:
    given = {"X-Request-ID": "given-from-outside"}
    ids = []
    for path in ("/", "/nothing", "/static/style.css", "/entries?q=%ff"):
        with app.test_client().get(path, headers=given) as answer:
            ids.append(answer.headers["X-Request-ID"])
    assert len(set(ids)) == len(ids)
    assert "given-from-outside" not in ids


def test_the_id_of_a_trusted_proxy_is_kept(settings: Settings) -> None:
    app = create_app(load_settings(data_dir=settings.data_dir, trusted_proxies=1))
    for given, kept in (
        ("8f14e45f-ceea-467f", True),
        ("a b", False),
        ("x" * 65, False),
    ):
        answer = app.test_client().get("/", headers={"X-Request-ID": given})
        assert (answer.headers["X-Request-ID"] == given) == kept


def _metrics(app: Flask) -> dict[tuple[str, tuple[Any, ...]], float]:
    text = app.test_client().get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
