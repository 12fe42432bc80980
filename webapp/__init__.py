"""Holdfast: log in, keep named values, and find them there tomorrow.

`create_app` is the table of contents: every part of the application, bottom up.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from flask import Flask

from config.mistakes import RefusedToStart, naming
from config.settings import Settings, load_settings
from webapp import clock
from webapp.accounts.account_views import init_account
from webapp.accounts.authentication import Authentication
from webapp.accounts.code_views import init_codes
from webapp.accounts.codes import Codes
from webapp.accounts.hashing import HashingQueue
from webapp.accounts.history import History
from webapp.accounts.passwords import Passwords
from webapp.accounts.service import Accounts
from webapp.accounts.token_views import init_tokens
from webapp.accounts.tokens import Tokens
from webapp.accounts.views import init_accounts
from webapp.api.views import init_api
from webapp.application import Application
from webapp.cache import CachedValues, init_cache
from webapp.database import Database
from webapp.encryption import Encryption
from webapp.entries.days import Days
from webapp.entries.earlier import EarlierValues
from webapp.entries.imports import Imports
from webapp.entries.quota import Quota
from webapp.entries.secret_values import SecretValues
from webapp.entries.service import Entries
from webapp.entries.views import init_entries
from webapp.entries.writing import Writing
from webapp.holding import init_holding
from webapp.hub import Hub, open_hub
from webapp.limits import Limits, table_of
from webapp.live.service import Live
from webapp.live.views import init_live
from webapp.ops.cli import init_commands
from webapp.ops.exposition import Exposition
from webapp.ops.readiness import Readiness
from webapp.ops.upkeep import init_upkeep
from webapp.ops.views import init_ops
from webapp.proxies import init_proxies
from webapp.release import release_of
from webapp.sessions.models import Timeouts
from webapp.sessions.service import Policy, Sessions
from webapp.sessions.views import init_sessions
from webapp.state.copied import require_whole
from webapp.state.places import Places, init_places
from webapp.stores import Store, open_store
from webapp.web import init_web


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application; raises RefusedToStart with a reason for the operator."""
    settings = settings or load_settings()
    app = _bare_app(settings)

    database = app.extensions["database"] = _open_database(settings)
    session_store, cache_store = app.extensions["stores"] = _open_stores(settings)

    init_proxies(
        app, settings.trusted_proxies, redirects=settings.plain_http == "redirected"
    )
    init_web(app, settings.max_value_size, settings.max_import_size)
    cached = init_cache(app, cache_store)
    limits = Limits(database, table_of(settings))

    hub = app.extensions["hub"] = open_hub(cache_store, session_store)
    sessions = Sessions(database, session_store, _policy(settings), hub)
    history = History(database, sessions.records)
    tokens = Tokens(database, sessions, history)
    entries, earlier, imports, days = _entries(settings, database, cached, hub)
    init_entries(app, entries, earlier, imports, days)
    idempotency = init_api(app, settings, database, entries)
    init_sessions(app, sessions)

    authentication = Authentication(
        database, _passwords(settings, cache_store), limits, history, sessions.records
    )
    accounts = Accounts(database, authentication, sessions, cached, tokens)
    accounts.clearing += [entries.clear, imports.drop]
    init_accounts(app, accounts, sign_up_open=settings.sign_up == "open")
    init_codes(app, Codes(database, accounts, authentication, sessions, tokens))
    init_tokens(app, tokens)
    init_account(
        app,
        takeout={
            "account": accounts.export,
            "sessions": sessions.records.export,
            "tokens": tokens.export,
            "history": history.export,
            "entries": entries.export,
            "earlier_values": earlier.export,
            "days": days.export,
        },
    )

    init_upkeep(
        app,
        stores=[session_store.purge, cache_store.purge],
        records=[
            keeper.purge
            for keeper in (
                *(sessions, history, limits, tokens),
                *(earlier, imports, days, idempotency),
            )
        ],
    )
    init_commands(app)
    init_places(
        app,
        Places(settings, database, (session_store, cache_store), app.config["RELEASE"]),
    )
    init_ops(
        app,
        Readiness(database, session_store, cache_store),
        Exposition(settings.metrics_token, sessions.records.everybodys.count_alive),
    )
    init_live(app, Live(database, sessions.records), hub)
    init_holding(app)
    return app


