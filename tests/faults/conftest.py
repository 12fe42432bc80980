"""The sites that the fault tests share: files and Redis, one process and two."""

import resource
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.rows import ROWS, table
from tests.faults.site import Site
from tests.servers import Redis

# How often whatever does not count the rounds by itself is done in the longer form.
AGAIN = 3

SiteOf = Callable[[str, int], Site]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=1, help="How often: bin/faults")


@pytest.fixture(autouse=True)
def again(request: pytest.FixtureRequest) -> int:
    return int(getattr(request, "param", 0))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_longer = metafunc.config.getoption("--rounds") > 1
    if is_longer and "rounds" not in metafunc.fixturenames:
        metafunc.parametrize("again", range(AGAIN), indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the reports, which come from other processes, tell what was played."""
    for item in items:
        for mark in item.iter_markers("fault"):
            item.user_properties += [("fault", row) for row in mark.args]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    stats = terminalreporter.stats
    outcomes = ("passed", "failed", "error", "skipped")
    reports = [report for outcome in outcomes for report in stats.get(outcome, [])]
    played = table(reports)
    if any(("fault", row) in each.user_properties for each in reports for row in ROWS):
        terminalreporter.section("faults")
        terminalreporter.write_line("\n".join(played))


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a fault is done, or by how much more: 1, or what bin/faults asks."""
    return int(request.config.getoption("--rounds"))


@pytest.fixture(scope="session")
def site_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteOf]:
    """Start each kind of site once, for all tests that leave it as it was."""
    started: dict[tuple[str, int], Site] = {}

    def start(store: str, processes: int) -> Site:
        kind = store, processes
        if kind not in started:
            folder = tmp_path_factory.mktemp(f"{store}{processes}")
            redis = Redis(folder).start() if store == "redis" else None
            started[kind] = Site(folder, redis, processes)
            started[kind].start()
        return started[kind]

    yield start
    for site in started.values():
        site.close()


@pytest.fixture(scope="session", params=["files", "redis"])
def single(request: pytest.FixtureRequest, site_of: SiteOf) -> Site:
    """One process, on files and on Redis in turn."""
    return site_of(request.param, 1)


@pytest.fixture(scope="session", params=["files", "redis"])
def double(request: pytest.FixtureRequest, site_of: SiteOf) -> Site:
    """Two processes on the same data, on files and on Redis in turn."""
    return site_of(request.param, 2)


@pytest.fixture(scope="session", params=[1, 2], ids=["one process", "two processes"])
def processes(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="session", params=["files", "redis"])
def site(request: pytest.FixtureRequest, site_of: SiteOf, processes: int) -> Site:
    """Files and Redis, one process and two in turn."""
    return site_of(request.param, processes)


@pytest.fixture
def files_enough() -> Iterator[None]:
    """Let this process have thousands of connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
