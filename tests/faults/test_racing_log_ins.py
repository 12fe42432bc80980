"""Log-in, log-out, change of the password and revoking, all at once.

Afterwards those sessions are alive that should be: on record, and by their cookies.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import pytest

from tests.browser import PASSWORD
from tests.faults.people import Tab, at_once, new_name
from tests.faults.site import Site, id_hash

pytestmark = pytest.mark.fault("R13")

# A change of the password takes about 20 ms here: all orders come about.
DELAYS = [0, 0.01, 0.02, 0.04]
NEW_PASSWORD = "seven-other-boats-in-a-bay"


@dataclass
class Race:
    """One person's sessions before and after everything happened at once."""

    site: Site
    name: str
    changer: Tab
    revoker: Tab
    leavers: list[Tab]
    bystander: Tab
    with_old: list[Tab] = field(default_factory=list)
    with_new: list[Tab] = field(default_factory=list)

    is_changed: bool = False
    on_record: set[str] = field(default_factory=set)
    alive: list[set[str]] = field(default_factory=list)

    def run(self, delay: float) -> "Race":
        """Do all of it at once; the revoking comes so many seconds later."""
        before = self.changer.cookie
        mine = [self.changer, self.revoker, self.bystander, *self.leavers]
        cookies = {tab.cookie for tab in mine}
        servers = [self.site.first, self.site.last]
        self.with_old = [Tab(server) for server in servers]
        self.with_new = [Tab(server) for server in servers]
        at_once(
            partial(_change_password, self.changer, NEW_PASSWORD),
            partial(self._revoke, delay),
            *(partial(tab.post, "/logout") for tab in self.leavers),
            *(partial(tab.log_in, self.name) for tab in self.with_old),
            *(partial(tab.log_in, self.name, NEW_PASSWORD) for tab in self.with_new),
        )
        entered = [self.changer, *self.with_old, *self.with_new]
        cookies |= {tab.cookie for tab in entered if tab.cookie}
        self.is_changed = self.changer.cookie != before
        self.on_record = self._alive_on_record()
        self.alive = [
            {each for each in cookies if Tab(server, each).is_logged_in()}
            for server in self.site.servers
        ]
        return self

    def _revoke(self, delay: float) -> object:
        threading.Event().wait(delay)
        return self.revoker.post("/sessions/end-others")

    def _alive_on_record(self) -> set[str]:
        rows = self.site.query(
            "SELECT id_hash FROM sessions JOIN users ON users.id = user_id "
            "WHERE name = ? AND ended_at IS NULL",
            self.name,
        )
        return {hash_ for (hash_,) in rows}


@pytest.fixture(scope="session")
def races(site: Site) -> list[Race]:
    return [_race(site, delay) for delay in DELAYS]


def _race(site: Site, delay: float) -> Race:
    name, changer = site.new_person()
    revoker, *leavers, bystander = (site.log_in(name) for _ in range(4))
    for tab in (changer, revoker, *leavers):
        tab.form_token()
    # Half of what happens, happens at the other process.
    revoker = revoker.beside(site.last)
    leavers[0] = leavers[0].beside(site.last)
    return Race(site, name, changer, revoker, leavers, bystander).run(delay)


def _change_password(tab: Tab, password: str) -> object:
    form = {"current": PASSWORD, "password": password, "again": password}
    return tab.post("/account/password", end_others="yes", **form)


def test_cookies_open_what_is_alive_on_record_and_nothing_else(
    races: list[Race],
) -> None:
    for race in races:
        for alive in race.alive:
            assert {id_hash(cookie) for cookie in alive} == race.on_record


def test_exactly_the_documented_sessions_are_alive(races: list[Race]) -> None:
    for race in races:
        alive = race.alive[0]
        # Both end the bystander's, and a log-out is final.
        assert race.bystander.cookie not in alive
        assert not alive & {tab.cookie for tab in race.leavers}
        # Each ends the other's: whoever came first.
        assert (race.revoker.cookie in alive) == (not race.is_changed)
        assert (race.changer.cookie in alive) == race.is_changed
        stayed = race.changer if race.is_changed else race.revoker
        entered = race.with_new if race.is_changed else race.with_old
        assert alive <= {stayed.cookie} | {tab.cookie for tab in entered}


def test_one_password_is_right_afterwards(races: list[Race]) -> None:
    for race in races:
        passwords = [PASSWORD, NEW_PASSWORD]
        for server in (race.site.first, race.site.last):
            tab = Tab(server)
            answers = [tab.log_in(race.name, each).status_code for each in passwords]
            assert answers == ([401, 303] if race.is_changed else [303, 401])


@pytest.mark.parametrize("act", ["/sessions/end-others", "/account/delete"])
def test_a_session_that_was_ended_meanwhile_ends_nothing_itself(
    double: Site, act: str
) -> None:
    """Its request has passed the guard when the password is changed elsewhere."""
    name, owner = double.new_person()
    thief = double.log_in(name).beside(double.last)
    thief.form_token()
    gate = new_name()
    with ThreadPoolExecutor() as threads:
        late = threads.submit(thief.post, act, hold=f"before {gate}")
        with double.held(double.last, gate, 1):
            _change_password(owner, NEW_PASSWORD)
            assert owner.is_logged_in_as(name)
        late.result()
    assert owner.is_logged_in_as(name)
    assert not thief.is_logged_in()


def test_of_two_changes_of_the_password_at_once_one_counts(site: Site) -> None:
    for _ in range(3):
        name, tab = site.new_person()
        tab.form_token()
        changers = [tab.beside(), site.log_in(name)]
        changers[1].form_token()
        changers[1] = changers[1].beside(site.last)
        passwords = [f"{NEW_PASSWORD}-{number}" for number in range(2)]
        cookies = [changer.cookie for changer in changers]
        pairs = zip(changers, passwords, strict=True)
        at_once(*(partial(_change_password, *pair) for pair in pairs))
        changed = [tab.cookie != c for tab, c in zip(changers, cookies, strict=True)]
        assert sorted(changed) == [False, True]
        [winner] = [tab for tab, won in zip(changers, changed, strict=True) if won]
        assert winner.is_logged_in_as(name)
        right = [
            Tab(site.first).log_in(name, password).status_code == 303
            for password in passwords
        ]
        assert right == changed
