"""Two machines of two workers each behind a proxy, on one PostgreSQL and one Redis.

What is done at one of the four processes is seen by the next request at any other.
"""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.databases import DatabaseServer, database_server_of
from tests.faults.people import BadGateway, Tab, Timed, at_once, new_name, wait_until
from tests.proxies import Nginx
from tests.servers import Gunicorn, Redis

WORKERS = 2
# Enough that each of the four processes answers some, whoever nginx chooses.
LOOKS = 16


@dataclass
class Machines:
    """Two servers that share a database and a Redis, and what stands in front."""

    first: Gunicorn
    second: Gunicorn
    proxy: Nginx

    def tab(self, cookie: str = "") -> Tab:
        return Tab(self.proxy, cookie)

    def sees(self, tab: Tab) -> set[bool]:
        """Ask all processes, at the same time, whether this browser is logged in."""
        return set(at_once(*[tab.is_logged_in] * LOOKS))


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with ExitStack() as stack:
        database = stack.enter_context(database_server_of("postgresql"))
        redis = Redis(tmp_path_factory.mktemp("redis")).start()
        stack.callback(redis.kill)
        first, second = (
            _machine(tmp_path_factory.mktemp("machine"), database, redis)
            for _ in range(2)
        )
        stack.callback(first.close)
        stack.callback(second.close)
        at_once(first.start, second.start)
        upstreams = [f"127.0.0.1:{server.port}" for server in (first, second)]
        proxy = Nginx(tmp_path_factory.mktemp("nginx"), upstreams)
        stack.callback(proxy.kill)
        yield Machines(first, second, proxy.start())


def _machine(folder: Path, database: DatabaseServer, redis: Redis) -> Gunicorn:
    return Gunicorn(
        folder,
        DATABASE_URL=database.url,
        REDIS_URL=redis.url,
        WEB_CONCURRENCY=str(WORKERS),
        TRUSTED_PROXIES="1",
        PLAIN_HTTP="served",
        LOGIN_LIMIT_SOURCE="1000/1h",
    )


def test_each_machine_has_its_workers(machines: Machines) -> None:
    for server in (machines.first, machines.second):
        assert len(server.processes()) == WORKERS + 1, server.log.read_text()


def test_what_one_process_does_all_others_see_at_once(machines: Machines) -> None:
    name = new_name()
    tab = machines.tab().sign_up(name)
    assert machines.sees(tab) == {True}
    for number in range(5):
        assert tab.keep(f"key {number}").status_code == 303
        lists = at_once(*[lambda: tab.get("/entries").text] * LOOKS)
        assert all(f">key {number}<" in text for text in lists), "no old list"
    phone = machines.tab()
    assert phone.log_in(name).status_code == 303
    assert machines.sees(phone) == {True}
    assert tab.post("/sessions/end-others").status_code == 303
    assert machines.sees(phone) == {False}
    assert machines.sees(tab) == {True}
    kept = tab.cookie
    tab.post("/logout")
    assert machines.sees(machines.tab(kept)) == {False}


def test_metrics_add_up_what_each_worker_counted(machines: Machines) -> None:
    server = machines.first

    def counted() -> float:
        text = server.client().get("/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "holdfast_requests_total"
            and sample.labels["route"] == "accounts.login"
        )

    before = counted()
    at_once(*[lambda: server.client().get("/login")] * LOOKS)
    assert {counted() for _ in range(LOOKS)} == {before + LOOKS}


def test_a_machine_that_dies_logs_nobody_out_and_loses_nothing(
    machines: Machines,
) -> None:
    writers = [Writer(machines.tab().sign_up(new_name())) for _ in range(8)]
    with Timed(*(writer.write for writer in writers)):
        wait_until(lambda: _kept(writers) > 40, 10, "writing")
        machines.second.kill()
        before = _kept(writers)
        wait_until(lambda: _kept(writers) > before + 40, 10, "going on without it")
        machines.second.start()
    for writer in writers:
        assert machines.sees(writer.tab) == {True}
        for key in writer.kept:
            assert writer.tab.get(f"/entries/{key}").status_code == 200


class Writer:
    """Keeps one entry after the other and remembers what was answered."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.kept: list[str] = []
        self._numbers = count()

    def write(self) -> None:
        key = f"key-{next(self._numbers)}"
        # In flight when the machine died: nobody was told that it is kept.
        with suppress(BadGateway):
            if self.tab.keep(key).status_code == 303:
                self.kept.append(key)
        assert self.tab.is_logged_in()


def _kept(writers: list[Writer]) -> int:
    return sum(len(writer.kept) for writer in writers)
