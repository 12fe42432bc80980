"""One entry by HTTP: put, get, patched, incremented, deleted, and what cannot be."""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask import Flask

from tests.api.conftest import JSON, MERGE_PATCH, TEXT, Program, problem, program_of
from tests.browser import Browser

VALUES = [
    '{"a": 1}', "[]", "null", '"é 🦀"', " { } ", "12345678901234567890123456789",
    '{"b":1.10,"a":1e400}', "-0", '{"a":1,"a":2}', "[" * 200 + "]" * 200,
]  # fmt: skip
NO_JSON = {
    "empty": b"", "cut": b'{"a":', "NaN": b"NaN", "infinite": b"[Infinity]",
    "surrogate": b'"\\ud800"', "deep": b"[" * 202 + b"]" * 202, "NUL": b"\0",
    "NUL inside": b'"\0"', "UTF-16": '{"a": 1}'.encode("utf-16"), "latin-1": b'"\xe9"',
    "BOM": b"\xef\xbb\xbf1", "digits": b"1" * 5000, "two": b"1 2", "comma": b"[1,]",
}  # fmt: skip
WRONG_TYPES = [
    None, "", "application/xml", "application/json; charset=latin-1", "text/html",
    "application/vnd.api+json", "text/plain; charset=utf-16", "nonsense",
    "application/json, application/json",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_json_comes_back_as_it_was_put(program: Program, value: str) -> None:
    answer = program.put("k", value)
    assert (answer.status_code, answer.text) == (201, "")
    assert answer.headers["Location"] == "/api/v1/entries/k"
    found = program.get("k")
    assert (found.status_code, found.text) == (200, value)
    assert found.content_type == JSON
    assert found.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize("value", ["", "\n a \r\n", "é 🦀", '{"a": 1}', "x" * 256_000])
def test_text_comes_back_as_it_was_put(program: Program, value: str) -> None:
    assert program.put("k", value.encode(), TEXT).status_code == 201
    found = program.get("k")
    assert found.data.decode() == value
    assert found.content_type == "text/plain; charset=utf-8"


def test_what_programs_and_people_keep_is_the_same(
    alice: Browser, program: Program
) -> None:
    alice.keep("page", "[1]", "json")
    assert program.get("page").json == [1]
    program.put("api", "dear diary", TEXT)
    assert alice.value("api") == "dear diary"
    program.delete("api")
    assert "api" not in alice.open("/entries").links()


def test_who_wrote_an_entry_is_known(alice: Browser, program: Program) -> None:
    program.put("k", "1")
    program.put("k", "2")
    assert "the token “program”" in alice.open("/entries/k/history").text


@pytest.mark.parametrize("key", ["a/b", "new", ".", "..", "~", "é 🦀", "%2F", "a?b#c"])
def test_every_key_has_an_address(program: Program, key: str) -> None:
    program.batch({"op": "put", "key": key, "value": 1})
    address = program.ask("POST", "/store", json={"key": key, "value": 2})
    assert address.status_code == 200
    escaped = {"a/b": "a~2Fb", "new": "~6Eew", ".": "~2E", "..": "~2E.", "~": "~7E"}
    written = escaped.get(key, key.replace("%", "~25"))
    path = written.replace("?", "%3F").replace("#", "%23")
    assert program.get(path).text == "2"
    assert program.delete(path).status_code == 204


@pytest.mark.parametrize(
    "path", ["new", "bin", "%2E", "a%2541", "~zz", "~2f", "a%09b", "x" * 201]
)
def test_how_a_key_is_written_is_told(program: Program, path: str) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = program.ask(
            method, f"/api/v1/entries/{path}", data="1", content_type=JSON
        )
        assert "key" in problem(answer, 400, "invalid")["errors"]


def test_a_replaced_value_has_another_etag(program: Program) -> None:
    first = program.put("k", "1").headers["ETag"]
    answer = program.put("k", "1")
    assert answer.status_code == 204
    assert answer.headers["ETag"] != first
    assert not answer.headers["ETag"].startswith("W/")
    assert "Content-Type" not in answer.headers


def test_head_and_options(program: Program) -> None:
    etag = program.put("k", '{"a": 1}').headers["ETag"]
    head = program.ask("HEAD", "/api/v1/entries/k")
    assert (head.status_code, head.text) == (200, "")
    assert head.headers["ETag"] == etag
    assert head.headers["Content-Length"] == "8"
    assert program.ask("HEAD", "/api/v1/entries/none").status_code == 404
    options = program.ask("OPTIONS", "/api/v1/entries/k")
    allowed = set(options.headers["Allow"].split(", "))
    assert allowed == {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"}


def test_labels_and_an_end_stay_unless_said(program: Program) -> None:
    end = "2099-01-01T00:00:00Z"
    how = {"labels": "a, b", "expires_at": end}
    program.put("k", "1", query_string=how)
    program.put("k", "2")
    program.patch("k", "3")
    (entry,) = program.listed().json["entries"]
    assert (entry["labels"], entry["expires_at"]) == (["a", "b"], end)
    program.put("k", "2", query_string={"labels": "", "expires_at": ""})
    (entry,) = program.listed().json["entries"]
    assert (entry["labels"], entry["expires_at"]) == ([], None)


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_is_refused(program: Program, body: bytes) -> None:
    program.put("k", '{"a": 1}')
    told = problem(program.put("k", body), 400, "invalid")
    assert told["errors"]
    problem(
        program.ask("PATCH", "/api/v1/entries/k", data=body, content_type=MERGE_PATCH),
        400,
        "invalid",
    )
    for path in ("/api/v1/batch", "/store", "/api/v1/entries/k/increment"):
        answer = program.ask("POST", path, data=body, content_type=JSON)
        problem(answer, 400, "invalid")
    assert program.get("k").text == '{"a": 1}'


@pytest.mark.parametrize("body", [b"\0", b"a\0b", b"\xff", b"\xed\xa0\x80"])
def test_what_is_no_text_is_refused(program: Program, body: bytes) -> None:
    problem(program.put("k", body, TEXT), 400, "invalid")
    problem(program.get("k"), 404, "not-found")


@pytest.mark.parametrize("content_type", WRONG_TYPES, ids=str)
def test_other_content_types_are_refused(
    program: Program, content_type: str | None
) -> None:
    for method, path in (
        ("PUT", "/api/v1/entries/k"),
        ("PATCH", "/api/v1/entries/k"),
        ("POST", "/api/v1/entries/k/increment"),
        ("POST", "/api/v1/batch"),
        ("POST", "/store"),
    ):
        answer = program.ask(method, path, data="1", content_type=content_type)
        problem(answer, 415, "unsupported-type")
    answer = program.put("k", "1", headers={"Content-Encoding": "gzip"})
    problem(answer, 415, "unsupported-type")
    problem(program.get("k"), 404, "not-found")


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8"])
def test_a_charset_of_utf_8_is_taken(program: Program, charset: str) -> None:
    answer = program.put("k", '"é"', f"{JSON}; charset={charset}")
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("accept", "status"),
    [("application/json", 200), ("*/*", 200), ("application/*", 200), ("", 200),
     ("text/html, */*;q=0.1", 200), ("text/plain", 406), ("image/png", 406),
     ("application/json;q=0", 406)],
)  # fmt: skip
def test_what_the_client_does_not_take_is_not_sent(
    program: Program, accept: str, status: int
) -> None:
    program.put("k", "1")
    headers = {"Accept": accept}
    assert program.get("k", headers=headers).status_code == status
    for path in ("/api/v1/entries", "/api/v1/account", "/api/v1/sessions"):
        assert program.ask("GET", path, headers=headers).status_code == status
    if status == 406:
        problem(program.get("k", headers=headers), 406, "not-acceptable")
        program.put("k", "1", TEXT)
        is_text = accept == "text/plain"
        assert program.get("k", headers=headers).status_code == (
            200 if is_text else 406
        )


# RFC 7396, appendix A: what was there, the patch, what is there then.
PATCHES = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('["a","b"]', '["c","d"]', '["c","d"]'),
    ('{"a":"b"}', '["c"]', '["c"]'),
    ('{"a":"foo"}', "null", "null"),
    ('{"a":"foo"}', '"bar"', '"bar"'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
]


@pytest.mark.parametrize(("before", "patch", "after"), PATCHES, ids=range(15))
def test_a_merge_patch(program: Program, before: str, patch: str, after: str) -> None:
    etag = program.put("k", before).headers["ETag"]
    answer = program.patch("k", patch)
    assert answer.status_code == 200
    assert answer.content_type == JSON
    assert answer.json == json.loads(after)
    assert program.get("k").json == json.loads(after)
    assert answer.headers["ETag"] == program.get("k").headers["ETag"] != etag


def test_a_patch_leaves_numbers_as_they_were_typed(program: Program) -> None:
    program.put("k", '{"a": 12345678901234567890, "b": 1.10, "c": 1E400, "d": 0.1}')
    answer = program.patch("k", '{"d": 98765432109876543210.50}')
    expected = '"a": 12345678901234567890, "b": 1.10, "c": 1E400'
    assert answer.text == f'{{{expected}, "d": 98765432109876543210.50}}'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"a":[1,2],"b":": ,"}', '{"a":[1,2],"b":": ,","c":{"d":3}}'),
        ('{"a": [1, 2]}', '{"a": [1, 2], "c": {"d": 3}}'),
        ("{}", '{"c": {"d": 3}}'),
    ],
)
def test_a_patch_writes_no_more_spaces_than_there_were(
    program: Program, before: str, after: str
) -> None:
    program.put("k", before)
    assert program.patch("k", '{"c": {"d": 3}}').text == after


