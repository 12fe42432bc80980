"""Holdfast: log in, keep named values, and find them there tomorrow.

`create_app` is the table of contents: every part of the application, bottom up.
"""

import logging

from flask import Flask

from config.kinds import Rate
from config.settings import Settings, load_settings
from webapp import clock
from webapp.accounts.account_views import init_account
from webapp.accounts.authentication import Authentication
from webapp.accounts.hashing import HashingQueue
from webapp.accounts.history import History
from webapp.accounts.passwords import Passwords
from webapp.accounts.service import Accounts
from webapp.accounts.views import init_accounts
from webapp.cache import init_cache
from webapp.database import Database
from webapp.entries.service import Entries, Quota
from webapp.entries.views import init_entries
from webapp.limits import Delay, Limits
from webapp.ops.commands import init_ops
from webapp.ops.upkeep import init_upkeep
from webapp.sessions.records import Timeouts
from webapp.sessions.service import Policy, Sessions
from webapp.sessions.views import init_sessions
from webapp.stores import open_store
from webapp.web import init_web

# What a person can download, in this order.
EXPORTED = ("account", "sessions", "history", "entries")


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application; raises RefusedToStart with a reason for the operator."""
    settings = settings or load_settings()
    clock.start()
    logging.getLogger("webapp").setLevel(settings.log_level.upper())
    app = Flask(__name__)
    app.config["SETTINGS"] = settings
    app.jinja_options = app.jinja_options | {"trim_blocks": True, "lstrip_blocks": True}

    database = Database(settings.database)
    database.upgrade()
    session_store = open_store(settings.session_store, "session")
    cache_store = open_store(settings.cache_store, "cache")

    init_web(app, settings.trusted_proxies, largest_value=settings.max_value_size)
    cached = init_cache(app, cache_store)
    limits = Limits(database, _limits(settings))

    sessions = Sessions(database, session_store, _policy(settings))
    init_sessions(app, sessions)

    history = History(database, sessions.records)
    authentication = Authentication(
        database, _passwords(settings), limits, history, sessions.records
    )
    accounts = Accounts(database, authentication, sessions, cached)
    init_accounts(app, accounts, sign_up_open=settings.sign_up == "open")

    entries = Entries(database, cached, _quota(settings))
    init_entries(app, entries, cached)

    exports = [accounts.export, sessions.records.export, history.export, entries.export]
    init_account(app, dict(zip(EXPORTED, exports, strict=True)))

    stores = [session_store.purge, cache_store.purge]
    records = [sessions.purge, history.purge, limits.purge]
    init_upkeep(app, stores, records)
    init_ops(app, database)
    return app


def _limits(settings: Settings) -> dict[str, Rate | Delay]:
    """Name every limit there is. docs/sessions.md says what each is for."""
    growing = Delay(settings.login_attempts, settings.login_longest_wait)
    return {
        "account": growing,
        "device": growing,
        "source": settings.login_limit_source,
        "everyone": settings.login_limit_everyone,
        "sign-up": settings.sign_up_limit_source,
    }


def _policy(settings: Settings) -> Policy:
    return Policy(
        usual=Timeouts(settings.session_idle, settings.session_lifetime),
        kept=Timeouts(settings.kept_session_idle, settings.kept_session_lifetime),
        trust=settings.session_trust,
        fresh_for=settings.fresh_for,
        most=settings.max_sessions,
    )


def _passwords(settings: Settings) -> Passwords:
    return Passwords(
        memory_kib=settings.password_memory_kib,
        rounds=settings.password_rounds,
        min_length=settings.password_min_length,
        queue=HashingQueue(settings.hash_queue),
    )


def _quota(settings: Settings) -> Quota:
    return Quota(
        entries=settings.max_entries,
        size=settings.max_entries_size,
        value_size=settings.max_value_size,
    )
