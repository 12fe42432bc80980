"""What the API can do, for programs (OpenAPI) and for people (a page)."""

from functools import cache

from flask import Blueprint, Response, render_template, request
from markupsafe import Markup, escape
from werkzeug.wrappers import Response as WerkzeugResponse

from webapp.api import json_values
from webapp.api.openapi import Document, describe
from webapp.compression import compressed
from webapp.programs import PROBLEMS
from webapp.sessions.guard import public, session
from webapp.web import Answer, of_a_visitor

blueprint = Blueprint("api_document", __name__, url_prefix="/api")


@blueprint.get("/openapi.json")
@public
def openapi() -> WerkzeugResponse:
    """Give the document; it says nothing of anybody, so anybody may have it."""
    text = json_values.write(_described())
    response = Response(text, content_type="application/json")
    response.add_etag()
    return response.make_conditional(request)


@blueprint.get("")
@public
@compressed
def index() -> Answer:
    page = render_template("api.html", document=_described(), problems=PROBLEMS)
    return page if session.user_id else of_a_visitor(page)


@blueprint.app_template_filter()
def code_spans(text: str) -> Markup:
    """Write what is between backticks as code."""
    parts = (escape(part) for part in text.split("`"))
    tagged = (
        Markup("<code>{}</code>").format(part) if at % 2 else part
        for at, part in enumerate(parts)
    )
    return Markup("").join(tagged)


def _described() -> Document:
    return _describe(request.script_root or "/")


@cache
def _describe(server: str) -> Document:
    return describe(server)
