"""Whatever a program sends, it is told what is wrong with it, and nothing fails."""

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from tests.api.conftest import JSON, MERGE_PATCH, TEXT, Program
from tests.test_bad_input import BAD

pytestmark = pytest.mark.long

PATHS = ["/api/v1/entries", "/api/v1/entries/{}", "/api/v1/entries/{}/increment",
         "/api/v1/batch", "/api/v1/sessions", "/api/v1/sessions/{}", "/api/v1/account",
         "/store", "/retrieve", "/api/v1/{}"]  # fmt: skip
METHODS = ["GET", "HEAD", "PUT", "PATCH", "POST", "OPTIONS", "NONSENSE"]
TYPES = [JSON, TEXT, MERGE_PATCH, "application/x-www-form-urlencoded",
         "multipart/form-data", "multipart/form-data; boundary=x", ";",
         "\xff"]  # fmt: skip
BODIES: list[bytes] = [
    b"", b"\0", b"\xff", b"null", b"[]", b"{}", b'"', b"1" * 400, b'{"by": {}}',
    b'{"key": "k", "value": "\\u0000"}', b'{"key": "\\u0000", "value": 1}',
    b'{"operations": {}}', b'{"operations": [[]]}', b'{"self": 1}', b'{"": 1}',
    b'{"operations": [{"op": "increment", "key": "k", "by": 1e99999999}]}',
    b"key=%00&value=%00", b"key=%ff&value", b"[" * 5000, b'{"a":' * 5000,
    b'{"by": 1e9999999999999999999}', b'{"key": "k", "value": 1e9999999999999}',
]  # fmt: skip
HEADERS = ["If-Match", "If-None-Match", "Accept", "Content-Encoding", "X-Form-Token",
           "Range", "If-Modified-Since", "Content-Type"]  # fmt: skip


def is_told(answer: Any) -> bool:
    """Tell whether it went wrong, and that as a problem."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.content_type == "application/problem+json", answer.status
        assert answer.request.method == "HEAD" or answer.json["type"]
    assert "Location" not in answer.headers or answer.status_code == 201
    return bool(answer.status_code >= 400)


@pytest.fixture
def program(program: Program) -> Program:
    """One that is never told to wait."""
    rates = program.client.application.extensions["rates"]
    rates._burst, rates._each = 10**9, 60 / 10**9
    return program


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_no_path_and_no_query_fails(program: Program, bad: str) -> None:
    for path, method in product(PATHS, METHODS):
        is_told(program.ask(method, path.format(bad)))
        query = "&".join(
            f"{name}={bad}"
            for name in ("q", "prefix", "label", "cursor", "limit", "changed_since",
                         "secret", "labels", "expires_at", "key", bad)
        )  # fmt: skip
        where = path.format("k")
        is_told(program.ask(method, f"{where}?{query}", data="1", content_type=JSON))


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_no_body_fails(program: Program, body: bytes) -> None:
    for path, method, kind in product(PATHS, ["PUT", "PATCH", "POST"], TYPES):
        where = path.format("k")
        is_told(program.ask(method, where, data=body, content_type=kind))


@pytest.mark.embedded
@pytest.mark.parametrize("header", HEADERS)
def test_no_header_fails(program: Program, header: str) -> None:
    _is_told_of_each(program, header)


def test_no_key_of_a_request_fails(program: Program) -> None:
    """It is the only header that is kept with the records."""
    _is_told_of_each(program, "Idempotency-Key")


def _is_told_of_each(program: Program, header: str) -> None:
    values = ["", " ", ",", '"', "*", "\xff", "x" * 5000, ", ".join(['"a"'] * 50),
              ";q=", "a;q=x", "*/*;q=nan", "bytes=0-1", "W/", "\x7f",
              "a\tb"]  # fmt: skip
    methods = ("GET", "PUT", "POST", "PATCH")
    for value, path, method in product(values, PATHS, methods):
        how = {"headers": {header: value}, "data": "1"}
        is_told(program.ask(method, path.format("k"), **how))


@pytest.mark.parametrize("header", ["If-Match", "Idempotency-Key", "Content-Type",
                                    "Accept", "Content-Length"])  # fmt: skip
def test_no_header_that_comes_twice_fails(program: Program, header: str) -> None:
    for name in (header, header.lower()):
        both = [*program.headers.items(), (header, '"a"'), (name, '"b"')]
        for path in PATHS:
            for method in ("GET", "PUT", "POST"):
                client = program.client
                where = path.format("k")
                is_told(client.open(where, method=method, headers=both, data="1"))


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
VALUES = st.recursive(
    LEAVES, lambda kids: st.lists(kids, max_size=3)
    | st.dictionaries(st.text(max_size=9), kids, max_size=3), max_leaves=8,
)  # fmt: skip
STEPS = st.lists(
    st.dictionaries(
        st.sampled_from(["op", "key", "value", "text", "patch", "by", "if_match",
                         "if_none_match", "secret", "labels", "expires_at"]),
        st.sampled_from(["put", "patch", "increment", "delete"]) | VALUES,
    ), max_size=3,
)  # fmt: skip


@bounded(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(value=VALUES, steps=STEPS, key=st.text(max_size=5))
def test_nothing_that_somebody_makes_up_fails(
    program: Program, value: Any, steps: Any, key: str
) -> None:

    for path, body in (
        ("/api/v1/batch", {"operations": steps}), ("/api/v1/batch", value),
        ("/store", {"key": key, "value": value}), ("/store", value),
        ("/api/v1/entries/n/increment", {"by": value}),
    ):  # fmt: skip
        text = json.dumps(body)
        is_told(program.ask("POST", path, data=text, content_type=JSON))
    text = json.dumps(value)
    if not is_told(program.put("k", text)):
        assert program.get("k").text == text
        is_told(program.patch("k", text))
