"""Settings from Vault, when all is well and when it is not; on a stand-in for Vault."""

import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from config import vault as vault_client
from config.mistakes import RefusedToStart
from config.secret_sources import forget
from config.settings import load_settings
from tests.proxies import make_certificate
from tests.vault import ROLE, SECRET_ID, TOKEN, Vault, serving

pytestmark = pytest.mark.embedded

SECRET = "postgres://holdfast:hunter2@db.example/holdfast"
READ = "postgresql+psycopg://holdfast:hunter2@db.example/holdfast"
KEYS = [Fernet.generate_key().decode() for _ in range(5)]
VAULT_URL = "vault:secret/holdfast#url"


def _reason(monkeypatch: pytest.MonkeyPatch, reference: str) -> str:
    """Return why DATABASE_URL cannot be had from there."""
    monkeypatch.setenv("DATABASE_URL", reference)
    with pytest.raises(RefusedToStart) as caught:
        load_settings()
    said = str(caught.value)
    assert not [each for each in ("hunter2", TOKEN, SECRET_ID) if each in said]
    assert said.startswith(f"DATABASE_URL={reference}: ")
    return said.removeprefix(f"DATABASE_URL={reference}: ")


def _keys(monkeypatch: pytest.MonkeyPatch, reference: str) -> tuple[str, ...]:
    """Return the keys that a start from now on would have."""
    forget()
    monkeypatch.setenv("ENCRYPTION_KEYS", reference)
    return load_settings().encryption_keys


def test_settings_come_from_vault(
    monkeypatch: pytest.MonkeyPatch, vault: Vault
) -> None:
    vault.put("holdfast", url="postgres://old")
    vault.put("holdfast", url=SECRET, port=8080)
    vault.put("teams/one", token="0123456789abcdef\n")
    monkeypatch.setenv("DATABASE_URL", VAULT_URL)
    monkeypatch.setenv("PORT", "vault:secret/holdfast#port")
    monkeypatch.setenv("METRICS_TOKEN", "vault:secret/teams/one#token")
    for _ in range(2):
        settings = load_settings()
        assert settings.database == READ
        assert settings.port == 8080
        assert settings.metrics_token == "0123456789abcdef"
    assert vault.asked == ["secret/data/holdfast", "secret/data/teams/one"]


def test_a_file_can_lead_to_vault_and_hold_its_token(
    monkeypatch: pytest.MonkeyPatch, vault: Vault, tmp_path: Path
) -> None:
    vault.put("holdfast", url=SECRET)
    (tmp_path / "url").write_text(f"{VAULT_URL}\n")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("VAULT_TOKEN_FILE", str(tmp_path / "token"))
    assert load_settings().database == READ


def _use_approle(monkeypatch: pytest.MonkeyPatch, secret_id: str = SECRET_ID) -> None:
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("VAULT_ROLE_ID", ROLE)
    monkeypatch.setenv("VAULT_SECRET_ID", secret_id)


def test_approle_logs_in_once(monkeypatch: pytest.MonkeyPatch, vault: Vault) -> None:
    vault.tokens.clear()
    vault.put("holdfast", url=SECRET)
    vault.put("other", port="8080")
    _use_approle(monkeypatch)
    monkeypatch.setenv("DATABASE_URL", VAULT_URL)
    monkeypatch.setenv("PORT", "vault:secret/other#port")
    assert load_settings().database == READ
    assert vault.asked.count("auth/approle/login") == 1


def test_the_namespace_is_told(monkeypatch: pytest.MonkeyPatch, vault: Vault) -> None:
    vault.put("holdfast", url=SECRET)
    vault.namespace = "team"
    assert "has nothing at secret/data/holdfast" in _reason(monkeypatch, VAULT_URL)
    monkeypatch.setenv("VAULT_NAMESPACE", "team")
    assert load_settings().database == READ


def test_vault_is_asked_over_tls_with_a_ca_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, vault: Vault, tmp_path: Path
) -> None:
    vault.put("holdfast", url=SECRET)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make_certificate(key, certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with serving(vault.answer, tls) as url:
        monkeypatch.setenv("VAULT_ADDR", url)
        assert "has no certificate that is trusted" in _reason(monkeypatch, VAULT_URL)
        monkeypatch.setenv("VAULT_CACERT", str(tmp_path / "absent"))
        assert "there is no such file" in _reason(monkeypatch, VAULT_URL)
        monkeypatch.setenv("VAULT_CACERT", str(certificate))
        assert load_settings().database == READ


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("vault:secret/holdfast#no_such", "the secret has no field no_such"),
        ("vault:secret/absent#url", "Vault at {} has nothing at secret/data/absent"),
        ("vault:secret/gone#url", "Vault at {} has nothing at secret/data/gone"),
        ("vault:other/holdfast#url", "{} does not let this token read other/data/hold"),
        ("vault:secret/empty#url", "is empty"),
    ],
    ids=["field", "path", "deleted", "mount", "empty"],
)
def test_what_is_not_in_vault_is_named(
    monkeypatch: pytest.MonkeyPatch, vault: Vault, reference: str, reason: str
) -> None:
    vault.put("holdfast", url=SECRET)
    vault.put("empty", url="")
    vault.put("gone", url=SECRET)
    vault.delete("gone", 1)
    assert reason.format(vault.url) in _reason(monkeypatch, reference)


