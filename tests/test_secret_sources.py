"""A setting can be elsewhere; when it cannot be had from there, nothing starts."""

import logging
import os
import signal
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from config import secret_places
from config.mistakes import RefusedToStart
from config.reload import load_settings_anew
from config.settings import Settings, load_settings
from tests.faults.people import wait_until
from tests.servers import Gunicorn
from tests.vault import TOKEN, Vault

pytestmark = pytest.mark.embedded

SECRET = "postgres://holdfast:hunter2@db.example/holdfast"
KEY = Fernet.generate_key().decode()


def _refusal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RefusedToStart) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (b"0123456789abcdef", "0123456789abcdef"),
        (b"0123456789abcdef\n", "0123456789abcdef"),
        (b"0123456789abcdef\r\n", "0123456789abcdef"),
        (b"0123456789abcdef\n\n", "0123456789abcdef\n"),
        (b" 0123456789 abcdef ", " 0123456789 abcdef "),
        (b"\xef\xbb\xbf0123456789abcdef", "0123456789abcdef"),
        ("0123456789äöü-x€".encode(), "0123456789äöü-x€"),
    ],
    ids=["bare", "newline", "Windows", "two newlines", "spaces", "BOM", "UTF-8"],
)
def test_a_file_is_read_without_the_newline_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, read: str
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    monkeypatch.setenv("METRICS_TOKEN_FILE", str(file))
    assert load_settings().metrics_token == read


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_can_be_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert f"{name}_file" not in Settings.model_fields
    file = tmp_path / "absent"
    [line] = _refusal(monkeypatch, **{f"{name.upper()}_FILE": str(file)})
    origin = f"{name.upper()}_FILE={file}"
    assert line == f"{origin}: cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"hunter2\xff", "is no UTF-8 text"),
        (b"hunter2" * 10_000, "is longer than 65536 characters"),
        (b"hunter2", "should have at least 16 characters"),
    ],
    ids=["empty", "newline", "binary", "large", "wrong"],
)
def test_what_is_wrong_with_a_file_is_said_without_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    [line] = _refusal(monkeypatch, METRICS_TOKEN_FILE=str(file))
    assert line.startswith(f"METRICS_TOKEN_FILE={file}: ")
    assert line.endswith(said)


def test_no_folder_and_no_pipe_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    folder = {"DATABASE_URL_FILE": str(tmp_path), "PORT_FILE": str(tmp_path / "pipe")}
    lines = _refusal(monkeypatch, **folder)
    assert [line.partition(": ")[2] for line in lines] == ["is no regular file"] * 2


def test_a_variable_and_a_file_at_once_are_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "port"
    file.write_text("9001")
    lines = _refusal(monkeypatch, PORT="9000", PORT_FILE=str(file))
    assert lines == ["PORT and PORT_FILE: set one of them"]
    monkeypatch.setenv("PORT", "")
    assert load_settings().port == 9001


def test_a_keyword_argument_comes_before_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORT", "vault:secret/holdfast#port")
    monkeypatch.setenv("DATABASE_URL_FILE", "/no/such/file")
    assert load_settings(port=9001, database_url=None).port == 9001


def test_all_mistakes_of_all_kinds_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "port").write_text("hunter2")
    wrong = {
        "PORT_FILE": str(tmp_path / "port"),
        "SIGN_UP": "yes",
        "REDIS_URL": "vault:secret#url",
        "METRICS_TOKEN": "vault:hunter2-hunter2",
        "CACHE_URL": "aws:no spaces",
        "DATABASE_URL": "vault:secret/holdfast#database_url",
        "SESSION_URL_FILE": "/no/such/file",
    }
    lines = _refusal(monkeypatch, **wrong)
    told = {line.split("=")[0]: line.partition(": ")[2] for line in lines}
    assert told.keys() == wrong.keys()
    assert told["REDIS_URL"] == told["METRICS_TOKEN"] == "write vault:MOUNT/PATH#FIELD"
    assert told["CACHE_URL"] == "write aws:NAME or aws:NAME#FIELD"
    assert told["DATABASE_URL"] == "set VAULT_ADDR to where Vault is"


@pytest.mark.parametrize(
    ("place", "module"), [("vault", "hvac"), ("aws", "boto3")], ids=["vault", "aws"]
)
def test_a_missing_extra_is_named_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, place: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"config.{place}", raising=False)
    [line] = _refusal(monkeypatch, DATABASE_URL=f"{place}:secret/holdfast#url")
    assert line.startswith(f"DATABASE_URL={place}:secret/holdfast#url: ")
    assert f" needs {module}, of the extra `{place}`: " in line
    assert "bin/setup extras" in line
    assert "pip install -r requirements-extras.txt" in line


