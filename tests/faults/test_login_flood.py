"""A flood of guesses: readers and people who log in hardly feel it."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser import PASSWORD
from tests.faults.people import Tab, Timed, percentile
from tests.servers import ROOT, Gunicorn

pytestmark = [pytest.mark.alone, pytest.mark.fault("R18")]

PEOPLE = 20
PAUSE = 0.2
IN_TIME = 1.0
SHARE = 0.9
READERS_P95 = 0.025
GROWTH = 40_000  # KiB resident: the queue, and one hash of 19 MiB
LEFT = 15_000  # KiB: without the hash
# The cost that people are told to have; other tests hash cheaply.
SETTINGS = {
    "PASSWORD_MEMORY_KIB": "19456",
    "PASSWORD_ROUNDS": "2",
    "TRUSTED_PROXIES": "1",
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Gunicorn]:
    server = Gunicorn(tmp_path, **SETTINGS).start()
    yield server
    server.close()


@contextmanager
def _attacked(server: Gunicorn, kind: str) -> Iterator[dict[str, int]]:
    """Give what the attackers were answered, once they are gone."""
    answers: dict[str, int] = {}
    command = [sys.executable, "-m", "tests.faults.attackers", server.url, kind]
    with subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as attackers:
        assert server.has_logged('"POST /login" 401')
        yield answers
        answers |= json.loads(attackers.communicate()[0])


class Person:
    """Somebody with an account of their own, at an address of their own."""

    def __init__(self, server: Gunicorn, number: int) -> None:
        self._form = {"name": f"person-{number}", "password": PASSWORD}
        self._client = server.client(
            headers={
                "Sec-Fetch-Site": "same-origin",
                "X-Forwarded-For": f"198.51.100.{number}",
            }
        )
        assert self._client.post("/signup", data=self._form).status_code == 303

    def log_in(self, *, is_known: bool) -> float:
        """Return how many seconds it took, for ever when it was refused."""
        self._client.cookies.delete("session")
        if not is_known:
            self._client.cookies.clear()
        start = time.monotonic()
        answer = self._client.post("/login", data=self._form)
        took = time.monotonic() - start
        return took if answer.status_code == 303 else float("inf")


@pytest.mark.parametrize("kind", ["one source", "a source each", "always a new source"])
def test_a_flood_of_guesses_is_not_felt(
    site: Gunicorn, kind: str, rounds: int, record_property: Callable[..., None]
) -> None:
    reader = Tab(site).sign_up("reader")
    people = [Person(site, number) for number in range(PEOPLE)]
    resident = site.resident()
    known: list[float] = []
    new: list[float] = []
    with (
        _attacked(site, kind) as answers,
        Timed(reader.is_logged_in, pause=0.02) as reading,
    ):
        for _ in range(rounds):
            for half, took, is_known in ((0, known, True), (1, new, False)):
                for person in people[half::2]:
                    time.sleep(PAUSE)
                    took.append(person.log_in(is_known=is_known))
        grown = site.resident() - resident
    # One more, that nobody waits behind.
    people[0].log_in(is_known=True)
    left = site.resident() - resident
    p95 = percentile(reading.times, 0.95)
    record_property(
        "figure",
        f"{kind}: readers' p95 {p95 * 1000:.0f} ms; log-ins {_describe(known)} from "
        f"known browsers, {_describe(new)} from new ones; {grown // 1000} MB more, "
        f"then {left // 1000}",
    )
    for took in known, new:
        assert sum(each < float("inf") for each in took) >= SHARE * len(took)
        assert statistics.median(took) <= IN_TIME
    assert p95 < READERS_P95
    assert grown < GROWTH
    assert left < LEFT
    assert answers["401"], "they did guess"
    assert answers["429"], "and were held back"


def _in_time(times: list[float]) -> float:
    return sum(each <= IN_TIME for each in times) / len(times)


def _describe(times: list[float]) -> str:
    median = statistics.median(times)
    return f"{_in_time(times):.0%} in {IN_TIME:g} s, median {median:.2f} s"
