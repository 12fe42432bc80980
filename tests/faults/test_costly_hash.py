"""A stored password hash that would cost too much to check, or is none."""

import statistics
import time

import pytest

from tests.browser import PASSWORD
from tests.faults.people import Tab
from tests.faults.site import Site

pytestmark = pytest.mark.fault("R22")

BEYOND_USUAL = 0.1
SALT_AND_HASH = f"{'A' * 22}${'A' * 43}"
COSTLY = {
    "8 GiB": f"$argon2id$v=19$m=8388608,t=1,p=1${SALT_AND_HASH}",
    "years": f"$argon2id$v=19$m=64,t=4294967295,p=1${SALT_AND_HASH}",
    "lanes": f"$argon2id$v=19$m=1048576,t=1,p=131072${SALT_AND_HASH}",
    "all of it": f"$argon2i$v=19$m=4294967295,t=4294967295,p=1${SALT_AND_HASH}",
    "numbers without end": f"$argon2id$v=19$m={'9' * 100},t=1,p=1${SALT_AND_HASH}",
}
BROKEN = {
    "empty": "",
    "plain": PASSWORD,
    "cut": "$argon2id$v=19$m=64,t=1,p=1$AAAA",
    "nothing": f"$argon2id$v=19$m=0,t=0,p=0${SALT_AND_HASH}",
    "less than nothing": f"$argon2id$v=19$m=-64,t=-1,p=-1${SALT_AND_HASH}",
    "no numbers": f"$argon2id$v=19$m=a,t=b,p=c${SALT_AND_HASH}",
    "another language": f"$argon2id$v=19$m=64,t=1,p=1${'é' * 22}${'é' * 43}",
    "another kind": f"$2b$12${'A' * 53}",
}


def _try(site: Site, name: str) -> tuple[int, float]:
    tab, start = Tab(site.first), time.monotonic()
    return tab.log_in(name).status_code, time.monotonic() - start


def _person_with_hash(site: Site, stored: str) -> str:
    name, _ = site.new_person()
    site.query("UPDATE users SET password_hash = ? WHERE name = ?", stored, name)
    return name


@pytest.mark.parametrize("kind", COSTLY)
def test_a_hash_of_extreme_cost_is_refused_at_once_and_logged(
    single: Site, kind: str
) -> None:
    usual, _ = single.new_person()
    took = statistics.median(_try(single, usual)[1] for _ in range(5))
    name = _person_with_hash(single, COSTLY[kind])
    lines = len(single.first.log.read_text().splitlines())
    tries = [_try(single, name) for _ in range(3)]
    assert [status for status, _ in tries] == [401] * 3
    assert statistics.median(each for _, each in tries) < took + BEYOND_USUAL
    log = single.first.log.read_text().splitlines()[lines:]
    assert sum("costs too much" in line for line in log) == 3
    assert _try(single, usual)[0] == 303


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_hash_lets_nobody_in_and_breaks_nothing(
    single: Site, kind: str
) -> None:
    name = _person_with_hash(single, BROKEN[kind])
    assert _try(single, name)[0] == 401
    assert Tab(single.first).log_in(name, "").status_code == 401


def test_whoever_is_logged_in_goes_on_with_a_broken_hash(single: Site) -> None:
    name, tab = single.new_person()
    broken = COSTLY["8 GiB"]
    single.query("UPDATE users SET password_hash = ? WHERE name = ?", broken, name)
    assert tab.is_logged_in_as(name)
    assert tab.keep("still", "here").status_code == 303
    form = {"current": PASSWORD, "password": PASSWORD, "again": PASSWORD}
    assert tab.post("/account/password", **form).status_code == 401
