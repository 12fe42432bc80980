"""Pages that are left open: what they hear, what they cost, and how they end."""

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from tests.faults.people import Tab, Timed, new_name, percentile, wait_until
from tests.faults.site import Site
from tests.faults.wire import compose, connect, connections
from tests.proxies import Nginx
from tests.servers import Gunicorn
from webapp.hub import MOST_OF_ONE
from webapp.live.views import HEARTBEAT

# Seconds to be patient for: far from a heartbeat, and after one.
AT_ONCE, LATE = 5.0, HEARTBEAT + 5.0
# Until it hears other processes; and without anything new.
LISTENS, SILENCE = 2.0, 1.0
PAGES = 1_000
MOST = 50_000_000 / 1024  # KiB resident
QUIET = 5.0
GONE = 1.0
TIMES = 3
P99 = 0.3
OTHERS = 4


class Page:
    """An open page that listens; gives what it is told, as it comes."""

    def __init__(self, tab: Tab, after: str = "") -> None:
        self._line = connect(tab.server)
        cookie = f"Cookie: session={tab.cookie}\r\n".encode()
        ask = compose(b"GET", f"/live?after={after}".encode(), cookie)
        self._line.sendall(ask)
        self._heard = b""
        self.last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._line.close()

    def hear(self, within: float) -> tuple[str, dict[str, Any]]:
        """Return the next event and its data; raises TimeoutError."""
        deadline = time.monotonic() + within
        while True:
            while b"\n\n" in self._heard:
                block, _, self._heard = self._heard.partition(b"\n\n")
                # What chunks begin with stands before them.
                found = dict(
                    line.split(": ", maxsplit=1)
                    for line in block.decode().splitlines()
                    if ": " in line
                )
                self.last = found.get("id", self.last)
                if "data" in found:
                    return found["event"], json.loads(found["data"])
            self._line.settimeout(max(0.001, deadline - time.monotonic()))
            piece = self._line.recv(65_536)
            if not piece:
                raise EOFError
            self._heard += piece

    def is_over(self, within: float) -> bool:
        """Wait for the end of the stream."""
        with self:
            self._line.settimeout(within)
            while self._line.recv(65_536):
                pass
        return True


def test_what_happens_elsewhere_is_heard(site: Site) -> None:
    """At once in one process and through Redis, else at the next look."""
    name, tab = site.new_person()
    soon = AT_ONCE if site.redis or site.first is site.last else LATE
    with Page(tab) as page:
        assert page.hear(AT_ONCE)[0] == "state"
        time.sleep(LISTENS)
        there = tab.beside(site.last)
        there.keep("a note")
        event, state = page.hear(soon)
        assert (event, state["entries"]) == ("state", "1")
        other = Tab(site.last)
        assert other.log_in(name).status_code == 303
        assert page.hear(soon)[0] == "log-in"
        assert page.hear(AT_ONCE)[0] == "state"
        with Page(other) as of_other:
            assert of_other.hear(AT_ONCE)[0] == "state"
            there.post(f"/sessions/{site.record_id(other.cookie)}/end")
            event, end = of_other.hear(soon)
            assert (event, end["reason"]) == ("ended", "ended from another session")
            assert of_other.is_over(AT_ONCE)


def test_a_proxy_passes_it_on_at_once(server: Gunicorn, tmp_path: Path) -> None:
    server.start()
    proxy = Nginx(tmp_path, [f"127.0.0.1:{server.port}"])
    proxy.start()
    try:
        tab = Tab(proxy).sign_up("alice")
        with Page(tab) as page:
            assert page.hear(AT_ONCE)[0] == "state"
            tab.keep("a note")
            assert page.hear(AT_ONCE)[1]["entries"] == "1"
    finally:
        proxy.kill()


def test_nothing_is_lost_between_two_connections(site: Site) -> None:
    _, tab = site.new_person()
    with Page(tab) as page:
        page.hear(AT_ONCE)
        last = page.last
    tab.keep("a note")
    with Page(tab, after=last) as page:
        event, state = page.hear(AT_ONCE)
        assert (event, state["entries"]) == ("state", "1")
        last = page.last
    with Page(tab, after=last) as page, pytest.raises(TimeoutError):
        page.hear(SILENCE)


def test_the_operator_ends_what_a_page_follows(server: Gunicorn) -> None:
    """By a command, which is another process and has no Redis to tell it by."""
    server.start()
    tab = Tab(server).sign_up("alice")
    with Page(tab) as page:
        page.hear(AT_ONCE)
        server.flask("session", "end", "alice")
        event, end = page.hear(LATE)
        assert (event, end["reason"]) == ("ended", "by the operator")


def test_a_person_has_so_many_pages_and_the_newest_hear(server: Gunicorn) -> None:
    server.start()
    tab = Tab(server).sign_up("alice")
    with ExitStack() as stack:
        pages = [stack.enter_context(Page(tab)) for _ in range(MOST_OF_ONE + 1)]
        for page in pages:
            assert page.hear(AT_ONCE)[0] == "state"
        assert pages[0].is_over(AT_ONCE)
        tab.keep("a note")
        for page in pages[1:]:
            assert page.hear(AT_ONCE)[1]["entries"] == "1"


@pytest.mark.alone
@pytest.mark.fault("R10")
def test_open_pages_do_not_keep_it_from_ending(
    server: Gunicorn, record_property
) -> None:
    took = []
    for _ in range(TIMES):
        server.start()
        tab = Tab(server).sign_up(new_name())
        with ExitStack() as stack:
            pages = [stack.enter_context(Page(tab)) for _ in range(MOST_OF_ONE)]
            for page in pages:
                page.hear(AT_ONCE)
            begin = time.monotonic()
            server.stop()
            took.append(time.monotonic() - begin)
    record_property("figure", f"with open pages gone in {min(took):.2f} s")
    assert min(took) < GONE


@pytest.mark.alone
@pytest.mark.fault("R17")
def test_a_thousand_open_pages_cost_little_and_nobody_feels_them(
    server: Gunicorn, files_enough: None, rounds: int, record_property
) -> None:
    server.start()
    people = [Tab(server).sign_up(new_name()) for _ in range(PAGES // MOST_OF_ONE)]
    readers = [Tab(server).sign_up(new_name()).is_logged_in for _ in range(OTHERS)]
    with Timed(*readers, pause=0.02) as before:
        time.sleep(QUIET)
    resident = server.resident()
    with ExitStack() as stack:
        for person in people:
            for _ in range(MOST_OF_ONE):
                stack.enter_context(Page(person)).hear(10)
        with Timed(*readers, pause=0.02) as timed:
            time.sleep(HEARTBEAT)
        grown = server.resident() - resident
    quiet, p95 = (percentile(each.times, 0.95) for each in (before, timed))
    record_property(
        "figure",
        f"{PAGES} open pages: {grown // 1000} MB, others' p95 "
        f"{quiet * 1000:.1f} ms before, {p95 * 1000:.1f} ms beside them",
    )
    assert grown < MOST
    assert percentile(timed.times, 0.99) < P99
    if rounds > 1:
        wait_until(lambda: connections(server) < PAGES // 10, LATE * 2, "gone")
