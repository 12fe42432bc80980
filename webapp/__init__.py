"""Holdfast: log in, keep named values, and find them there tomorrow.

`create_app` is the table of contents: every part of the application, bottom up.
"""

import logging

from flask import Flask

from config.settings import Settings, load_settings
from webapp.accounts.passwords import Passwords
from webapp.accounts.service import Accounts
from webapp.accounts.views import init_accounts
from webapp.cache import init_cache
from webapp.database import Database
from webapp.entries.service import Entries, Quota
from webapp.entries.views import init_entries
from webapp.ops.commands import init_ops
from webapp.ops.upkeep import init_upkeep
from webapp.sessions.guard import init_guard
from webapp.sessions.interface import SessionInterface
from webapp.sessions.service import Sessions
from webapp.stores import open_store
from webapp.web import init_web


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application; raises RefusedToStart with a reason for the operator."""
    settings = settings or load_settings()
    logging.getLogger("webapp").setLevel(settings.log_level.upper())
    app = Flask(__name__)
    app.config["SETTINGS"] = settings
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}

    database = Database(settings.database)
    database.upgrade()
    session_store = open_store(settings.session_store, "session")
    cache_store = open_store(settings.cache_store, "cache")

    init_web(app, settings.trusted_proxies, largest_value=settings.max_value_size)

    sessions = Sessions(
        database,
        session_store,
        idle=settings.session_idle,
        lifetime=settings.session_lifetime,
        trust=settings.session_trust,
    )
    app.session_interface = SessionInterface(app, sessions)
    init_guard(app, login_endpoint="accounts.login")

    passwords = Passwords(
        memory_kib=settings.password_memory_kib,
        rounds=settings.password_rounds,
        min_length=settings.password_min_length,
    )
    accounts = Accounts(
        database, passwords, sessions, sign_up_open=settings.sign_up == "open"
    )
    init_accounts(app, accounts)

    cached = init_cache(app, cache_store)
    quota = Quota(
        entries=settings.max_entries,
        size=settings.max_entries_size,
        value_size=settings.max_value_size,
    )
    init_entries(app, Entries(database, cached, quota), cached)

    init_ops(app, database)
    init_upkeep(app, [session_store.purge, cache_store.purge, sessions.purge])
    return app
