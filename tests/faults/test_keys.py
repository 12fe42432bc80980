"""A key was changed, lost, or is none: nobody is logged out, the rest works."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet

from tests.faults.people import Tab
from tests.servers import Gunicorn

pytestmark = pytest.mark.fault("R20")

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
PIN = "the-pin-of-the-bank-7391"
UNREADABLE = "This value cannot be read with the keys that this site has."


class Cast:
    """Alice, who keeps a secret and something plain, and the site she keeps it on."""

    def __init__(self, server: Gunicorn) -> None:
        self.server = server
        self.restart(OLD)
        self.alice = Tab(server).sign_up("alice")
        assert self.keep("bank", secret="yes").status_code == 303
        assert self.keep("plain").status_code == 303

    def restart(self, *keys: str) -> None:
        if self.server.process:
            assert self.server.stop() == 0
        # Platforms set the other one, and change it as they like.
        secret_key = Fernet.generate_key().decode()
        self.server.settings["SECRET_KEY"] = secret_key
        self.server.settings["ENCRYPTION_KEYS"] = ",".join(keys)
        self.server.start()

    def keep(self, key: str, **fields: str) -> httpx.Response:
        value = PIN if fields else "clear"
        new = {"key": key, "value": value, "kind": "text"}
        return self.alice.post("/entries/new", **new, **fields)

    def reads(self, key: str) -> bool:
        page = self.alice.get(f"/entries/{key}")
        assert page.status_code == 200, "and nobody is logged out"
        assert (UNREADABLE in page.text) is (PIN not in page.text) or key == "plain"
        return (PIN if key == "bank" else "clear") in page.text

    def rotate(self) -> str:
        """Run the command as the operator does, beside the server."""
        return self.server.flask("state", "rotate-keys")

    def everything(self) -> bytes:
        """Return the log and every file: database, its log, copies, cached values."""
        data = Path(self.server.settings["DATA_DIR"])
        files = {file for file in data.rglob("*") if file.is_file()}
        names = {file.name for file in files}
        assert {"holdfast.db", "holdfast.db-wal"} <= names
        assert {file.parent.name for file in files} >= {"data", "cache", "sessions"}
        return b"".join(file.read_bytes() for file in [*files, self.server.log])


@pytest.fixture
def cast(server: Gunicorn) -> Iterator[Cast]:
    """Play, and look for what may be nowhere at the end."""
    server.settings["LOG_LEVEL"] = "debug"
    cast = Cast(server)
    yield cast
    assert cast.alice.get("/entries").status_code == 200
    content = cast.everything()
    assert b"plain" in content
    assert b"GET /entries/bank" in content
    for secret in (PIN, OLD, NEW):
        assert secret.encode() not in content


def test_changing_the_key_logs_nobody_out_and_loses_nothing(cast: Cast) -> None:
    cast.restart(NEW, OLD)
    assert cast.alice.is_logged_in_as("alice")
    assert cast.reads("bank")
    assert cast.keep("card", secret="yes").status_code == 303
    said = cast.rotate()
    assert "Re-encrypted 1 value " in said
    assert "The other keys can be taken out of ENCRYPTION_KEYS" in said
    assert cast.reads("bank"), "while the server runs on"
    cast.restart(NEW)
    assert cast.alice.is_logged_in_as("alice")
    assert cast.reads("bank")
    assert cast.reads("plain")


@pytest.mark.parametrize("keys", [(), (NEW,)], ids=["lost", "wrong"])
def test_without_its_key_a_secret_says_so_and_the_rest_works(
    cast: Cast, keys: tuple[str, ...]
) -> None:
    cast.restart(*keys)
    assert cast.alice.is_logged_in_as("alice")
    assert not cast.reads("bank")
    assert cast.reads("plain")
    assert cast.keep("more").status_code == 303
    assert "/entries/bank" in cast.alice.get("/entries?q=bank").text
    given = cast.alice.get("/account/export").json()["entries"]
    assert [each["value"] for each in given] == [None, "clear", "clear"]
    if not keys:
        assert cast.keep("card", secret="yes").status_code == 400
    assert cast.server.has_logged("need a key that is not in ENCRYPTION_KEYS: ")
    cast.restart(*keys, OLD)
    assert cast.reads("bank"), "with its key it is there again"


@pytest.mark.parametrize("wrong", [OLD[:-4], "", "a passphrase"], ids=range(3))
def test_what_is_no_key_stops_the_start_and_nothing_is_lost(
    cast: Cast, wrong: str
) -> None:
    with pytest.raises(AssertionError):
        cast.restart(NEW, wrong)
    assert cast.server.process
    assert cast.server.process.wait(10) != 0
    log = cast.server.log.read_text()
    assert "Holdfast does not start." in log
    [reason] = [line for line in log.splitlines() if "ENCRYPTION_KEYS" in line]
    assert reason.startswith("ENCRYPTION_KEYS=***: number 2 is no key")
    assert "openssl rand -base64 32" in reason
    assert "Traceback" not in log
    cast.server.process = None
    cast.restart(NEW, OLD)
    assert cast.alice.is_logged_in_as("alice")
    assert cast.reads("bank")
