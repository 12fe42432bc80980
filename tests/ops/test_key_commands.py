"""`flask state rotate-keys` loses no value, disturbs nobody, and says what is left."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import event, select, text, update
from sqlalchemy.exc import OperationalError

from config.settings import Settings
from tests.browser import Browser
from webapp import create_app
from webapp.encryption import Encryption
from webapp.entries import rotation
from webapp.entries.models import Entry
from webapp.entries.secret_values import SecretValues

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))
KEYS = ("card", "bank", "safe", "door", "bike")
ALL_DONE = (
    "All secret values are under the first key. The other keys can be taken out of "
    "ENCRYPTION_KEYS, and are needed for older backups only."
)

Rotate = Callable[..., list[str]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_keys(settings, OLD)


@pytest.fixture
def rotate(settings: Settings) -> Rotate:
    """Run the command with these keys, and return the lines that it says."""

    def run(*keys: str, status: int = 0) -> list[str]:
        cli = create_app(with_keys(settings, *keys)).test_cli_runner()
        result = cli.invoke(args=["state", "rotate-keys"])
        assert result.exit_code == status, result.output
        lines = result.output.splitlines()
        return lines[1:] if lines[0] == "Re-encrypting" else lines

    return run


@pytest.fixture
def kept(alice: Browser) -> Browser:
    """Alice with five secrets under the old key, and something that is none."""
    for key in KEYS:
        secret = {"key": key, "value": f"pin of the {key}", "secret": "yes"}
        alice.submit("/entries/new", **secret)
    return alice.keep("plain", "clear")


def with_keys(settings: Settings, *keys: str) -> Settings:
    return settings.model_copy(update={"encryption_keys": keys})


def name_of(key: str) -> str:
    return Encryption([key]).fingerprints[0]


def rows(app: Flask) -> dict[str, Any]:
    with app.extensions["database"].read() as db:
        found = db.execute(select(*Entry.__table__.c).order_by(Entry.id)).all()
    return {row.key: row for row in found}


def edit(app: Flask, key: str, **values: Any) -> None:
    """Edit a row behind the application's back."""
    with app.extensions["database"].write() as db:
        db.execute(update(Entry).where(Entry.key == key).values(**values))


def values(browser: Browser, settings: Settings, *keys: str) -> dict[str, Any]:
    """Read all values in a process with these keys."""
    browser.client.application = create_app(with_keys(settings, *keys))
    given = browser.open("/account/export").page.json["entries"]
    return {each["key"]: each["value"] for each in given}


def test_every_secret_is_put_under_the_first_key_and_nothing_else_changes(
    app: Flask, settings: Settings, kept: Browser, rotate: Rotate
) -> None:
    before, read = rows(app), values(kept, settings, OLD)
    assert rotate(NEW, OLD) == [
        f"Re-encrypted 5 values under the key {name_of(NEW)}.",
        ALL_DONE,
    ]
    after = rows(app)
    assert after["plain"] == before["plain"]
    for key in KEYS:
        assert after[key].encrypted_by == name_of(NEW)
        assert after[key].value != before[key].value
        for column in ("version", "updated_at", "size", "kind"):
            same = getattr(after[key], column) == getattr(before[key], column)
            assert same, column
    assert values(kept, settings, NEW) == read, "the old key is not needed any more"
    assert set(values(kept, settings, OLD).values()) == {"clear", None}


def test_who_has_an_entry_open_can_still_save_it(
    settings: Settings, kept: Browser, rotate: Rotate
) -> None:
    kept.open("/entries/bank/edit")
    rotate(NEW, OLD)
    kept.client.application = create_app(with_keys(settings, NEW))
    kept.send(value="a new pin")
    assert kept.status == 200
    assert values(kept, settings, NEW)["bank"] == "a new pin"


def test_it_can_be_interrupted_and_run_again(
    app: Flask,
    settings: Settings,
    kept: Browser,
    rotate: Rotate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rotation, "STEP", 2)
    renew = SecretValues.renew
    done: list[str] = []

    def stop_at_the_fourth(secret_values: SecretValues, entry: Any) -> str | None:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(entry.key)
        return renew(secret_values, entry)

    with monkeypatch.context() as patched:
        patched.setattr(SecretValues, "renew", stop_at_the_fourth)
        [*_, said] = rotate(NEW, OLD, status=1)
    assert said == (
        "Error: What was re-encrypted so far stays so. Run it again to go on."
    )
    under = [row.encrypted_by for row in rows(app).values()]
    assert under.count(name_of(NEW)) == 2, "the step that was whole"
    assert None not in values(kept, settings, NEW, OLD).values()
    assert rotate(NEW, OLD)[0].startswith("Re-encrypted 3 values ")
    assert rotate(NEW, OLD) == [
        f"Re-encrypted 0 values under the key {name_of(NEW)}.",
        ALL_DONE,
    ]


