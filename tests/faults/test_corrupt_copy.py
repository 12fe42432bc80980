"""The stored copy of a session is damaged: it is made again, and nothing is run."""

import json
import pickle
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import SiteOf
from tests.faults.people import Tab
from tests.faults.site import Site

pytestmark = pytest.mark.fault("R7")

MEGABYTE = 1_000_000


class Trap:
    """What a pickle can do when it is loaded: here it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> Any:
        return Path.mkdir, (Path(self.folder),)


def _edited(**changes: object) -> Callable[[bytes], bytes]:
    return lambda copy: json.dumps(json.loads(copy) | changes).encode()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda copy: copy[: len(copy) // 2],
    "garbage": lambda _: bytes(range(256)) * 4,
    "deep": lambda _: b"[" * 30_000,
    "not text": lambda copy: copy.replace(b"1", b"\xff"),
    "a list": lambda _: b"[1, 2, 3]",
    "null": lambda _: b"null",
    "nothing in it": lambda _: b"{}",
    "a user as text": _edited(user_id="1"),
    "one thing too much": _edited(admin=True),
    "no number": _edited(checked_at=float("nan"), last_seen_at=float("inf")),
    "data of the wrong type": _edited(data=[1]),
    "a name of the wrong type": _edited(data={"_name": {"a": [1]}}),
    "messages of the wrong type": _edited(data={"_flashes": 5}),
    "huge": _edited(data={"filling": "x" * 2 * MEGABYTE}),
    "huge garbage": lambda _: b"x" * 2 * MEGABYTE,
}


def _read(site: Site, place: str) -> bytes:
    if site.redis:
        with site.redis.client() as client:
            return bytes(client.get(place) or b"")
    return Path(place).read_bytes()[4:]


def _write(site: Site, place: str, content: bytes) -> None:
    if site.redis:
        with site.redis.client() as client:
            client.set(place, content)
    else:
        # The first four bytes say when it expires.
        expires = struct.pack("I", int(time.time()) + 3600)
        Path(place).write_bytes(expires + content)


def _damage(site: Site, tab: Tab, damage: Callable[[bytes], bytes]) -> None:
    assert tab.is_logged_in()
    place = site.place_of(tab.cookie)
    assert place
    _write(site, place, damage(_read(site, place)))


def _goes_on(site: Site, name: str, tab: Tab) -> None:
    """The same person under the same cookie reads, writes, and can log out."""
    cookie = tab.cookie
    assert tab.is_logged_in_as(name)
    assert tab.keep("after", "it was damaged").status_code == 303
    assert "it was damaged" in tab.get("/entries/after").text
    assert tab.is_logged_in_as(name)
    assert tab.cookie == cookie
    tab.post("/logout")
    assert not Tab(site.first, cookie).is_logged_in()


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_copy_is_made_again(single: Site, kind: str) -> None:
    name, tab = single.new_person()
    _damage(single, tab, DAMAGE[kind])
    _goes_on(single, name, tab)


@pytest.mark.parametrize(
    "kind", ["garbage", "a list", "no number", "messages of the wrong type", "huge"]
)
def test_a_copy_damaged_before_a_write_fails_no_write(single: Site, kind: str) -> None:
    name, tab = single.new_person()
    tab.form_token()
    _damage(single, tab, DAMAGE[kind])
    assert tab.keep("first").status_code == 303
    _goes_on(single, name, tab)


def test_another_persons_copy_makes_nobody_another_person(single: Site) -> None:
    name, tab = single.new_person()
    other_name, other = single.new_person()
    assert other.keep("secret", "not yours").status_code == 303
    place = single.place_of(other.cookie)
    assert place
    theirs = _read(single, place)
    _damage(single, tab, lambda _: theirs)
    page = tab.get("/entries").text
    assert name in page
    assert other_name not in page
    assert "secret" not in page
    _goes_on(single, name, tab)
    assert other.is_logged_in_as(other_name)


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_a_pickle_is_never_loaded(single: Site, protocol: int, tmp_path: Path) -> None:
    name, tab = single.new_person()
    trap = tmp_path / "sprung"
    _damage(single, tab, lambda _: pickle.dumps(Trap(trap), protocol))
    _goes_on(single, name, tab)
    assert not trap.exists()


@pytest.mark.parametrize("files", [0, 1])
def test_a_folder_in_its_place_logs_nobody_out(site_of: SiteOf, files: int) -> None:
    site = site_of("files", 1)
    name, tab = site.new_person()
    place = Path(site.place_of(tab.cookie) or "")
    place.unlink()
    place.mkdir()
    for number in range(files):
        (place / f"file{number}").write_text("something")
    try:
        _goes_on(site, name, tab)
        assert place.is_dir()
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize("kind", ["list", "hash", "set"])
def test_another_type_of_redis_in_its_place(site_of: SiteOf, kind: str) -> None:
    site = site_of("redis", 1)
    name, tab = site.new_person()
    place = site.place_of(tab.cookie)
    assert place
    assert site.redis
    with site.redis.client() as client:
        client.delete(place)
        match kind:
            case "list":
                client.lpush(place, "something")
            case "hash":
                client.hset(place, "user_id", "1")
            case _:
                client.sadd(place, "something")
        _goes_on(site, name, tab)