def create_restoring_app(settings: Settings) -> Flask:
    """Build what `flask state restore` needs, which opens no records of before."""
    app = _bare_app(settings)
    app.extensions["stores"] = _open_stores(settings)
    init_commands(app, "webapp.ops.backup_commands")
    return app


def create_reporting_app(settings: Settings) -> Flask:
    """Build what `flask state` needs, also where the records are away."""
    app = _bare_app(settings)
    stores, database = _open_stores(settings), Database(settings.database)
    init_places(app, Places(settings, database, stores, app.config["RELEASE"]))
    init_commands(app)
    return app


def _bare_app(settings: Settings) -> Flask:
    clock.start()
    logging.getLogger("webapp").setLevel(settings.log_level.upper())
    app = Application(__name__)
    app.config["SETTINGS"] = settings
    app.config["RELEASE"] = release_of(Path(app.root_path))
    app.jinja_options = app.jinja_options | {"trim_blocks": True, "lstrip_blocks": True}
    return app


def _open_database(settings: Settings) -> Database:
    with naming(settings.source_of("database_url")):
        database = Database(settings.database)
        database.upgrade()
        require_whole(database)
    return database


def _open_stores(settings: Settings) -> tuple[Store, Store]:
    """Open both, or name every setting that is in the way."""
    opened, mistakes = [], []
    for name, url in (
        ("session", settings.session_store),
        ("cache", settings.cache_store),
    ):
        try:
            with naming(settings.source_of(f"{name}_url", "redis_url")):
                opened.append(_open_store(settings, url, name))
        except RefusedToStart as mistake:
            mistakes.append(str(mistake))
    if mistakes:
        raise RefusedToStart("\n".join(dict.fromkeys(mistakes)))
    session_store, cache_store = opened
    return session_store, cache_store


def _open_store(settings: Settings, url: str, name: str) -> Store:
    return open_store(url, name, any_certificate=settings.redis_certificate == "any")


def _policy(settings: Settings) -> Policy:
    return Policy(
        usual=Timeouts(settings.session_idle, settings.session_lifetime),
        kept=Timeouts(settings.kept_session_idle, settings.kept_session_lifetime),
        trust=settings.session_trust,
        fresh_for=settings.fresh_for,
        most=settings.max_sessions,
    )


def _breaches(settings: Settings, store: Store) -> Callable[[str], bool] | None:
    if settings.breached_passwords == "allowed":
        return None
    # Here, because requests takes 9 MB that nobody needs without it.
    from webapp.accounts.breaches import Breaches  # noqa: PLC0415

    return Breaches(settings.breached_passwords_url, store).has


def _passwords(settings: Settings, cache_store: Store) -> Passwords:
    return Passwords(
        memory_kib=settings.password_memory_kib,
        rounds=settings.password_rounds,
        min_length=settings.password_min_length,
        queue=HashingQueue(settings.hash_queue),
        is_breached=_breaches(settings, cache_store),
    )


def _entries(
    settings: Settings, database: Database, cached: CachedValues, hub: Hub
) -> tuple[Entries, EarlierValues, Imports, Days]:
    encryption = Encryption(settings.encryption_keys)
    secret_values = SecretValues(encryption)
    writing = Writing(database, cached, _quota(settings), secret_values, hub)
    entries = Entries(database, writing, secret_values)
    return (
        entries,
        EarlierValues(database, writing, secret_values, settings.bin_lifetime),
        Imports(database, entries, writing, encryption),
        Days(database),
    )


def _quota(settings: Settings) -> Quota:
    return Quota(
        entries=settings.max_entries,
        size=settings.max_entries_size,
        value_size=settings.max_value_size,
    )
