"""What may be a password, and what checking one costs."""

import time
import unicodedata
from typing import Any

import pytest
from argon2 import PasswordHasher

from tests.browser import PASSWORD
from tests.servers import ROOT
from webapp.accounts.hashing import HashingQueue
from webapp.accounts.passwords import Passwords, _common_passwords
from webapp.errors import Invalid

# Three bytes each; typed on some keyboards as four characters.
GREEK = "".join(
    chr(point) for point in (*range(0x1F82, 0x1F88), *range(0x1F92, 0x1F98))
)
GARBAGE = {
    "text": "garbage",
    "empty": "",
    "NUL": "\0",
    "another kind": "$2b$12$abcdefghijklmnopqrstuv",
    "no numbers": "$argon2id$v=19$m=x,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
    "cut": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ",
    "no base64": "$argon2id$v=19$m=8,t=1,p=1$$$",
    "negative": "$argon2id$v=19$m=-8,t=-1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
    "no ASCII": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$é",
}
COSTLY = {
    "all": "$argon2id$v=19$m=2097152,t=64,p=4$",
    "memory": "$argon2id$v=19$m=2097152,t=1,p=1$",
    "passes": "$argon2id$v=19$m=8,t=4294967295,p=1$",
    "lanes": "$argon2id$v=19$m=4194304,t=1,p=16777215$",
    "beyond 64 bits": "$argon2id$v=19$m=99999999999999999999,t=1,p=1$",
}  # fmt: skip


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(memory_kib=8, rounds=1, min_length=15, queue=HashingQueue(20))