def test_only_json_that_is_there_can_be_patched(program: Program) -> None:
    problem(program.patch("k", "{}"), 404, "not-found")
    program.put("k", "text", TEXT)
    problem(program.patch("k", "{}"), 409, "not-json")
    assert program.get("k").text == "text"


@pytest.mark.parametrize(
    ("before", "by", "after"),
    [(None, 1, "1"), (None, -2.5, "-2.5"), ("1", 1, "2"), ("0.1", 0.2, "0.3"),
     ("9007199254740993", 1, "9007199254740994"), ("1e3", 1, "1001"), (" 7 ", -8, "-1"),
     ("123456789012345678901234567890", 1, "123456789012345678901234567891"),
     ("1.10", 0, "1.10"), ("-0", 0, "0")],
)  # fmt: skip
def test_an_increment_is_exact(
    program: Program, before: str | None, by: float, after: str
) -> None:
    if before:
        program.put("k", before)
    answer = program.increment("k", by)
    assert answer.status_code == (200 if before else 201)
    assert answer.text == f'{{"value": {after}}}'
    assert program.get("k").text == after
    assert program.get("k").headers["ETag"] == answer.headers["ETag"]


def test_an_increment_is_by_one_when_nothing_is_said(program: Program) -> None:
    for expected in ("1", "2"):
        program.ask("POST", "/api/v1/entries/k/increment", json={})
        assert program.get("k").text == expected