def test_neither_library_stays_in_this_process(
    monkeypatch: pytest.MonkeyPatch, vault: Vault
) -> None:
    vault.put("holdfast", url=SECRET)
    for module in ("config.vault", "hvac"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setenv("DATABASE_URL", "vault:secret/holdfast#url")
    assert "hunter2" in load_settings().database
    assert not {"config.vault", "hvac"} & sys.modules.keys()


def test_a_place_that_never_comes_to_an_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secret_places, "LONGEST", 0.2)
    monkeypatch.setattr(secret_places, "open_place", lambda *_: signal.pause())
    [line] = _refusal(monkeypatch, DATABASE_URL="vault:secret/holdfast#url")
    assert line.endswith(": Vault did not answer within 0.2 s")


def test_a_secret_in_what_a_library_raises_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(secret_places, "open_place", fail)
    [line] = _refusal(monkeypatch, DATABASE_URL="aws:holdfast")
    assert line == "DATABASE_URL=aws:holdfast: AWS Secrets Manager: RuntimeError"
    assert capfd.readouterr() == ("", "")


def test_a_process_that_asks_and_is_killed_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secret_places, "open_place", lambda *_: os._exit(1))
    [line] = _refusal(monkeypatch, DATABASE_URL="aws:holdfast")
    assert line.endswith(": the process that asked AWS Secrets Manager was killed")


def test_no_secret_is_in_what_settings_look_like() -> None:
    secrets = {
        "database_url": SECRET,
        "redis_url": "redis://:hunter2@cache.example",
        "session_url": "redis://:hunter2@cache.example/1",
        "cache_url": "redis://:hunter2@cache.example/2",
        "metrics_token": "hunter2-hunter2-hunter2",
        "encryption_keys": (KEY,),
    }
    settings = load_settings(**secrets)
    for look in (repr(settings), str(settings), f"{settings!r}"):
        assert "port=8000" in look
        assert "hunter2" not in look
        assert KEY not in look
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"metrics_token": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_what_was_known_stays_when_it_cannot_be_had_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "port"
    monkeypatch.setenv("PORT_FILE", str(file))
    with pytest.raises(RefusedToStart):
        load_settings_anew()
    file.write_text("9001")
    assert load_settings_anew().port == 9001
    file.write_text("9002")
    assert load_settings().port == 9001, "all of one start read the same"
    assert load_settings_anew().port == 9002
    assert not caplog.records
    for break_it in (lambda: file.write_text("hunter2"), file.unlink):
        break_it()
        with caplog.at_level(logging.ERROR):
            assert load_settings_anew().port == 9002
        assert f"stay as they were. PORT_FILE={file}: " in caplog.messages[-1]
    assert "hunter2" not in caplog.text


@pytest.mark.long
def test_gunicorn_asks_once_at_each_start_and_runs_on_without(
    server: Gunicorn, vault: Vault, tmp_path: Path
) -> None:
    database = tmp_path / "elsewhere.db"
    (tmp_path / "url").write_text(f"sqlite:///{database}\n")
    vault.put("holdfast", keys=KEY)
    server.settings |= {
        "DATABASE_URL_FILE": str(tmp_path / "url"),
        "ENCRYPTION_KEYS": "vault:secret/holdfast#keys",
        "VAULT_ADDR": vault.url,
        "VAULT_TOKEN": TOKEN,
    }
    server.start()
    assert database.exists()
    read = ["secret/data/holdfast", "secret/metadata/holdfast"]
    assert vault.asked == read
    vault.sealed = True
    assert server.process
    server.process.send_signal(signal.SIGHUP)
    assert server.has_logged(
        "Settings stay as they were. ENCRYPTION_KEYS=vault:secret/holdfast#keys: "
        f"Vault at {vault.url} is sealed"
    )
    booted = "Booting worker"
    wait_until(lambda: server.log.read_text().count(booted) == 2, 20, "a new worker")
    wait_until(server.answers, 20, "it answers")
    assert vault.asked == [*read, "secret/data/holdfast"]
    log = server.log.read_text()
    assert not [each for each in (KEY, TOKEN) if each in log]
    assert "Traceback" not in log
