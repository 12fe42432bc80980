"""A Redis primary dies under load, and another takes over: nobody is logged out.

Sentinel, and a Cluster of three primaries with a replica each.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.people import Tab, Timed, new_name, percentile, wait_until
from tests.redises import KINDS, Several, redis_of
from tests.servers import Gunicorn

# As when a single Redis dies: tests/faults/test_store_away.py.
SLOWEST = 1.2
FAILS_OVER_WITHIN = 30.0
USED_WITHIN = 5.0


@pytest.fixture(params=KINDS)
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Several]:
    with redis_of(request.param, tmp_path) as servers:
        wait_until(servers.is_whole, 20, "they know each other")
        yield servers


@pytest.fixture
def application(servers: Several, tmp_path: Path) -> Iterator[Gunicorn]:
    gunicorn = Gunicorn(tmp_path, REDIS_URL=servers.url, TRUSTED_PROXIES="1")
    yield gunicorn.start()
    gunicorn.close()


@dataclass
class Person:
    """Keeps one entry after the other, and reads each and the list of all."""

    tab: Tab
    name: str = field(default_factory=new_name)
    kept: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tab.sign_up(self.name)

    def work(self) -> None:
        key = f"key-{len(self.kept)}"
        assert self.tab.keep(key).status_code == 303
        self.kept.append(key)
        page = self.tab.get("/entries")
        assert page.status_code == 200, "logged out"
        assert f">{key}<" in page.text, "an old list"


@pytest.mark.fault("R2")
def test_nobody_is_logged_out_by_a_failover(
    servers: Several, application: Gunicorn
) -> None:
    people = [Person(Tab(application)) for _ in range(8)]
    cookies = [person.tab.cookie for person in people]
    with Timed(*(person.work for person in people)) as requests:
        wait_until(lambda: len(servers.keys()) >= len(people), 10, "it is used")
        servers.kill_a_primary()
        wait_until(servers.is_failed_over, FAILS_OVER_WITHIN, "another takes over")
        done = [len(person.kept) for person in people]
        wait_until(
            lambda: all(len(p.kept) > n + 5 for p, n in zip(people, done, strict=True)),
            USED_WITHIN,
            "everybody goes on",
        )
        late = Person(Tab(application))
        wait_until(lambda: _is_used(servers, late), USED_WITHIN, "it is used again")
    assert max(requests.times) < 2 * SLOWEST, "each is two requests"
    assert percentile(requests.times, 0.9) < SLOWEST
    for person, cookie in zip(people, cookies, strict=True):
        assert person.tab.cookie == cookie
        assert person.tab.is_logged_in_as(person.name)
    errors = application.client().get("/metrics").text
    assert 'status="500"' not in errors


def _is_used(servers: Several, person: Person) -> bool:
    """Tell whether a new session has its copy there."""
    before = servers.keys()
    assert person.tab.log_in(person.name).status_code == 303
    return any(":session:" in key for key in servers.keys() - before)