@pytest.mark.parametrize("by", ["1", None, True, [], {}, "x"], ids=str)
def test_only_a_number_can_be_added(program: Program, by: Any) -> None:
    told = problem(program.increment("k", by), 400, "invalid")
    assert "number" in told["errors"]["by"]


@pytest.mark.parametrize("by", ["1e999", "1e-999", "1" * 401, "1e999999999", "-18e307"])
def test_a_number_without_end_is_not_added(program: Program, by: str) -> None:
    for before in (None, "1"):
        if before:
            program.put("k", before)
        path = "/api/v1/entries/k/increment"
        answer = program.ask("POST", path, data=f'{{"by": {by}}}', content_type=JSON)
        problem(answer, 400, "invalid")
    program.put("k", by)
    problem(program.increment("k"), 409, "not-a-number")


def test_a_sum_that_other_programs_could_not_read_is_not_made(program: Program) -> None:
    largest = "1" + "0" * 308
    program.put("k", largest)
    for by in (-1e308, 1e308):
        assert program.increment("k", by).status_code == 200
    problem(program.increment("k", 1e308), 409, "not-a-number")
    assert program.get("k").text == largest
    assert float(program.increment("k", 7e307).json["value"]) == 1.7e308


@pytest.mark.parametrize("value", ['"1"', "null", "[1]", "{}", "true"])
def test_only_a_number_can_be_incremented(program: Program, value: str) -> None:
    program.put("k", value)
    problem(program.increment("k"), 409, "not-a-number")
    program.put("k", "1", TEXT)
    problem(program.increment("k"), 409, "not-a-number")


