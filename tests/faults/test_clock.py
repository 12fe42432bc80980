"""The server's clock is set ahead or back while it runs."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser import PASSWORD
from tests.faults.people import Tab, Timed, new_name, wait_until
from tests.faults.site import Site
from tests.servers import Redis

pytestmark = pytest.mark.fault("R19")

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
SECOND = 1.0
SHORT = {
    "SESSION_TRUST": "0s",
    "KEPT_SESSION_IDLE": "1s",
    "SESSION_IDLE": "1s",
    "SESSION_LIFETIME": "1s",
    "FRESH_FOR": "1s",
    "LOGIN_ATTEMPTS": "1",
}
MOVES = {
    (0, HOUR): "hour back",
    (DAY, DAY): "day ahead and back",
}


@pytest.fixture(scope="module", params=["files", "redis"])
def own(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A site whose clock may be moved."""
    folder = tmp_path_factory.mktemp("clock")
    redis = Redis(folder).start() if request.param == "redis" else None
    site = Site(folder, redis, processes=1).start()
    yield site
    site.close()


@dataclass
class Move:
    """How far ahead the clock is at first, and how far it is then set back."""

    ahead: int
    back: int
    site: Site

    def begin(self) -> None:
        _set_clock(self.site, self.ahead)

    def set_back(self) -> None:
        _set_clock(self.site, self.ahead - self.back)


@pytest.fixture(scope="module", params=MOVES, ids=MOVES.get)
def move(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Move]:
    """A site where everything is over after a second."""
    site = Site(tmp_path_factory.mktemp("short"), None, processes=1)
    site.first.settings |= SHORT
    ahead, back = request.param
    yield Move(ahead, back, site.start())
    site.close()


def _set_clock(site: Site, off: int) -> None:
    """Set it so many seconds off the right time."""
    answer = Tab(site.first).get("/healthz", **{"X-Clock": str(off)})
    assert answer.status_code == 200


def _log_in_and_keep(site: Site, name: str) -> Tab:
    tab = Tab(site.first)
    form = {"name": name, "password": PASSWORD, "keep": "yes"}
    assert tab.post("/login", **form).status_code == 303
    return tab


def _sign_up_and_keep(site: Site) -> Tab:
    tab = Tab(site.first)
    form = {"name": new_name(), "password": PASSWORD, "keep": "yes"}
    assert tab.post("/signup", **form).status_code == 303
    return tab


def test_setting_the_clock_back_logs_nobody_out(own: Site) -> None:
    people = [own.new_person() for _ in range(10)]
    for back in (HOUR, DAY):
        _set_clock(own, -back)
        assert all(tab.is_logged_in_as(name) for name, tab in people)
        for _, tab in people:
            assert tab.keep(f"{back} back").status_code == 303
        assert all(own.log_in(name).is_logged_in_as(name) for name, _ in people)


def test_setting_the_clock_ahead_ends_what_is_over_by_then_and_no_more(
    own: Site,
) -> None:
    _set_clock(own, 0)
    people = [own.new_person() for _ in range(10)]
    kept = [(name, _log_in_and_keep(own, name)) for name, _ in people]
    for ahead in (MINUTE, HOUR):
        _set_clock(own, ahead)
        assert all(tab.is_logged_in_as(name) for name, tab in people + kept)
    _set_clock(own, DAY)
    assert not any(tab.is_logged_in() for _, tab in people)
    assert all(tab.is_logged_in_as(name) for name, tab in kept)


def test_no_session_lasts_longer_when_the_clock_is_set_back(move: Move) -> None:
    move.begin()
    _, tab = move.site.new_person()
    started = time.monotonic()
    move.set_back()
    assert tab.is_logged_in()
    within = SECOND + 1 - (time.monotonic() - started)
    wait_until(lambda: not tab.is_logged_in(), within, "the session is over")


def test_no_unused_session_lasts_longer_when_the_clock_is_set_back(move: Move) -> None:
    move.begin()
    tab = _sign_up_and_keep(move.site)
    move.set_back()
    _let_pass(SECOND * 1.2)
    assert not tab.is_logged_in()


def test_no_confirmation_counts_longer_when_the_clock_is_set_back(move: Move) -> None:
    move.begin()
    tab = _sign_up_and_keep(move.site)
    tab.form_token()
    move.set_back()

    def is_asked_for_the_password() -> bool:
        answer = tab.post("/sessions/end-others")
        return answer.status_code == 403 and "confirm_password" in answer.text

    wait_until(is_asked_for_the_password, 1.5, "the password is asked for again")


def test_no_wait_after_a_wrong_password_gets_longer_when_the_clock_is_set_back(
    move: Move,
) -> None:
    move.begin()
    name, _ = move.site.new_person()
    assert Tab(move.site.first).log_in(name, "wrong").status_code == 401
    assert Tab(move.site.first).log_in(name).status_code == 429
    move.set_back()
    tab = Tab(move.site.first)
    wait_until(lambda: tab.log_in(name).status_code == 303, 2, "the wait is over")


def test_a_wrong_password_before_the_clock_is_set_back_keeps_nobody_else_waiting(
    move: Move,
) -> None:
    move.begin()
    name, _ = move.site.new_person()
    other_name, _ = move.site.new_person()
    assert Tab(move.site.first).log_in(name, "wrong").status_code == 401
    move.set_back()
    assert Tab(move.site.first).log_in(other_name).status_code == 303


def test_a_session_in_use_outlasts_a_short_idle_timeout(tmp_path: Path) -> None:
    """Its copy is believed for longer than it may be unused."""
    site = Site(tmp_path, None, processes=1)
    site.first.settings["SESSION_IDLE"] = "1s"
    try:
        name, tab = site.start().new_person()
        with Timed(lambda: tab.get("/entries"), pause=0.1):
            _let_pass(SECOND * 1.8)
        assert tab.is_logged_in_as(name)
    finally:
        site.close()


def _let_pass(seconds: float) -> None:
    start = time.monotonic()
    wait_until(lambda: time.monotonic() - start > seconds, seconds + 1, "a while")
