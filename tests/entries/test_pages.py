"""What a person sees of their entries, and what they typed is never lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from config.settings import load_settings
from tests.browser import Browser
from webapp import create_app

LIMIT = 256_000
HTML = "<script>alert(1)</script>&amp;<b>'\"</b></pre></textarea>"
TEXTS = {
    "leading line": "\nsecond", "leading lines": "\n\n\nfourth", "only lines": "\n\n\n",
    "one line": "\n", "trailing": "a  \n  b  \n\n", "tabs": "\ta\t\tb\t", " ": "  ",
    "indented": "def f():\n    return 1\n", "HTML": HTML, "empty": "",
    "JSON": '{\n  "é": "🦀"\n}', "entity": "&nbsp;&lt;", "NFD": "e\u0301",
    "long line": "x" * 5000, "template": "{{ 7*7 }}{% raw %}", "lines": "a\n\n\nb",
}  # fmt: skip
BROKEN = [
    ("", 1, 1), ('{"a": }', 1, 7), ('{"é": }', 1, 7), ('{"🦀🦀": }', 1, 8),
    ('{\n  "é": "€",\n  "b": nope\n}', 3, 9), ("[1,\n]", 2, 1), ("\n\n  x", 3, 3),
    ("NaN", 1, 1), ("[1, NaN]", 1, 5), ("['a']", 1, 2), ('{"é": 1} x', 1, 10),
    ('"é\\x"', 1, 4), ('["é", "\\ud800"]', 1, 14), ("[" * 202 + "]" * 202, 1, 202),
    ('"ab\ncd"', 1, 4),
]  # fmt: skip


@pytest.mark.parametrize("value", TEXTS.values(), ids=TEXTS)
def test_a_value_comes_back_as_it_was_typed(alice: Browser, value: str) -> None:
    """Browsers send the lines of a text area with CR LF at their ends."""
    alice.keep("k", value.replace("\n", "\r\n"))
    assert _shown(alice) == value
    address = alice.address("k")
    typed = alice.open(f"{address}/edit").tree.xpath("string(//textarea)")
    assert typed == value
    alice.send(value=typed.replace("\n", "\r\n"))
    assert _shown(alice.open(address)) == value


@pytest.mark.parametrize("key", ["k" * 201, "a\tb", "a\x85b", ""], ids=range(4))
def test_a_key_that_cannot_be_is_explained_and_what_was_typed_is_kept(
    alice: Browser, key: str
) -> None:
    alice.keep(key, "\n typed \n", "json")
    assert alice.status == 400
    alice.keep(key, "\n typed \n", "text")
    assert alice.status == 400
    assert alice.tree.xpath("string(//*[@id='key-error'])")
    assert alice.tree.xpath("string(//input[@id='key']/@aria-invalid)") == "true"
    assert alice.tree.xpath("//*[@autofocus]/@id") == ["key"]
    assert _typed(alice) == ("\n typed \n", "text")
    assert alice.open("/entries").links().get("k") is None


def test_200_emoji_can_be_typed_as_a_key(alice: Browser) -> None:
    """HTML counts `maxlength` in UTF-16 code units, of which an emoji has two."""
    alice.open("/entries/new")
    most = alice.tree.xpath("string(//input[@id='key']/@maxlength)")
    assert int(most or 400) >= 400


@pytest.mark.parametrize(("text", "line", "column"), BROKEN, ids=range(len(BROKEN)))
def test_broken_json_is_explained_with_its_place_and_what_was_typed_is_kept(
    alice: Browser, text: str, line: int, column: int
) -> None:
    alice.keep("k", text.replace("\n", "\r\n"), "json")
    _check_broken_json(alice, text, line, column)
    assert alice.tree.xpath("//*[@autofocus]/@id") == ["value"]
    assert alice.tree.xpath("string(//input[@id='key']/@value)") == "k"
    alice.send(value="[1]")
    assert _shown(alice) == "[1]"
    edit = f"{alice.address('k')}/edit"
    alice.submit(edit, value=text.replace("\n", "\r\n"), kind="json")
    _check_broken_json(alice, text, line, column)
    assert _shown(alice.open("/entries/k")) == "[1]"
    alice.open(edit).send(value="second", kind="text")
    assert _shown(alice) == "second"


@pytest.mark.parametrize("character", ["a", "é", "🦀"])
def test_a_value_over_the_limit_is_413_and_what_was_typed_is_kept(
    alice: Browser, character: str
) -> None:
    exactly = character * (LIMIT // len(character.encode()))
    alice.keep("k", exactly + "a")
    assert alice.status == 413
    assert "256,001 bytes; at most 256,000" in alice.text
    assert _typed(alice) == (exactly + "a", "text")
    alice.send(value=exactly)
    assert alice.status == 200
    edit = f"{alice.address('k')}/edit"
    alice.submit(edit, value=exactly + "a")
    assert alice.status == 413
    assert _typed(alice) == (exactly + "a", "text")
    assert alice.value("k") == exactly


def test_a_taken_key_is_said_at_the_key_and_what_was_typed_is_kept(
    alice: Browser,
) -> None:
    alice.keep("k", "first")
    alice.keep("k", "second")
    assert alice.status == 409
    assert "already" in alice.tree.xpath("string(//*[@id='key-error'])")
    assert _typed(alice) == ("second", "text")
    alice.send(key="other")
    assert alice.value("other") == "second"
    assert alice.value("k") == "first"


def test_the_second_tab_is_shown_both_versions_and_decides(
    browser_of: Callable[[str], Browser],
) -> None:
    one, other = browser_of("alice"), browser_of("alice")
    one.keep("k", "first")
    one.open("/entries/k/edit")
    other.open("/entries/k/edit")
    other.send(value="of the other tab")
    one.send(value=f"{HTML}\n")
    assert one.status == 409
    assert "Nothing was overwritten" in one.text
    assert _shown(one) == "of the other tab"
    assert _typed(one) == (f"{HTML}\n", "text")
    assert other.value("k") == "of the other tab"

    other.submit("/entries/k/edit", value="a third")
    one.send(value="mine")
    assert one.status == 409, "it was changed once more while they compared"
    assert _shown(one) == "a third"
    one.send(value="mine")
    assert one.status == 200
    assert other.value("k") == "mine"


def test_what_was_deleted_meanwhile_can_be_kept_again(
    browser_of: Callable[[str], Browser],
) -> None:
    one, other = browser_of("alice"), browser_of("alice")
    one.keep("a/b", "first")
    one.open("/entries/a~2Fb/edit")
    _delete(other, "/entries/a~2Fb")
    one.send(value="\n{}", kind="json")
    assert one.status == 404
    assert one.tree.xpath("string(//h1)") == "a/b is deleted"
    assert _typed(one) == ("\n{}", "json")
    assert other.client.get("/entries/a~2Fb").status_code == 404
    one.send(value="\n{}")
    assert other.value("a/b") == "\n{}"


def test_deleting_is_confirmed_and_never_deletes_what_was_not_seen(
    browser_of: Callable[[str], Browser],
) -> None:
    one, other = browser_of("alice"), browser_of("alice")
    one.keep("k", "first")
    one.open("/entries/k/delete")
    assert _shown(one) == "first"
    assert other.value("k") == "first", "opening the page deletes nothing"
    other.submit("/entries/k/edit", value="second")
    _confirm(one)
    assert one.status == 409
    assert _shown(one) == "second"
    assert other.value("k") == "second"
    _confirm(one)
    assert "Deleted." in one.text
    assert other.client.get("/entries/k").status_code == 404


@pytest.mark.parametrize(
    "fields", [{}, {"version": ""}, {"version": "x"}], ids=range(3)
)
def test_without_a_version_nothing_is_deleted(
    alice: Browser, fields: dict[str, str]
) -> None:
    alice.keep("k", "kept")
    token = alice.open("/")._form("/logout", {}).fields["form_token"]
    form = fields | {"form_token": token}
    assert alice.client.post("/entries/k/delete", data=form).status_code == 400
    assert alice.value("k") == "kept"


def test_somebody_elses_entry_is_nothing_and_stays(
    alice: Browser, bob: Browser
) -> None:
    alice.keep("k", "of alice")
    for verb in ("", "/edit", "/delete"):
        assert bob.open(f"/entries/k{verb}").status == 404
    token = bob.open("/")._form("/logout", {}).fields["form_token"]
    form = {"form_token": token, "version": "1", "value": "of bob", "kind": "text"}
    for verb in ("/edit", "/delete"):
        taken = bob.client.post(f"/entries/k{verb}", data=form)
        never = bob.client.post(f"/entries/n{verb}", data=form)
        assert taken.status_code == never.status_code == 404
        assert taken.text.replace("k", "n") == never.text.replace("k", "n")
        assert "of alice" not in taken.text
    assert "of alice" not in bob.open("/entries?q=alice").text
    assert alice.value("k") == "of alice"


def test_the_links_lead_through_the_search_and_back(alice: Browser) -> None:
    for number in range(41):
        alice.keep(f"{number:02} é&", "needle")
        alice.keep(f"{number:02} other", "hay")
    alice.open("/entries?q=É%26")
    seen = _keys(alice)
    while older := alice.links().get("Older →"):
        alice.keep(f"late {older}", "needle in front")
        alice.open(older)
        assert alice.tree.xpath("string(//input[@id='q']/@value)") == "É&"
        seen += _keys(alice)
    assert seen == [f"{number:02} é&" for number in reversed(range(41))]
    back = alice.open(alice.links()["← Newer"])
    assert _keys(back) == seen[20:40]
    assert _keys(alice.open(alice.links()["← Newer"])) == seen[:20]


def test_a_search_without_result_says_so(alice: Browser) -> None:
    alice.keep("k", "value")
    alice.open(f"/entries?q={HTML.replace('&', '%26')}")
    assert f"No key and no value has “{HTML}” in it." in alice.text
    assert "k" in alice.open(alice.links()["Show all entries"]).links()


def test_a_search_too_long_says_how_long_it_may_be(alice: Browser) -> None:
    alice.open(f"/entries?q={'%F0%9F%A6%80' * 200}")
    assert "No key and no value has" in alice.text
    alice.open(f"/entries?q={'x' * 201}")
    assert alice.status == 400
    assert "Search for at most 200 characters." in alice.text
    assert alice.tree.xpath("//input[@id='q']/@value") == ["x" * 201]
    assert "New entry" in alice.links()


def test_an_empty_page_of_a_search_never_says_that_nothing_was_found(
    alice: Browser,
) -> None:
    for number in range(21):
        alice.keep(f"{number}", "needle")
    older = alice.open("/entries?q=needle").links()["Older →"]
    _delete(alice, "/entries/0")
    alice.open(older)
    assert _keys(alice) == []
    assert "No key and no value has" not in alice.text


def test_the_quota_and_what_is_used_of_it_are_said_plainly(tmp_path: Path) -> None:
    limits = {"max_entries": 3, "max_entries_size": 1000}
    cheap = {"password_memory_kib": 8, "password_rounds": 1}
    app = create_app(load_settings(data_dir=tmp_path, **cheap, **limits))
    alice = Browser(app.test_client(), "alice").sign_up()
    assert _figures(alice) == ["0 of 3", "0 Bytes of 1.0 kB", "0"]
    alice.keep("a", "x" * 899)
    alice.keep("b", "typed" * 20)
    assert alice.status == 409
    assert "Your entries would take 1,001 bytes; 1,000 are yours." in alice.text
    assert _typed(alice) == ("typed" * 20, "text")
    alice.send(value="b").keep("c", "c")
    alice.keep("d", "d")
    assert alice.status == 409
    assert "You have 3 entries, and no more can be kept." in alice.text
    assert _figures(alice) == ["3 of 3", "904 Bytes of 1.0 kB", "3"]
    _delete(alice, "/entries/a")
    assert _figures(alice) == ["2 of 3", "4 Bytes of 1.0 kB", "2"]
    assert alice.keep("d", "d").status == 200


def test_browsers_share_a_cached_list_but_no_token_and_no_notice(
    app: Flask, alice: Browser
) -> None:
    alice.keep("<!-- form token -->", "<!-- form token -->")
    alice.open("/entries")
    other = Browser(app.test_client(), "alice").log_in()
    assert other.tree.find_class("notice")
    tokens = set()
    for browser in (alice, other, alice):
        assert not browser.open("/entries").tree.find_class("notice")
        assert "<!-- form token -->" in browser.links()
        tokens.update(browser.tree.xpath("//input[@name='form_token']/@value"))
    assert len(tokens) == 2
    for browser in (other, alice):
        assert not browser.log_out().is_logged_in


def test_keys_and_values_are_never_html(alice: Browser) -> None:
    alice.keep(HTML, HTML)
    address = alice.address(HTML)
    for path in ("/entries", address, f"{address}/edit", f"{address}/delete"):
        alice.open(path)
        assert HTML in alice.tree.text_content(), path
        assert "<script>" not in alice.page.text
        assert not alice.tree.xpath("//b | //script[not(@src)]")


def _check_broken_json(browser: Browser, text: str, line: int, column: int) -> None:
    assert browser.status == 400
    reason = browser.tree.xpath("string(//*[@id='value-error'])")
    assert reason.startswith("This is not JSON: ")
    assert reason.endswith(f" at line {line}, column {column}.")
    assert _typed(browser) == (text, "json")


def _typed(browser: Browser) -> tuple[str, str]:
    """Return the value and the kind that stand in the form."""
    fields = browser._form("", {"value": ""}).fields
    return fields["value"], fields["kind"]


def _shown(browser: Browser) -> str:
    return str(browser.tree.xpath("string(//pre)"))


def _keys(browser: Browser) -> list[str]:
    return [str(link.text) for link in browser.tree.xpath("//tbody//a")]


def _figures(browser: Browser) -> list[str]:
    return [figure.text_content() for figure in browser.open("/").tree.xpath("//dd")]


def _delete(browser: Browser, address: str) -> None:
    _confirm(browser.open(f"{address}/delete"))


def _confirm(browser: Browser) -> None:
    version = browser._form("", {"version": ""}).fields["version"]
    browser.send(version=version)