def test_what_is_not_there_is_not_found(program: Program) -> None:
    for answer in (program.get("k"), program.delete("k")):
        problem(answer, 404, "not-found")
    problem(program.ask("GET", "/retrieve?key=k"), 404, "not-found")


def test_another_persons_entries_are_not_there(
    alice: Browser, bob: Browser, program: Program
) -> None:
    program.put("k", "1")
    bobs = program_of(bob)
    problem(bobs.get("k"), 404, "not-found")
    assert bobs.keys() == []
    assert bobs.put("k", "2").status_code == 201
    assert program.get("k").text == "1"


def test_what_is_too_large_is_refused_before_it_is_read(program: Program) -> None:
    program.put("k", "1")

    class Body(BytesIO):
        def readinto(self, _buffer: Any) -> Any:
            raise AssertionError("nothing should be read")

    environ = {"wsgi.input": Body(), "CONTENT_LENGTH": "256001"}
    how: dict[str, Any] = {"environ_overrides": environ}
    path = "/api/v1/entries/k"
    answer = program.ask("PUT", path, content_type=JSON, **how)
    problem(answer, 413, "too-large")
    environ["CONTENT_LENGTH"] = "10000000"
    for content_type, method, address in (
        (MERGE_PATCH, "PATCH", path),
        (JSON, "POST", "/api/v1/batch"),
        (JSON, "POST", "/store"),
        (JSON, "POST", "/api/v1/entries/k/increment"),
    ):
        answer = program.ask(method, address, content_type=content_type, **how)
        problem(answer, 413, "too-large")
    big = json.dumps("x" * 256_000)
    problem(
        program.ask("POST", "/store", json={"key": "k", "value": "x" * 256_001}),
        413,
        "too-large",
    )
    problem(program.patch("k", big), 413, "too-large")
    problem(
        program.batch({"op": "put", "key": "k", "value": "x" * 256_000}),
        413,
        "too-large",
    )
    assert program.get("k").text == "1"


@pytest.mark.parametrize("asks", ["program", "script"])
def test_a_body_without_a_length_is_taken_whole_or_not_at_all(
    asks: str, request: pytest.FixtureRequest
) -> None:
    """Clients that do not know how long it will be send it in chunks."""
    asker: Program = request.getfixturevalue(asks)

    def send(method: str, path: str, body: bytes, content_type: str) -> Any:
        environ: dict[str, Any] = {
            "wsgi.input": BytesIO(body),
            "wsgi.input_terminated": True,
            "HTTP_TRANSFER_ENCODING": "chunked",
        }
        how: dict[str, Any] = {"environ_overrides": environ}
        return asker.ask(method, path, content_type=content_type, **how)

    path = "/api/v1/entries/k"
    assert send("PUT", path, b"x" * 256_000, TEXT).status_code == 201
    assert len(asker.get("k").text) == 256_000
    problem(send("PUT", path, b"y" * 256_001, TEXT), 413, "too-large")
    problem(send("PUT", path, b"y" * 2_000_000, TEXT), 413, "too-large")
    long = b"key=k&value=" + b"y" * 2_000_000
    form = "application/x-www-form-urlencoded"
    if asks == "program":
        problem(send("POST", "/store", long, form), 413, "too-large")
    assert asker.get("k").text == "x" * 256_000


def test_a_visitor_sends_nothing_large(app: Flask) -> None:
    visitor = Program(app.test_client())
    problem(visitor.put("k", b"1" * 1_000_000), 401, "not-authenticated")


def test_a_reached_quota_is_told(
    app_with: Callable[..., Flask],
) -> None:
    app = app_with(max_entries=2, max_entries_size=10_000)
    alice = Browser(app.test_client(), "alice").enter("/signup")
    program = program_of(alice)
    program.put("a", "1")
    program.put("b", "2")
    for answer in (
        program.put("c", "3"),
        program.increment("c"),
        program.put("a", b"x" * 10_001, TEXT),
        program.ask("POST", "/store", json={"key": "c", "value": "3"}),
        program.batch({"op": "put", "key": "c", "value": 1}),
    ):
        told = problem(answer, 507, "quota-reached")
        assert "Delete some first" in told["detail"]
    assert alice.keep("c", "3").status == 409
    account = program.ask("GET", "/api/v1/account").json
    assert (account["entries"], account["max_entries"]) == (2, 2)
