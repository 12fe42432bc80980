"""What is large is taken from whoever is logged in, and a few at once from each."""

from contextlib import ExitStack

import pytest
from flask import Flask

from tests.browser import Browser
from webapp.sessions.large import AT_ONCE
from webapp.web import LARGE

VALUE = "x" * 200_000


@pytest.mark.parametrize("path", ["/login", "/signup"])
def test_a_visitor_may_send_nothing_large(app: Flask, path: str) -> None:
    answer = app.test_client().post(path, data={"name": "x" * LARGE})
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/logout", "/account/password"])
def test_a_form_that_keeps_no_value_may_not_be_large(alice: Browser, path: str) -> None:
    answer = alice.client.post(path, data={"password": "x" * LARGE})
    assert answer.status_code == 413
    assert alice.open("/entries").is_logged_in


def test_so_many_large_pages_may_be_on_their_way_and_no_more(
    alice: Browser, bob: Browser
) -> None:
    for browser in (alice, bob):
        browser.keep("large", VALUE)
        browser.open("/entries")
    with ExitStack() as on_their_way:
        for _ in range(AT_ONCE):
            answer = alice.client.get("/entries/large?all=1", buffered=False)
            on_their_way.callback(answer.close)
            assert answer.status_code == 200
        refused = alice.client.get("/entries/large?all=1")
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        assert "still on their way" in refused.text
        assert alice.open("/entries").is_logged_in, "what is small is not counted"
        assert VALUE in bob.open("/entries/large?all=1").page.text, "each has their own"
    assert VALUE in alice.open("/entries/large?all=1").page.text


def test_large_forms_one_after_the_other_are_all_taken(alice: Browser) -> None:
    for number in range(AT_ONCE + 1):
        assert alice.keep(f"large {number}", VALUE).status == 200
        assert alice.keep(f"large {number}", VALUE).status == 409