@pytest.fixture
def hashings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Name every call that costs as much as a hash."""
    return count_hashings(monkeypatch)


def count_hashings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []

    def counting(name: str) -> Any:
        method = getattr(PasswordHasher, name)

        def call(self: PasswordHasher, *arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return method(self, *arguments, **options)

        return call

    for name in ("hash", "verify"):
        monkeypatch.setattr(PasswordHasher, name, counting(name))
    return calls


def refusal(passwords: Passwords, password: str, name: str = "alice") -> str:
    with pytest.raises(Invalid) as caught:
        passwords.check_new(password, name)
    assert caught.value.fields.keys() == {"password"}
    assert password not in str(caught.value)
    return caught.value.fields["password"]


@pytest.mark.parametrize(
    "password",
    [
        "  two spaces  each  side  ",
        "grüße aus dem süden",
        "🚢🌊🏝️🐚🦀🐬🐳🦑🐙🦐🐡🐠🦈🐟🌴",
        "тихая гавань семь",
        "tab\tand\nline break",
        "\N{RIGHT-TO-LEFT OVERRIDE} quiet harbour",
        "' OR 1=1; --<script>",
        "quiet\0harbour\0boats",
    ],
    ids=["spaces", "umlauts", "emoji", "cyrillic", "lines", "rtl", "quotes", "NUL"],
)
def test_any_character_can_be_part_of_a_password(
    passwords: Passwords, password: str
) -> None:
    passwords.check_new(password, "alice")
    stored = passwords.hash(password, "here")
    assert passwords.verify(password, stored, "here")
    assert not passwords.verify(password.strip() + "x", stored, "here")
    assert not passwords.verify(password[:-1], stored, "here"), (
        "no character is cut off"
    )


def test_fifteen_characters_are_enough(passwords: Passwords) -> None:
    passwords.check_new("quiet harbour 7", "alice")
    assert "at least 15 characters" in refusal(passwords, "quiet harbour!")


def test_characters_are_counted_and_not_bytes(passwords: Passwords) -> None:
    assert "at least 15" in refusal(passwords, "🚢🌊🏝🐚🦀🐬🐳🦑🐙🦐🐡🐠🦈🐟")


@pytest.mark.parametrize("letters", ["quietharbo", "éàüöäñçøåß", GREEK])
def test_the_longest_password_has_1024_bytes(
    passwords: Passwords, letters: str
) -> None:
    size = len(letters[0].encode())
    longest = (letters * 1024)[: 1024 // size]
    passwords.check_new(longest, "alice")
    assert passwords.verify(longest, passwords.hash(longest, "here"), "here")
    assert "at most 1,024 bytes" in refusal(passwords, longest + letters[0] * 2)


@pytest.mark.parametrize("length", [15, 341], ids=["short", "longest"])
def test_one_password_typed_on_two_keyboards(passwords: Passwords, length: int) -> None:
    composed = (GREEK * length)[:length]
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    for chosen in (composed, decomposed):
        passwords.check_new(chosen, "alice")
        stored = passwords.hash(chosen, "here")
        assert passwords.verify(composed, stored, "here")
        assert passwords.verify(decomposed, stored, "here")


@pytest.mark.parametrize(
    "password",
    [
        "password1234567",
        "PASSWORD!!!!!!!",
        "      password      ",
        "passwordpassword",
        "iloveyouiloveyou",
        "aaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "123456789012345",
        "987654321098765",
        "abcdefghijklmnop",
        "qwertyuiopasdfg",
        "               ",
    ],
)
def test_a_common_password_is_refused_however_it_is_padded(
    passwords: Passwords, password: str
) -> None:
    assert "Too many people use this one" in refusal(passwords, password)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("quiet-harbour-seven", "quiet-harbour-seven"),
        ("quiet-harbour-seven", "QUIET-HARBOUR-SEVEN"),
        ("alice", "alicealicealice"),
        ("alice", "alice0123456789"),
        ("alice", "----Alice!!!!----"),
        ("alice", "holdfast1234567"),
    ],
    ids=["name", "capitals", "again", "padded", "both", "this place"],
)
def test_the_user_name_is_no_password(
    passwords: Passwords, name: str, password: str
) -> None:
    assert "something else than your user name" in refusal(passwords, password, name)


def test_what_cannot_be_written_is_refused_in_words(passwords: Passwords) -> None:
    refusal(passwords, "quiet harbour \ud800 seven")


def test_hashing_the_same_twice_gives_two_hashes(passwords: Passwords) -> None:
    stored = passwords.hash(PASSWORD, "here")
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored
    assert stored != passwords.hash(PASSWORD, "here")


def test_a_hash_of_other_parameters_is_due_for_a_new_one(passwords: Passwords) -> None:
    stored = Passwords(
        memory_kib=16, rounds=1, min_length=15, queue=HashingQueue(20)
    ).hash(PASSWORD, "here")
    assert passwords.verify(PASSWORD, stored, "here")
    assert passwords.needs_rehash(stored)
    assert not passwords.needs_rehash(passwords.hash(PASSWORD, "here"))


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_a_check_hashes_exactly_once(
    passwords: Passwords, hashings: list[str], known: bool, first: bool
) -> None:
    """Whether there is such a user must not be seen in the time it takes."""
    stored = passwords.hash(PASSWORD, "here") if known else None
    if not first:
        passwords.verify("warmed up", stored, "here")
    hashings.clear()
    assert not passwords.verify("quiet-harbour-eight-boats", stored, "here")
    assert len(hashings) == 1


def test_a_password_longer_than_any_is_not_hashed_at_length(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = passwords.hash("", "here")
    passwords.verify("warmed up", None, "here")
    longest = 0

    def measure(_self: Any, _stored: str, password: str) -> bool:
        nonlocal longest
        longest = max(longest, len(password))
        return True

    monkeypatch.setattr(PasswordHasher, "verify", measure)
    assert not passwords.verify("x" * 100_000, stored, "here")
    assert longest <= 1024


@pytest.mark.parametrize("stored", GARBAGE.values(), ids=GARBAGE)
def test_a_garbage_hash_answers_like_a_wrong_password(
    passwords: Passwords, hashings: list[str], stored: str
) -> None:
    passwords.verify("warmed up", None, "here")
    hashings.clear()
    assert not passwords.verify(PASSWORD, stored, "here")
    assert len(hashings) == 1


@pytest.mark.parametrize("start", COSTLY.values(), ids=COSTLY)
def test_an_over_costly_hash_is_not_paid_for(
    passwords: Passwords,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    start: str,
) -> None:
    passwords.verify("warmed up", None, "here")
    checked: list[str] = []
    monkeypatch.setattr(
        PasswordHasher,
        "verify",
        lambda _self, stored, _password: checked.append(stored),
    )
    before = time.process_time()
    stored = start + "c2FsdHNhbHQ$aGFzaGhhc2g"
    assert not passwords.verify(PASSWORD, stored, "here")
    assert time.process_time() - before < 0.1
    assert stored not in checked
    assert len(checked) == 1, "it takes as long as a wrong password"
    assert "costs too much" in caplog.text
    assert stored not in caplog.text


def test_6_1_2_what_is_no_good_password_is_documented(passwords: Passwords) -> None:
    text = (ROOT / "docs" / "sessions.md").read_text("utf-8")
    start = text.index("## What is not a good password")
    said = text[start : text.index("## ", start + 1)]
    assert "user name and `holdfast`" in said
    for word in ("alice", "holdfast"):
        assert refusal(passwords, f"{word}1234567890", "alice")
    assert f"{len(_common_passwords().strip().splitlines()):,} passwords" in said
    assert "`PASSWORD_MIN_LENGTH` (15) characters, at most 1,024 bytes" in said
