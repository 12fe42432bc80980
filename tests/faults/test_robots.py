"""Robots without a cookie, or with forged ones: they leave nothing behind."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.conftest import SiteOf
from tests.faults.site import Site
from tests.faults.wire import KeptAlive
from tests.servers import Gunicorn

pytestmark = pytest.mark.fault("R14")

CONNECTIONS = 4
WARM_UP = 1_000
# How many times as many visits the longer form makes: on files 100,000 and 10,000.
LONGER = 5
GROWTH = 20_000  # KiB resident
PAGES = ["/", "/login", "/entries", "/signup", "/no/such/page", "/static/style.css"]
EXPECTED = {200, 303, 404}


def _crawl(server: Gunicorn, visits: int, *, forged: bool = False) -> None:
    with KeptAlive(server) as line:
        for number in range(visits):
            cookies = ""
            if forged:
                forgery = secrets.token_urlsafe(32)
                cookies = f"Cookie: session={forgery}; device={forgery}\r\n"
            status, header = line.ask(f"GET {PAGES[number % len(PAGES)]}", cookies)
            assert status in EXPECTED
            assert b"set-cookie" not in header


def _crawl_at_once(server: Gunicorn, visits: int, *, forged: bool = False) -> None:
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        robots = [
            threads.submit(_crawl, server, visits // CONNECTIONS, forged=forged)
            for _ in range(CONNECTIONS)
        ]
    for robot in robots:
        robot.result()


def _records(site: Site) -> list[tuple[int, int, int]]:
    count = "(SELECT COUNT(*) FROM {})".format
    tables = ("sessions", "users", "account_events")
    return site.query(f"SELECT {', '.join(map(count, tables))}")


@pytest.mark.parametrize(
    ("store", "visits", "forged"), [("files", 20_000, 2_000), ("redis", 1_000, 500)]
)
def test_robots_leave_nothing_behind(
    site_of: SiteOf, store: str, visits: int, forged: int, rounds: int
) -> None:
    site = site_of(store, 1)
    people = [site.new_person() for _ in range(5)]
    assert all(tab.is_logged_in() for _, tab in people)
    _crawl_at_once(site.first, WARM_UP)
    resident, stored, records = site.first.resident(), site.stored(), _records(site)

    times = LONGER if rounds > 1 else 1
    _crawl_at_once(site.first, visits * times)
    _crawl_at_once(site.first, forged * times, forged=True)
    assert _records(site) == records
    assert site.stored() <= stored
    assert site.first.resident() - resident < GROWTH
    assert all(tab.is_logged_in_as(name) for name, tab in people)
