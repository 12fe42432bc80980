"""Sessions on every kind of store, without pages."""

from datetime import timedelta
from typing import Any

import pytest

from webapp import clock
from webapp.accounts.models import User
from webapp.database import Database
from webapp.hub import Hub
from webapp.sessions.copies import Copy
from webapp.sessions.models import Timeouts
from webapp.sessions.service import Origin, Policy, Sessions, Started
from webapp.stores import Store, open_store

HERE = Origin("127.0.0.1", "test")


@pytest.fixture
def store(store_url: str) -> Store:
    return open_store(store_url, "session")


@pytest.fixture
def sessions(database: Database, store: Store) -> Sessions:
    return make_sessions(database, store)


@pytest.fixture
def user_id(database: Database, sessions: Sessions) -> int:
    return add_user(database, "alice")


@pytest.fixture
def started(sessions: Sessions, user_id: int) -> Started:
    return sessions.start(user_id, HERE, name="alice")


def add_user(database: Database, name: str) -> int:
    user = User(name=name, name_key=name, password_hash="", created_at=clock.now())
    with database.write() as db:
        db.add(user)
        db.flush()
        return user.id


def make_sessions(database: Database, store: Store, **options: Any) -> Sessions:
    usual = Timeouts(
        options.get("idle", timedelta(hours=12)),
        options.get("lifetime", timedelta(days=30)),
    )
    policy = Policy(
        usual=usual,
        kept=Timeouts(timedelta(days=60), timedelta(days=60)),
        trust=options.get("trust", timedelta(seconds=60)),
        fresh_for=timedelta(minutes=15),
        most=options.get("most", 5000),
    )
    return Sessions(database, store, policy, Hub())


def resume(sessions: Sessions, started: Started) -> Copy:
    copy = sessions.resume(started.session_id)
    assert copy is not None
    return copy
