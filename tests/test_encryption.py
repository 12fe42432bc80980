"""What is encrypted can be read with the key, at its place, and nowhere else."""

import subprocess
import sys

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import load_settings
from tests.servers import ROOT
from webapp.encryption import Encryption

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
PLACE = ("entry", 1, "bank")
TEXT = "four digits: 1234"
TOKEN = Encryption([OLD]).encrypt(TEXT, PLACE)
FORGED = TOKEN[:40] + ("A" if TOKEN[40] != "A" else "B") + TOKEN[41:]


@pytest.mark.parametrize("text", ["", "\n", TEXT, "é🦀\0\n", '["entry", 1, "bank"]\n'])
def test_what_was_encrypted_comes_back_and_shows_nothing(text: str) -> None:
    token = Encryption([NEW]).encrypt(text, PLACE)
    assert Encryption([NEW]).decrypt(token, PLACE) == text
    assert token.isascii()
    assert len(text) < 5 or text not in token
    assert Encryption([NEW]).encrypt(text, PLACE) != token, "not even what is the same"


@pytest.mark.parametrize(
    "elsewhere",
    [("entry", 2, "bank"), ("entry", 1, "bank "), ("note", 1, "bank"),
     ("entry", "1", "bank"), ("entry", 1), ("entry", 1, "bank", "")],
    ids=["person", "key", "kind", "type", "shorter", "longer"],
)  # fmt: skip
def test_it_cannot_be_read_at_another_place(elsewhere: tuple[str | int, ...]) -> None:
    encryption = Encryption([NEW])
    assert encryption.decrypt(encryption.encrypt(TEXT, PLACE), elsewhere) is None


@pytest.mark.long
@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(
    st.text('a\n"\\[], é', max_size=8),
    st.text('a\n"\\[], é', max_size=8),
    st.text('\n1]"'),
)
def test_no_text_reads_as_one_of_another_place(one: str, other: str, text: str) -> None:
    encryption = Encryption([NEW])
    found = encryption.decrypt(encryption.encrypt(text, (1, one)), (1, other))
    assert found == (text if one == other else None)


def test_the_first_key_encrypts_and_each_decrypts() -> None:
    before, both, after = Encryption([OLD]), Encryption([NEW, OLD]), Encryption([NEW])
    assert both.decrypt(before.encrypt(TEXT, PLACE), PLACE) == TEXT
    token = both.encrypt(TEXT, PLACE)
    assert after.decrypt(token, PLACE) == TEXT
    assert before.decrypt(token, PLACE) is None
    assert both.fingerprints == after.fingerprints + before.fingerprints


@pytest.mark.parametrize(
    "token",
    ["", "!", "é🦀", "a bank's number", TOKEN[:-8], TOKEN * 2, FORGED],
    ids=["empty", "sign", "no ASCII", "clear", "cut", "twice", "one letter"],
)
def test_what_is_damaged_is_not_read(token: str) -> None:
    assert Encryption([NEW, OLD]).decrypt(TOKEN, PLACE) == TEXT
    assert Encryption([NEW, OLD]).decrypt(token, PLACE) is None


def test_without_a_key_nothing_is_encrypted_and_nothing_read() -> None:
    none, token = Encryption([]), Encryption([NEW]).encrypt(TEXT, PLACE)
    assert (none.fingerprints, none.decrypt(token, PLACE)) == ([], None)
    with pytest.raises(LookupError):
        none.encrypt(TEXT, PLACE)


def test_a_fingerprint_is_the_keys_own_and_no_part_of_it() -> None:
    [one], [other] = Encryption([OLD]).fingerprints, Encryption([NEW]).fingerprints
    assert one != other
    assert (len(one), one in OLD) == (16, False)
    assert Encryption([OLD]).fingerprints == [one], "in every process"


@pytest.mark.embedded
@pytest.mark.long
def test_a_site_without_a_key_does_not_load_the_library() -> None:
    code = "import sys, webapp; print('cryptography' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)  # noqa: S603
    assert done.stdout == b"False\n"


@pytest.mark.parametrize("space", ["", " ", "\n"])
def test_keys_are_read_as_openssl_prints_them_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, space: str
) -> None:
    plus = "+/" + NEW[2:]
    monkeypatch.setenv("ENCRYPTION_KEYS", f"{plus}{space},{space}{OLD}")
    read = load_settings()
    assert read.encryption_keys == ("-_" + NEW[2:], OLD)
    assert NEW[3:] not in f"{read!r}{read}"
