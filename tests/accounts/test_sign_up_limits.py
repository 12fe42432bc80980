"""How many accounts one address can make, and how they take turns with others."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from config.kinds import Rate
from config.settings import Settings
from tests.browser import PASSWORD
from webapp import create_app
from webapp.accounts.hashing import HashingQueue
from webapp.errors import Busy


@pytest.fixture
def strict_app(settings: Settings) -> Flask:
    changed = {"sign_up_limit_source": Rate(2, timedelta(hours=1))}
    return create_app(settings.model_copy(update=changed))


def sign_up(app: Flask, name: str, address: str) -> TestResponse:
    return app.test_client().post(
        "/signup",
        data={"name": name, "password": PASSWORD},
        environ_overrides={"REMOTE_ADDR": address},
    )


def test_one_network_makes_so_many_accounts_and_no_more(strict_app: Flask) -> None:
    for number in (1, 2):
        answer = sign_up(strict_app, f"name-{number}", f"2001:db8::{number}")
        assert answer.status_code == 303
    answer = sign_up(strict_app, "name-3", "2001:db8::3")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1800")
    assert "Too many attempts. Try again in 30 minutes." in answer.text
    assert sign_up(strict_app, "name-3", "2001:db8:0:1::1").status_code == 303


def test_who_is_turned_away_by_a_full_queue_has_not_used_it_up(
    strict_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turn_away(*_arguments: object, **_options: object) -> str:
        raise Busy("Too many passwords are waiting to be checked.")

    with monkeypatch.context() as patch:
        patch.setattr(HashingQueue, "run", turn_away)
        for _ in range(3):
            answer = sign_up(strict_app, "alice", "192.0.2.1")
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert sign_up(strict_app, "alice", "192.0.2.1").status_code == 303


def test_all_addresses_of_a_network_take_one_turn(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, run = set(), HashingQueue.run

    def note(self: HashingQueue, source: str, *rest: Any, **options: Any) -> Any:
        sources.add(source)
        return run(self, source, *rest, **options)

    monkeypatch.setattr(HashingQueue, "run", note)
    for number in range(3):
        sign_up(app, f"name-{number}", f"2001:db8::{number}")
    assert sources == {"2001:db8::/64"}
