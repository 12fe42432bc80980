"""Two tabs, or twenty, change things at the same time: nothing is lost or hidden."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.browser import PASSWORD
from tests.faults.people import Tab, at_once, new_name
from tests.faults.site import Site

pytestmark = pytest.mark.fault("R12")

TABS = 20


def _tabs(site: Site, tab: Tab) -> list[Tab]:
    """Open tabs of one browser, at each process in turn."""
    tab.form_token()
    servers = site.servers * TABS
    return [tab.beside(server) for server in servers[:TABS]]


def test_every_message_of_parallel_changes_is_shown_once(site: Site) -> None:
    _, tab = site.new_person()
    tabs = _tabs(site, tab)
    answers = at_once(*(lambda n=n, t=t: t.keep(f"{n}") for n, t in enumerate(tabs)))
    assert [answer.status_code for answer in answers] == [303] * TABS
    assert tab.notices() == ["Saved."] * TABS
    assert [each.notices() for each in tabs[:2]] == [[], []]


def test_no_message_is_lost_to_pages_that_show_others(site: Site) -> None:
    """Each is shown at least once: by the tab that saved it, or by one beside it."""
    _, tab = site.new_person()
    tabs = _tabs(site, tab)

    def keep_and_look(number: int, own: Tab) -> int:
        own.keep(f"entry {number}")
        return len(own.notices())

    shown = at_once(*(lambda n=n, t=t: keep_and_look(n, t) for n, t in enumerate(tabs)))
    assert sum(shown) + len(tab.notices()) >= TABS
    assert tab.notices() == []


def test_a_message_made_while_another_is_being_shown_is_shown_later(
    site: Site,
) -> None:
    """A slow page took the first message with it; a quick one showed it as well."""
    _, tab = site.new_person()
    quick, slow = tab.beside(), tab.beside(site.last)
    assert quick.keep("first").status_code == 303
    gate = new_name()
    with ThreadPoolExecutor() as threads:
        page = threads.submit(slow.get, "/entries", **{"X-Hold": f"after {gate}"})
        with site.held(site.last, gate, 1):
            assert quick.notices() == ["Saved."]
            assert quick.post("/sessions/end-others").status_code == 303
        assert page.result().text.count("Saved.") == 1
    assert quick.notices() == ["0 other sessions ended."]


def test_parallel_changes_of_one_session_keep_every_key(site: Site) -> None:
    _, tab = site.new_person()
    names = {f"key{number}" for number in range(TABS)}
    tabs = _tabs(site, tab)
    at_once(
        *(
            lambda name=name, t=t: t.get("/account", **{"X-Put": name})
            for name, t in zip(sorted(names), tabs, strict=True)
        )
    )
    assert names <= tab.get("/session-data").json().keys()


def test_changes_held_until_all_have_begun_keep_every_key(site: Site) -> None:
    """All have read the session before the first one saves it."""
    _, tab = site.new_person()
    names = {f"key{number}" for number in range(TABS)}
    tabs = _tabs(site, tab)
    gate = new_name()
    with ThreadPoolExecutor(TABS) as threads:
        for name, each in zip(sorted(names), tabs, strict=True):
            how = {"X-Put": name, "X-Hold": f"after {gate}"}
            threads.submit(each.get, "/account", **how)
        share = TABS // len(site.servers)
        with site.held(site.first, gate, share):
            if len(site.servers) > 1:
                with site.held(site.last, gate, share):
                    pass
    assert names <= tab.get("/session-data").json().keys()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_no_key_is_lost_when_the_session_gets_a_new_id(site: Site, moment: str) -> None:
    """One tab confirms the password while the other changes the session."""
    _, tab = site.new_person()
    tab.form_token()
    other, gate = tab.beside(site.last), new_name()
    password = {"confirm_password": PASSWORD}
    with ThreadPoolExecutor() as threads:
        if moment == "before":
            held = threads.submit(
                tab.post, "/confirm", hold=f"before {gate}", **password
            )
            with site.held(site.first, gate, 1):
                other.get("/account", **{"X-Put": "theirs"})
        else:
            how = {"X-Put": "theirs", "X-Hold": f"after {gate}"}
            held = threads.submit(other.get, "/account", **how)
            with site.held(site.last, gate, 1):
                tab.post("/confirm", **password)
        assert held.result().status_code in (200, 303)
    assert tab.cookie != other.cookie
    assert "theirs" in tab.get("/session-data").json()
    assert not Tab(site.first, other.cookie).is_logged_in()


def test_parallel_edits_of_different_entries_are_all_kept(site: Site) -> None:
    _, tab = site.new_person()
    tabs = _tabs(site, tab)
    for number in range(TABS):
        tab.keep(f"entry {number}", "old")
    versions = {key: version for key, _, version in _entries(site, tab)}
    answers = at_once(
        *(
            lambda n=n, t=t: _edit(t, f"entry {n}", f"new {n}", versions[f"entry {n}"])
            for n, t in enumerate(tabs)
        )
    )
    assert answers == [303] * TABS
    values = {key: value for key, value, _ in _entries(site, tab)}
    assert values == {f"entry {n}": f"new {n}" for n in range(TABS)}


@pytest.mark.parametrize("writers", [2, TABS])
def test_of_parallel_edits_of_one_entry_the_later_ones_are_told(
    site: Site, writers: int
) -> None:
    _, tab = site.new_person()
    tabs = _tabs(site, tab)[:writers]
    tab.keep("shared", "old")
    for number in range(3):
        [(_, _, version)] = _entries(site, tab)
        values = [f"{number}, {writer}" for writer in range(writers)]
        answers = at_once(
            *(
                lambda v=v, t=t, version=version: _edit(t, "shared", v, version)
                for v, t in zip(values, tabs, strict=True)
            )
        )
        assert sorted(answers) == [303] + [409] * (writers - 1)
        [(_, value, _)] = _entries(site, tab)
        assert value == values[answers.index(303)]


def test_the_second_writer_is_shown_both_versions(site: Site) -> None:
    _, tab = site.new_person()
    tab.keep("shared", "old")
    [(_, _, version)] = _entries(site, tab)
    assert _edit(tab, "shared", "from the first", version) == 303
    second = tab.beside(site.last)
    form = {"value": "from the second", "kind": "text", "version": str(version)}
    answer = second.post("/entries/shared/edit", **form)
    assert answer.status_code == 409
    assert "from the first" in answer.text
    assert "from the second" in answer.text


def _edit(tab: Tab, key: str, value: str, version: int) -> int:
    form = {"value": value, "kind": "text", "version": str(version)}
    return tab.post(f"/entries/{key}/edit", **form).status_code


def _entries(site: Site, tab: Tab) -> list[tuple[str, str, int]]:
    [[user_id]] = site.query(
        "SELECT user_id FROM sessions WHERE id = ?", site.record_id(tab.cookie)
    )
    return site.query(
        "SELECT key, value, version FROM entries WHERE user_id = ?", user_id
    )


def test_forms_that_were_open_before_a_new_id_are_taken(site: Site) -> None:
    """The token of a form is the session's, at every process, also without its copy."""
    _, tab = site.new_person()
    token, fields = tab.form_token(), {"confirm_password": PASSWORD}
    for server in site.servers * 2:
        other = tab.beside(server)
        before = other.cookie
        assert tab.post("/confirm", **fields).status_code == 303
        assert tab.cookie != before
        older = Tab(server, tab.cookie, token)
        assert older.keep(new_name()).status_code == 303
    assert Tab(site.last, tab.cookie, token).post("/logout").status_code == 303
    assert site.is_dead(tab.cookie)
