"""The disk is full, can only be read, or no file can be opened any more."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.faults.means import Obedient, forbidden, full, only_readable, small_disk
from tests.faults.people import Tab, parts_down, wait_until
from tests.faults.wire import connect
from tests.servers import Gunicorn

RECOVERS_WITHIN = 5.0
PLACES = ["session", "cache", "database"]
# As /readyz names them.
PARTS = dict(zip(PLACES, ("session data", "cached values", "database"), strict=True))
WHERE = {place: [place] for place in PLACES} | {"all": PLACES}


Fault = Callable[[Path], AbstractContextManager[None]]


class Disks:
    """The application with each kind of state on a small disk of its own."""

    def __init__(self, folder: Path, server: Gunicorn) -> None:
        self.folders = {place: folder / place for place in PLACES}
        self.server = server
        server.settings |= {
            "SESSION_URL": (self.folders["session"] / "s").as_uri(),
            "CACHE_URL": (self.folders["cache"] / "c").as_uri(),
            "DATABASE_URL": f"sqlite:///{self.folders['database'] / 'holdfast.db'}",
        }

    def temporary_files(self) -> list[str]:
        found = [file for place in PLACES for file in self.folders[place].rglob("*")]
        return [str(file) for file in found if file.name.endswith("__wz_cache")]


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    disks = Disks(tmp_path, server := Obedient(tmp_path))
    with ExitStack() as mounted:
        for folder in disks.folders.values():
            mounted.enter_context(small_disk(folder, 1024))
        server.start()
        yield disks
        server.close()


@contextmanager
def _each(context: Fault, disks: Disks, places: list[str]) -> Iterator[None]:
    with ExitStack() as stack:
        for place in places:
            stack.enter_context(context(disks.folders[place]))
        yield


def _try_to_write(tab: Tab, key: str, kept: set[str]) -> int:
    answer = tab.keep(key, key * 20)
    assert answer.status_code in (303, 503)
    if answer.status_code == 303:
        kept.add(key)
    else:
        assert "Nothing of this was saved" in answer.text
    return answer.status_code


def _try_to_log_in(server: Gunicorn, name: str) -> None:
    """Either it says that it cannot be done now, or one is logged in: never a loop."""
    tab = Tab(server)
    answer = tab.log_in(name)
    assert answer.status_code in (303, 503)
    assert tab.is_logged_in() == (answer.status_code == 303)
    if answer.status_code == 503:
        assert "cannot be done right now" in answer.text
        assert not tab.cookie


def _is_there(tab: Tab, kept: set[str]) -> None:
    for key in kept:
        assert key * 20 in tab.get(f"/entries/{key}").text


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(full, marks=pytest.mark.fault("R5")),
        pytest.param(forbidden, marks=pytest.mark.fault("R6")),
    ],
)
@pytest.mark.parametrize("places", WHERE.values(), ids=WHERE)
def test_a_disk_that_takes_nothing_loses_nothing(
    disks: Disks, fault: Fault, places: list[str], rounds: int
) -> None:
    server, kept = disks.server, set[str]()
    alice = Tab(server).sign_up("alice")
    assert _try_to_write(alice, "before", kept) == 303
    for number in range(rounds):
        with _each(fault, disks, places):
            assert parts_down(server) == {PARTS[place] for place in places}
            statuses = [
                _try_to_write(alice, f"during-{number}-{key}", kept) for key in range(8)
            ]
            # A database that is open already may still be written to.
            assert (503 in statuses) == ("database" in places and fault is full)
            _try_to_log_in(server, "alice")
            assert alice.is_logged_in_as("alice")
            _is_there(alice, kept)
            assert server.client().get("/healthz").status_code == 200
        wait_until(lambda: alice.keep("after").status_code in (303, 409),
                   RECOVERS_WITHIN, "writes are kept again")  # fmt: skip
        assert Tab(server).log_in("alice").status_code == 303
        assert alice.is_logged_in_as("alice")
        _is_there(alice, kept)
    assert not disks.temporary_files()
    for place in places:
        # A database that took the writes has no reason to say anything.
        if fault is full or place != "database":
            assert _lines_with(disks.folders[place], server)


@pytest.mark.fault("R6")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", [only_readable, forbidden])
def test_a_start_without_a_writable_disk_reads_or_says_which_in_one_line(
    disks: Disks, fault: Fault, place: str
) -> None:
    server, kept = disks.server, set[str]()
    alice = Tab(server).sign_up("alice")
    assert _try_to_write(alice, "before", kept) == 303
    server.kill()
    server.log.unlink()
    with fault(disks.folders[place]):
        try:
            server.start()
        except AssertionError:
            assert len(_lines_with(disks.folders[place], server)) == 1
        else:
            assert alice.is_logged_in_as("alice")
            _is_there(alice, kept)
            if _try_to_write(alice, "during", kept) == 503:
                assert len(_lines_with(disks.folders[place], server)) == 1
        assert "Traceback" not in server.log.read_text()
        server.kill()
    server.start()
    assert alice.is_logged_in_as("alice")
    _is_there(alice, kept)


def _lines_with(folder: Path, server: Gunicorn) -> list[str]:
    """Return what is said of the folder, but for where state is."""
    lines = server.log.read_text().splitlines()
    said = [line for line in lines if "webapp.state.places" not in line]
    return [line for line in said if str(folder) in line]


class FewFiles(Gunicorn):
    """The application where 64 files are all that may be open."""

    def command(self) -> list[str]:
        return ["/usr/bin/prlimit", "--nofile=64:64", *super().command()]


@pytest.mark.fault("R6")
def test_with_few_files_nobody_hangs(tmp_path: Path) -> None:
    server = FewFiles(tmp_path).start()
    try:
        alice = Tab(server).sign_up("alice")
        assert alice.keep("before").status_code == 303
        idle = [connect(server) for _ in range(60)]
        # Those who say nothing are sent away after 5 s, and their places are free.
        assert httpx.get(f"{server.url}/login", timeout=60).status_code == 200
        for line in idle:
            line.close()
        assert alice.keep("after").status_code == 303
        assert Tab(server).log_in("alice").status_code == 303
    finally:
        server.close()