@pytest.mark.parametrize("act", ["change", "turn off", "delete"])
def test_what_is_changed_meanwhile_is_not_overwritten(
    app: Flask,
    settings: Settings,
    kept: Browser,
    rotate: Rotate,
    monkeypatch: pytest.MonkeyPatch,
    act: str,
) -> None:
    """The server still has the old key alone; it changes what was just read."""
    renew, acts = SecretValues.renew, [act]

    def change_first(secret_values: SecretValues, entry: Any) -> str | None:
        token = renew(secret_values, entry)
        if entry.key == "bank" and acts:
            _act(kept, acts.pop())
        return token

    monkeypatch.setattr(SecretValues, "renew", change_first)
    said = rotate(NEW, OLD, status=1 if act == "change" else 0)
    assert said[0].startswith("Re-encrypted 5 values "), "one is an earlier value now"
    expected = {"change": "changed", "turn off": "pin of the bank"}
    assert values(kept, settings, NEW, OLD).get("bank") == expected.get(act)
    if act == "change":
        assert said[1:] == [
            f"1 value came under the key {name_of(OLD)} meanwhile: a server still has "
            "that one in front. Restart it, then run this again.",
            "Keep all keys.",
        ]


def _act(browser: Browser, act: str) -> None:
    page = "/entries/bank/delete" if act == "delete" else "/entries/bank/edit"
    form = dict(browser.open(page)._form(page, {}).form_values())
    if act == "change":
        form["value"] = "changed"
    elif act == "turn off":
        del form["secret"]
    assert browser.client.post(page, data=form).status_code == 303


def test_a_change_writes_the_value_and_its_key_together(
    app: Flask, kept: Browser
) -> None:
    """A server on the old key may have read the row before it was re-encrypted."""
    written: list[str] = []
    engine = app.extensions["database"].engine
    event.listen(engine, "before_cursor_execute", lambda *a: written.append(a[2]))
    kept.submit("/entries/bank/edit", value="changed")
    [update] = [sql for sql in written if sql.startswith("UPDATE entries ")]
    assert "value=" in update
    assert "encrypted_by=" in update


def test_it_says_which_key_is_missing_and_which_values_are_damaged(
    app: Flask, kept: Browser, rotate: Rotate
) -> None:
    foreign = Encryption([LOST]).encrypt("?", ("entry", 1, "door"))
    edit(app, "door", value=foreign, encrypted_by=name_of(LOST))
    edit(app, "bank", value=rows(app)["safe"].value)
    before = rows(app)
    first, *said = rotate(NEW, OLD, status=1)
    assert first == f"Re-encrypted 3 values under the key {name_of(NEW)}."
    assert set(said[:-1]) == {
        f"1 value cannot be read: the key {name_of(LOST)} is not in ENCRYPTION_KEYS. "
        "Add it behind the others and run this again.",
        f"1 value cannot be read: damaged or swapped (key {name_of(OLD)}).",
    }
    assert said[-1] == "Keep all keys."
    assert rows(app)["door"] == before["door"], "left as it was"
    assert rows(app)["bank"] == before["bank"]
    assert rotate(NEW, OLD, LOST, status=1)[0].startswith("Re-encrypted 1 value ")


def test_without_a_key_it_says_how_to_make_one(kept: Browser, rotate: Rotate) -> None:
    [line] = rotate(status=1)
    assert line.startswith("Error: ENCRYPTION_KEYS is not set")
    assert "`openssl rand -base64 32`" in line


def test_a_database_that_fails_is_one_line(
    app: Flask, kept: Browser, rotate: Rotate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("", {}, Exception("disk full"))

    monkeypatch.setattr(rotation.Rotation, "_renew", fail)
    [*_, line] = rotate(NEW, OLD, status=1)
    assert line.startswith("Error: disk full. What was re-encrypted so far stays so.")


@pytest.mark.embedded
def test_what_is_waiting_is_found_by_an_index(app: Flask) -> None:
    with app.extensions["database"].read() as db:
        for model in rotation.MODELS:
            index = f"ix_{model.__tablename__}_encrypted_by_id"
            for statement in (rotation.count_of(model), rotation.next_of(model)):
                given = {"old": "x", "last": 0, "newest": 9, "param_1": 20}
                plan = db.execute(text(f"EXPLAIN QUERY PLAN {statement}"), given).all()
                assert all(index in row.detail for row in plan), plan
