"""Every kind of store, and each a second time."""

import pytest

from webapp.stores import Store, open_store


@pytest.fixture
def store(store_url: str) -> Store:
    return open_store(store_url, "test")


@pytest.fixture
def same_store(store: Store, store_url: str) -> Store:
    """The same place as another process would open it."""
    return store if store_url == "memory://" else open_store(store_url, "test")
