"""Answers of a limit are held for a moment where that takes no thread from anybody."""

from types import SimpleNamespace

import pytest
from flask import Flask, abort

from webapp import holding


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note how long each answer is held, where one thread serves everybody."""
    pauses: list[float] = []
    monkeypatch.setattr(holding, "is_one_thread", lambda: True)
    monkeypatch.setattr("webapp.holding.time", SimpleNamespace(sleep=pauses.append))
    return pauses


@pytest.fixture
def refusing() -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/<int:code>", "answer", abort)
    holding.init_holding(app)
    return app


def test_only_what_a_limit_refuses_is_held(refusing: Flask, held: list[float]) -> None:
    client = refusing.test_client()
    assert [client.get(f"/{status}").status_code for status in (401, 429, 503)] == [
        *(401, 429, 503)
    ]
    assert held == [holding.HELD]


def test_so_many_are_held_and_no_more(
    refusing: Flask, held: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = refusing.test_client()

    def ask_meanwhile(seconds: float) -> None:
        held.append(seconds)
        assert client.get("/429").status_code == 429

    monkeypatch.setattr(holding, "MOST", 3)
    monkeypatch.setattr("webapp.holding.time", SimpleNamespace(sleep=ask_meanwhile))
    assert client.get("/429").status_code == 429
    assert len(held) == 3
    client.get("/429")
    assert len(held) == 6, "those that have gone make room"


def test_no_thread_is_held(
    refusing: Flask, held: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "is_one_thread", lambda: False)
    assert refusing.test_client().get("/429").status_code == 429
    assert held == []
