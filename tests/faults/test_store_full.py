"""A Redis with no room left: nobody is logged out, and visitors take none of it."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import redis

from tests.faults.people import STORES, Tab, at_once, parts_down
from tests.faults.site import Site
from tests.servers import Redis

pytestmark = pytest.mark.fault("R4")

LIMIT = 3 * 1024 * 1024
CONNECTION = 100_000
FILLING = b"x" * 10_000
VISITS = 200


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("small")
    site = Site(folder, Redis(folder).start(), processes=1).start()
    yield site
    site.close()


@pytest.fixture
def small(shared: Site) -> Site:
    """A site on an empty Redis that keeps 3 MB and then refuses to keep more."""
    assert shared.redis
    with shared.redis.client() as client:
        client.flushall()
        client.config_set("maxmemory", LIMIT)
        client.config_set("maxmemory-policy", "noeviction")
    return shared


def _fill(site: Site) -> None:
    """Write until it refuses, in smaller and smaller pieces."""
    assert site.redis
    with site.redis.client() as client:
        for size in (10_000, 100, 1):
            with pytest.raises(redis.OutOfMemoryError):
                _write_without_end(client, size)
        # What this connection takes is free again when it is closed.
        client.config_set("maxmemory", LIMIT - CONNECTION)


def _write_without_end(client: redis.Redis, size: int) -> None:
    for number in itertools.count():
        client.set(f"filling:{size}:{number}", FILLING[:size])


def _push_out(site: Site) -> None:
    """Let Redis evict, and write twice what it keeps."""
    assert site.redis
    with site.redis.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        for number in range(2 * LIMIT // len(FILLING)):
            client.set(f"pushing:{number}", FILLING)
        assert client.info("stats")["evicted_keys"] > 0


def _visit(site: Site) -> None:
    """Come as somebody unknown, with and without a forged cookie."""
    visitor, forger = Tab(site.first), Tab(site.first, "A" * 43)
    for number in range(VISITS // 4):
        for tab in (visitor, forger):
            assert tab.get("/").status_code == 200
            assert tab.get(f"/entries/{number}").status_code == 303


def _go_on(site: Site, name: str, tab: Tab, key: str) -> None:
    """Read and write as always, in the old session and in a new one."""
    cookie = tab.cookie
    assert tab.is_logged_in_as(name)
    assert tab.keep(key, key * 10).status_code == 303
    assert key * 10 in tab.get(f"/entries/{key}").text
    assert tab.cookie == cookie
    assert site.log_in(name).is_logged_in_as(name)
    ended = site.log_in(name)
    ended.post("/logout")
    assert not Tab(site.first, ended.cookie).is_logged_in()


def test_a_full_store_logs_nobody_out_and_loses_no_write(small: Site) -> None:
    people = [small.new_person() for _ in range(5)]
    _fill(small)
    assert parts_down(small.first) == STORES
    for key in ("full", "still full"):
        at_once(*(partial(_go_on, small, name, tab, key) for name, tab in people))
    _push_out(small)
    for key in ("evicting", "still evicting"):
        at_once(*(partial(_go_on, small, name, tab, key) for name, tab in people))
    for name, tab in people:
        page = tab.get("/entries")
        assert name in page.text
        assert all(key in page.text for key in ("full", "evicting"))


@pytest.mark.parametrize("break_it", [_fill, _push_out])
def test_visitors_take_no_room(small: Site, break_it: Callable[[Site], None]) -> None:
    name, tab = small.new_person()
    assert tab.is_logged_in()
    break_it(small)
    before = small.stored()
    _visit(small)
    assert small.stored() <= before
    assert tab.is_logged_in_as(name)
