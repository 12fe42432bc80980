"""Puts the API into the application."""

from flask import Flask

from config.settings import Settings
from webapp.api import account_views, article_views, document_views, entry_views
from webapp.api.address import AnyKey
from webapp.api.door import init_door
from webapp.api.idempotency import Idempotency
from webapp.api.listing import Listing
from webapp.api.operations import blueprint
from webapp.api.rates import Rates
from webapp.api.replay import init_replay
from webapp.api.service import Door
from webapp.database import Database
from webapp.encryption import Encryption
from webapp.entries.service import Entries

# Their import fills the table of operations.
VIEWS = (account_views, article_views, entry_views)


def init_api(
    app: Flask, settings: Settings, database: Database, entries: Entries
) -> Idempotency:
    """Serve programs. To be called before the guard, which asks whose token it is."""
    init_door(app, Rates(settings.api_limit))
    idempotency = Idempotency(database, Encryption(settings.encryption_keys))
    init_replay(app, idempotency)
    app.extensions["api_listing"] = Listing(database)
    needs_match = settings.api_if_match == "needed"
    app.extensions["api_door"] = Door(entries, needs_match=needs_match)
    app.url_map.converters["any_key"] = AnyKey
    app.register_blueprint(blueprint)
    app.register_blueprint(document_views.blueprint)
    return idempotency
