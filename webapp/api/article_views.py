"""`/store` and `/retrieve`, as the article has them, for whoever is logged in."""

from flask import Response

from webapp.api import json_values
from webapp.api.asker import Asker
from webapp.api.conditions import etag_of
from webapp.api.entry_views import current_door
from webapp.api.models import Retrieved, RetrieveParameters, Stored, StoredValue
from webapp.api.operations import (
    FORM,
    JSON,
    Operation,
    conditions_of_request,
    operation,
    respond,
)
from webapp.api.service import new_value


@operation(
    Operation(
        "POST",
        "/store",
        {200: Stored},
        body=StoredValue,
        takes=(JSON, FORM),
        takes_values=True,
        is_conditional=True,
    )
)
def store(asker: Asker, body: StoredValue) -> Response:
    """Keep a value under a key, whether there is one or not."""
    is_text = isinstance(body.value, str)
    text = body.value if is_text else json_values.write(body.value)
    new = new_value("text" if is_text else "json", text, {})
    written = current_door().put(asker, body.key, new, conditions_of_request())
    return respond(Stored(message="Stored."), ETag=etag_of(written.entry))


@operation(
    Operation(
        "GET",
        "/retrieve",
        {200: Retrieved},
        query=RetrieveParameters,
        is_conditional=True,
    )
)
def retrieve(asker: Asker, query: RetrieveParameters) -> Response:
    """Give the value of a key."""
    entry, value = current_door().read(asker, query.key)
    conditions_of_request().check_read(etag_of(entry))
    said = json_values.Verbatim(value) if entry.kind == "json" else value
    return respond(Retrieved(value=said), ETag=etag_of(entry))
