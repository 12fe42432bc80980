"""Entries by HTTP: the list, one, several at once."""

from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlencode

from flask import Response, current_app, request, url_for

from webapp.api import json_values
from webapp.api.asker import Asker
from webapp.api.conditions import etag_of
from webapp.api.listing import TYPES, Listing
from webapp.api.models import (
    Batch,
    BatchResults,
    EntryList,
    Increment,
    Incremented,
    ListParameters,
    PutParameters,
)
from webapp.api.operations import (
    JSON,
    MERGE_PATCH,
    TEXT,
    Operation,
    check_acceptable,
    conditions_of_request,
    operation,
    respond,
    respond_empty,
)
from webapp.api.service import Door, Written, new_value
from webapp.errors import Invalid

LIST = "/api/v1/entries"
ONE = f"{LIST}/<any_key:key>"


@operation(Operation("GET", LIST, {200: EntryList}, query=ListParameters))
def list_entries(asker: Asker, query: ListParameters) -> Response:
    """List entries in the order of their keys, without values."""
    listing = cast(Listing, current_app.extensions["api_listing"])
    entries, cursor = listing.read(asker.user_id, query, asker.prefix)
    if cursor is None:
        return respond(EntryList(entries=entries, next=None))
    parameters = request.args.to_dict() | {"cursor": cursor}
    following = f"{request.script_root}{LIST}?{urlencode(parameters)}"
    answer = EntryList(entries=entries, next=following)
    return respond(answer, Link=f'<{following}>; rel="next"')


@operation(Operation("GET", ONE, {200: None}, is_raw=True, is_conditional=True))
def get_entry(asker: Asker, key: str) -> Response:
    """Give the value of an entry as it was put: JSON or text."""
    entry, value = current_door().read(asker, key)
    check_acceptable(TYPES[entry.kind])
    conditions_of_request().check_read(etag_of(entry))
    return _raw(value, entry)


@operation(
    Operation(
        "PUT",
        ONE,
        {201: None, 204: None},
        query=PutParameters,
        takes=(JSON, TEXT),
        is_raw=True,
        is_conditional=True,
    )
)
def put_entry(asker: Asker, key: str, query: PutParameters, body: bytes) -> Response:
    """Keep a value, JSON or text, whether there is one under this key or not."""
    kind = "json" if request.mimetype == JSON else "text"
    new = new_value(kind, _decode(body), query.model_dump(exclude_unset=True))
    return _written(key, current_door().put(asker, key, new, conditions_of_request()))


@operation(
    Operation(
        "PATCH",
        ONE,
        {200: None, 204: None},
        takes=(MERGE_PATCH,),
        is_raw=True,
        is_conditional=True,
    )
)
def patch_entry(asker: Asker, key: str, body: bytes) -> Response:
    """Apply a JSON Merge Patch to a JSON value; a secret one is not told."""
    patch = json_values.read(body)
    door, conditions = current_door(), conditions_of_request()
    written = door.patch(asker, key, patch, conditions)
    if written.value is None:
        return _written(key, written)
    return _raw(written.value, written.entry)


@operation(Operation("DELETE", ONE, {204: None}, is_conditional=True))
def delete_entry(asker: Asker, key: str) -> Response:
    """Move an entry to the bin."""
    conditions = conditions_of_request()
    return _written(key, current_door().delete(asker, key, conditions))


@operation(
    Operation(
        "POST",
        f"{ONE}/increment",
        {200: Incremented, 201: Incremented, 204: None},
        body=Increment,
        takes=(JSON,),
        is_conditional=True,
    )
)
def increment_entry(asker: Asker, key: str, body: Increment) -> Response:
    """Add to a number, which begins at what is added; a secret one is not told."""
    door, conditions = current_door(), conditions_of_request()
    written = door.increment(asker, key, body.by, conditions)
    if written.value is None:
        return _written(key, written)
    answer = Incremented(value=json_values.Verbatim(written.value))
    return respond(answer, written.status, ETag=etag_of(written.entry))


@operation(
    Operation(
        "POST",
        "/api/v1/batch",
        {200: BatchResults},
        body=Batch,
        takes=(JSON,),
        takes_values=True,
    )
)
def write_batch(asker: Asker, body: Batch) -> BatchResults:
    """Put, patch, increment and delete several entries: all of it or nothing."""
    return BatchResults(results=list(current_door().batch(asker, body)))


def current_door() -> Door:
    return cast(Door, current_app.extensions["api_door"])


def _decode(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Invalid(body="The body is not in UTF-8.") from None


def _raw(value: str, entry: Any) -> Response:
    # Flask adds the charset to text.
    response = Response(value, mimetype=TYPES[entry.kind])
    response.headers["ETag"] = etag_of(entry)
    return response


def _written(key: str, written: Written) -> Response:
    headers = {}
    if written.entry:
        headers["ETag"] = etag_of(written.entry)
    if written.status == HTTPStatus.CREATED:
        headers["Location"] = url_for("api.get_entry", key=key)
    return respond_empty(written.status, **headers)
