"""Keys of what is kept encrypted are read as they are written, and never shown."""

import subprocess
from base64 import urlsafe_b64encode

import pytest
from cryptography.fernet import Fernet, MultiFernet

from config.kinds import MAKE_KEY
from config.mistakes import RefusedToStart
from config.settings import load_settings

pytestmark = pytest.mark.embedded

KEYS = [Fernet.generate_key().decode() for _ in range(2)]


def test_keys_are_read_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().encryption_keys == ()
    monkeypatch.setenv("ENCRYPTION_KEYS", f" {KEYS[1]}, {KEYS[0]},{KEYS[1]}\n")
    assert load_settings().encryption_keys == (KEYS[1], KEYS[0])
    MultiFernet([Fernet(key) for key in load_settings().encryption_keys])


@pytest.mark.parametrize(
    "key",
    [
        "hunter2",
        KEYS[0][:-1],
        urlsafe_b64encode(bytes(31)).decode(),
        urlsafe_b64encode(bytes(33)).decode(),
        f"{KEYS[0]},hunter2",
        f"{KEYS[0]},",
        KEYS[0] + KEYS[1],
    ],
    ids=["word", "cut", "31", "33", "second", "comma", "no comma"],
)
def test_a_wrong_key_is_not_shown_but_how_to_make_one(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("ENCRYPTION_KEYS", key)
    with pytest.raises(RefusedToStart) as caught:
        load_settings()
    [line] = str(caught.value).splitlines()
    assert line.startswith("ENCRYPTION_KEYS=***: number ")
    assert MAKE_KEY in line
    assert "hunter2" not in line
    assert KEYS[0][2:-1] not in line


def test_a_key_made_as_the_message_says_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = subprocess.run(MAKE_KEY.split(), capture_output=True, check=True)  # noqa: S603
    monkeypatch.setenv("ENCRYPTION_KEYS", done.stdout.decode())
    [key] = load_settings().encryption_keys
    Fernet(key)
