"""A range API of breached passwords, and who asks it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.accounts.range_server import BREACHED, RangeApi
from webapp.accounts import range_api
from webapp.accounts.breaches import Breaches
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
