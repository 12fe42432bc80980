"""The API as OpenAPI 3.1 says it, made of the table and the models that check requests.

https://spec.openapis.org/oas/v3.1.1.html; its schemas are JSON Schema 2020-12, which
is what pydantic writes.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from webapp.api.idempotency import KEY
from webapp.api.models import TEXT as TEXT_SCHEMA
from webapp.api.models import Batch
from webapp.api.operations import FORM, JSON, MERGE_PATCH, OPERATIONS, TEXT, Operation
from webapp.entries.address import RESERVED
from webapp.entries.models import KEY_LENGTH
from webapp.programs import PROBLEM_TYPE, PROBLEMS, Problem, type_of

Document = dict[str, Any]

# A part of a path as Flask writes it: `<any_key:key>`.
PARAMETER = re.compile(r"<(?:\w+)(?:\([^)]*\))?:(\w+)>")
RESERVED_KEYS = "|".join(map(re.escape, RESERVED))
KEY_PATTERN = (
    rf"^(?!(?:{RESERVED_KEYS})$)"
    rf"(?:[^~/\\%\u0000-\u001f\u007f-\u009f]|~(?:7E|2F|5C|25)){{1,{KEY_LENGTH}}}$"
)
PATH_PARAMETERS: dict[str, Document] = {
    "key": {
        "description": "The key of an entry. `~`, `/`, `\\` and `%` are written `~7E`, "
        "`~2F`, `~5C` and `~25`, a key that is the name of a page with a tilde first.",
        "schema": {"type": "string", "pattern": KEY_PATTERN},
    },
    "session_id": {
        "description": "The number of a session, as the list has it.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
    },
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "Only while it has this ETag; `*`: only when there is one.",
    "schema": {"type": "string"},
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "Only while it has another ETag; `*`: only when there is none.",
    "schema": {"type": "string"},
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same request gets the same answer for 24 h.",
    "schema": {"type": "string", "pattern": f"^(?:{KEY.pattern})$"},
}
# What a value looks like where it is the body itself.
RAW: dict[str, Document] = {JSON: {}, TEXT: TEXT_SCHEMA, MERGE_PATCH: {}}
# Where what an answer says is needed next.
LINKS = {
    "list_sessions": {
        "end": {
            "operationId": "end_session",
            "parameters": {"session_id": "$response.body#/sessions/0/id"},
        }
    },
}
# What may go wrong wherever somebody asks, and beyond that where a key is named, a body
# is sent, something is written, and a condition is set.
ALWAYS = (400, 401, 403, 406, 414, 429, 431, 500, 503)
WITH_KEY, WITH_BODY = (404,), (413, 415)
UNSAFE, CONDITIONAL = (409, 422, 507), (412,)
SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"session": []}]
INFO: Document = {
    "title": "Holdfast",
    "version": "1",
    "summary": "Named values, kept.",
    "description": "The same entries as on the pages, with the same limits. "
    "Failures are problem details (RFC 9457).",
}


def describe(server: str) -> Document:
    """Return the document for the API at this address, a path or an origin."""
    schemas = _schemas()
    paths: dict[str, Document] = {}
    for name, operation in OPERATIONS.items():
        path = PARAMETER.sub(r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(
            name, operation
        )
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": [{"url": server}],
        "security": SECURITY,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the page of the account.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "session",
                    "description": "A browser that is logged in. What it writes needs "
                    "the header `X-Form-Token` as well.",
                },
            },
        },
    }


def _schemas() -> Document:
    requests = {each.body for each in OPERATIONS.values() if each.body}
    answers = {model for each in OPERATIONS.values() for model in each.gives.values()}
    inputs = [(model, "validation") for model in sorted(requests, key=_name)]
    outputs = [
        (model, "serialization")
        for model in sorted((answers - {None}) | {Problem}, key=_name)
    ]
    _, found = models_json_schema(
        [*inputs, *outputs],  # type: ignore[list-item]
        ref_template="#/components/schemas/{model}",
    )
    schemas: Document = found["$defs"]
    return schemas


def _name(model: Any) -> str:
    return str(model.__name__)


def _operation(name: str, operation: Operation) -> Document:
    summary, _, description = operation.summary.partition("\n\n")
    said: Document = {
        "operationId": name,
        "summary": summary,
        "tags": [_tag(operation.path)],
        "parameters": list(_parameters(operation)),
        "responses": dict(_responses(operation)),
    }
    if name in LINKS:
        said["responses"]["200"]["links"] = LINKS[name]
    if description:
        said["description"] = description
    if operation.takes:
        said["requestBody"] = {
            "required": True,
            "content": {kind: _taken(operation, kind) for kind in operation.takes},
        }
    return said


def _tag(path: str) -> str:
    parts = path.removeprefix("/api/v1/").strip("/").split("/")
    return {"store": "article", "retrieve": "article", "batch": "entries"}.get(
        parts[0], parts[0]
    )


def _parameters(operation: Operation) -> Iterator[Document]:
    for name in PARAMETER.findall(operation.path):
        yield {"name": name, "in": "path", "required": True} | PATH_PARAMETERS[name]
    if operation.query:
        yield from _query(operation.query)
    if operation.is_conditional or not operation.is_unsafe:
        yield from (IF_MATCH, IF_NONE_MATCH)
    if operation.is_unsafe:
        yield IDEMPOTENCY_KEY


def _query(model: type[BaseModel]) -> Iterator[Document]:
    schema = model.model_json_schema()
    required = schema.get("required", ())
    for name, each in schema["properties"].items():
        each.pop("title", None)
        description = each.pop("description", "")
        yield {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": description,
            "schema": _as_text(each),
        }


def _as_text(schema: Document) -> Document:
    """Say what a parameter is in an address, which knows neither null nor lists."""
    if schema.get("type") == "array":
        item = schema["items"]["pattern"].strip("^$")
        most = schema["maxItems"] - 1
        return {"type": "string", "pattern": f"^{item}(?:,{item}){{0,{most}}}$"}
    choices = schema.get("anyOf")
    if choices is None:
        return schema
    (plain,) = (each for each in choices if each != {"type": "null"})
    return dict(plain)


def _taken(operation: Operation, kind: str) -> Document:
    if operation.body is None:
        return {"schema": RAW[kind]}
    schema = {"$ref": f"#/components/schemas/{_name(operation.body)}"}
    if kind == FORM:
        return {"schema": _of_form(operation.body)}
    return {"schema": schema}


def _of_form(model: type[BaseModel]) -> Document:
    """Say what a form is: every field of it is text."""
    names = list(model.model_fields)
    required = [name for name in names if model.model_fields[name].is_required()]
    key = model.model_json_schema()["properties"]["key"]
    return {
        "type": "object",
        "properties": {name: key if name == "key" else TEXT_SCHEMA for name in names},
        "required": required,
        "additionalProperties": False,
    }


def _responses(operation: Operation) -> Iterator[tuple[str, Document]]:
    for status, model in operation.gives.items():
        yield str(status), _answer(operation, status, model)
    if not operation.is_unsafe:
        yield "304", {"description": "The client has it already."}
    for status in sorted(_failures(operation)):
        names = [name for name, kind in PROBLEMS.items() if kind.status == status]
        problem = {"$ref": f"#/components/schemas/{_name(Problem)}"}
        yield (
            str(status),
            {
                "description": "; ".join(PROBLEMS[name].title for name in names)
                + f" ({', '.join(map(type_of, names))})",
                "content": {PROBLEM_TYPE: {"schema": problem}},
            },
        )


def _answer(
    operation: Operation, status: int, model: type[BaseModel] | None
) -> Document:
    said: Document = {"description": HTTPStatus(status).phrase}
    if operation.is_conditional or not operation.is_unsafe:
        said["headers"] = {"ETag": {"schema": {"type": "string"}}}
    if model:
        schema = {"$ref": f"#/components/schemas/{_name(model)}"}
        said["content"] = {JSON: {"schema": schema}}
    elif operation.is_raw and status == HTTPStatus.OK:
        said["content"] = {kind: {"schema": RAW[kind]} for kind in (JSON, TEXT)}
    return said


def _failures(operation: Operation) -> set[int]:
    statuses = {*ALWAYS}
    is_batch = operation.body is Batch
    if PARAMETER.search(operation.path) or operation.path == "/retrieve" or is_batch:
        statuses |= {*WITH_KEY}
    if operation.takes:
        statuses |= {*WITH_BODY}
    if operation.is_unsafe:
        statuses |= {*UNSAFE}
    if operation.is_conditional or not operation.is_unsafe or is_batch:
        statuses |= {*CONDITIONAL}
        # Of two who end a session neither loses anything.
        if operation.is_unsafe and "/sessions" not in operation.path:
            statuses |= {428}
    return statuses