def test_a_wrong_value_in_vault_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, vault: Vault
) -> None:
    vault.put("holdfast", url="oracle://hunter2", port="HUNTER2hunter2")
    assert "a URL that starts with" in _reason(monkeypatch, VAULT_URL)
    monkeypatch.setenv("LOG_LEVEL", "vault:secret/holdfast#port")
    with pytest.raises(RefusedToStart) as caught:
        load_settings()
    assert "LOG_LEVEL=vault:secret/holdfast#port: input" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"VAULT_TOKEN": "hvs.hunter2"}, "does not let this token read secret/data/h"),
        ({"VAULT_TOKEN": "hunter2\n"}, "cannot be asked (InvalidHeader)"),
        ({"VAULT_TOKEN": ""}, "set either VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SEC"),
        ({"VAULT_ROLE_ID": ROLE}, "set either VAULT_TOKEN, or VAULT_ROLE_ID and VAULT"),
        ({"VAULT_TOKEN": "", "VAULT_ROLE_ID": ROLE}, "set either VAULT_TOKEN, or"),
        ({"VAULT_ADDR": ""}, "set VAULT_ADDR to where Vault is"),
        ({"VAULT_ADDR": "vault:8200"}, "cannot be asked (InvalidSchema)"),
        ({"VAULT_ADDR": "http://:hunter2@127.0.0.1:1"}, "***@127.0.0.1:1 cannot be re"),
        ({"VAULT_TOKEN_FILE": "/x"}, "VAULT_TOKEN and VAULT_TOKEN_FILE: set one of th"),
    ],
)
def test_what_is_wrong_on_the_way_to_vault_is_named(
    monkeypatch: pytest.MonkeyPatch,
    vault: Vault,
    variables: dict[str, str],
    reason: str,
) -> None:
    vault.put("holdfast", url=SECRET)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert reason in _reason(monkeypatch, VAULT_URL)


def test_a_wrong_secret_id_is_named(
    monkeypatch: pytest.MonkeyPatch, vault: Vault
) -> None:
    _use_approle(monkeypatch, "hunter2")
    assert "does not accept VAULT_ROLE_ID with VAULT_S" in _reason(
        monkeypatch, VAULT_URL
    )
    vault.sealed = True
    assert "is sealed" in _reason(monkeypatch, VAULT_URL)


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"data": {"url": SECRET}}),
        (200, [SECRET]),
        (200, SECRET),
        (204, None),
        (404, [SECRET]),
        (418, {"errors": [SECRET]}),
        (500, {"errors": [SECRET]}),
    ],
)
def test_what_is_no_vault_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch, vault: Vault, answer: Any
) -> None:
    with serving(lambda *_: answer) as url:
        monkeypatch.setenv("VAULT_ADDR", url)
        assert _reason(monkeypatch, VAULT_URL).startswith(f"Vault at {url} ")


@pytest.mark.parametrize("where", ["closed_port", "silent_port"])
def test_a_vault_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    where: str,
) -> None:
    monkeypatch.setattr(vault_client, "TIMEOUT", (0.1, 0.2))
    monkeypatch.setenv("VAULT_ADDR", request.getfixturevalue(where))
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    # It is not asked again for this one.
    monkeypatch.setenv("REDIS_URL", "vault:secret/other#url")
    begin = time.monotonic()
    first, second = _reason(monkeypatch, VAULT_URL).splitlines()
    assert time.monotonic() - begin < 1
    said = {"closed_port": "cannot be reached", "silent_port": "does not answer"}
    assert first.endswith(said[where])
    assert second.startswith("REDIS_URL=vault:secret/other#url: ")
    assert second.endswith(said[where])


def test_keys_come_from_all_versions_in_vault_that_can_be_read(
    monkeypatch: pytest.MonkeyPatch, vault: Vault
) -> None:
    reference = "vault:secret/holdfast#keys"
    vault.put("holdfast", keys=KEYS[0])
    assert _keys(monkeypatch, reference) == (KEYS[0],)
    vault.put("holdfast", keys="no key")
    vault.put("holdfast", other="field")
    vault.put("holdfast", keys=f"{KEYS[1]},{KEYS[2]}\n")
    vault.put("holdfast", keys=KEYS[3])
    vault.put("holdfast", keys=KEYS[4])
    assert _keys(monkeypatch, reference) == tuple(KEYS[n] for n in (4, 3, 1, 2, 0))
    vault.delete("holdfast", 5)
    vault.destroy("holdfast", 1)
    assert _keys(monkeypatch, reference) == tuple(KEYS[n] for n in (4, 1, 2))


def test_a_current_version_in_vault_that_is_no_key_is_refused(
    monkeypatch: pytest.MonkeyPatch, vault: Vault
) -> None:
    vault.put("holdfast", keys=KEYS[0])
    vault.put("holdfast", keys="hunter2")
    with pytest.raises(RefusedToStart, match="holdfast#keys: number 1 is no key"):
        _keys(monkeypatch, "vault:secret/holdfast#keys")


def test_former_keys_that_may_not_be_read_are_missed(
    monkeypatch: pytest.MonkeyPatch, vault: Vault
) -> None:
    vault.put("holdfast", keys=KEYS[0])
    vault.readable = ("data",)
    with pytest.raises(RefusedToStart, match="read secret/metadata/holdfast"):
        _keys(monkeypatch, "vault:secret/holdfast#keys")
