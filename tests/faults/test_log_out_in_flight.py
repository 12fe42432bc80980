"""Logging out while another request of the session is in flight: over is over."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from urllib.parse import urlencode

import pytest

from tests.faults.people import Tab, at_once, new_name
from tests.faults.site import Site

pytestmark = pytest.mark.fault("R11")

# For each kind of site, of which there are four: a hundred together.
ROUNDS = 25
HELD_ROUNDS = 2

End = Callable[[Site, str, Tab, str], object]


def _log_out(_site: Site, _name: str, tab: Tab, hold: str) -> object:
    return tab.post("/logout", hold=hold)


def _end_elsewhere(site: Site, name: str, tab: Tab, hold: str) -> object:
    other = site.log_in(name)
    return other.post(f"/sessions/{site.record_id(tab.cookie)}/end", hold=hold)


@pytest.fixture(params=[_log_out, _end_elsewhere], ids=["log out", "end elsewhere"])
def end(request: pytest.FixtureRequest) -> End:
    return request.param  # type: ignore[no-any-return]


def test_an_ended_session_stays_ended_whatever_runs_beside_its_end(
    site: Site,
) -> None:
    name, _ = site.new_person()
    for number, end in zip(range(ROUNDS), cycle([_log_out, _end_elsewhere])):
        tab = site.log_in(name)
        tab.form_token()
        beside = tab.beside(site.last)
        at_once(
            lambda: end(site, name, tab, ""),  # noqa: B023
            lambda: beside.keep(f"entry {number}"),  # noqa: B023
            lambda: beside.beside().get("/account"),  # noqa: B023
        )
        assert site.is_dead(tab.cookie), f"round {number}"
        assert not site.is_alive_on_record(tab.cookie)


def test_a_request_that_saves_after_the_end_brings_nothing_back(
    site: Site, end: End
) -> None:
    name, _ = site.new_person()
    for number in range(HELD_ROUNDS):
        tab = site.log_in(name)
        late = tab.beside(site.last)
        late.form_token()
        gate = new_name()
        with ThreadPoolExecutor() as threads:
            held = threads.submit(late.keep, gate, hold=f"after {gate}")
            with site.held(site.last, gate, 1):
                end(site, name, tab, "")
                assert site.is_dead(tab.cookie), f"round {number}"
            held.result()
        assert site.is_dead(tab.cookie), f"round {number}"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_end_that_waits_while_others_write_still_ends(
    site: Site, end: End, moment: str
) -> None:
    name, _ = site.new_person()
    for number in range(HELD_ROUNDS):
        tab = site.log_in(name)
        tab.form_token()
        beside = tab.beside(site.last)
        gate = new_name()
        with ThreadPoolExecutor() as threads:
            held = threads.submit(end, site, name, tab, f"{moment} {gate}")
            with site.held(site.first, gate, 1):
                status = beside.keep(gate).status_code
                answer = beside.get("/entries")
            held.result()
        goes_on = answer.status_code == 200
        assert goes_on == (moment == "before"), "it is over once its end was written"
        assert status == (303 if goes_on else 401)
        assert site.is_dead(tab.cookie), f"round {number}"


def test_a_form_whose_body_comes_after_the_end_does_nothing(single: Site) -> None:
    """Whoever has the cookie can begin a request now and finish it much later."""
    name, tab = single.new_person()
    form = {"form_token": tab.form_token(), "key": "late", "value": "1"}
    gate = new_name()
    body = urlencode(form | {"kind": "text"}).encode()
    with socket.create_connection(("127.0.0.1", single.last.port), timeout=10) as line:
        line.sendall(_head(tab, len(body), gate) + body[:5])
        with single.held(single.last, gate, 1):
            tab.post("/logout")
            assert single.is_dead(tab.cookie)
        line.sendall(body[5:])
        answer = line.makefile("rb").read().decode()
    statement = (
        "SELECT key FROM entries JOIN users ON users.id = user_id WHERE name = ?"
    )
    assert single.query(statement, name) == [], answer
    assert "/entries/late" not in answer


def _head(tab: Tab, length: int, gate: str) -> bytes:
    lines = [
        "POST /entries/new HTTP/1.1",
        "Host: localhost",
        f"Cookie: session={tab.cookie}",
        f"X-Hold: unread {gate}",
        "Sec-Fetch-Site: same-origin",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {length}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "\r\n"]).encode()
