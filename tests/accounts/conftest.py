"""A range API of breached passwords and who asks it, codes, and what is hashed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.accounts.codes import code_of
from tests.accounts.range_server import BREACHED, RangeApi
from tests.browser import Browser
from webapp.accounts import range_api
from webapp.accounts.breaches import Breaches
from webapp.accounts.hashing import HashingQueue
from webapp.stores import Store, open_store


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[RangeApi]:
    # What else this machine does must not decide.
    monkeypatch.setattr(range_api, "TIMEOUT", 10.0)
    api = RangeApi()
    api.breach(BREACHED)
    yield api
    api.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "cache").as_uri(), "cache")


@pytest.fixture
def checks(api: RangeApi, store: Store) -> Breaches:
    return Breaches(api.url, store)


@pytest.fixture
def code(alice: Browser, operator: Callable[..., str]) -> str:
    """A code for alice, who has an account and forgot her password."""
    return code_of(operator("user make-code alice"))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note from where something was hashed."""
    sources: list[str] = []
    run = HashingQueue.run

    def note(self: HashingQueue, source: str, *rest: Any, **options: Any) -> Any:
        sources.append(source)
        return run(self, source, *rest, **options)

    monkeypatch.setattr(HashingQueue, "run", note)
    return sources
