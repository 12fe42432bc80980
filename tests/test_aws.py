"""Settings from AWS Secrets Manager, when all is well and not; on moto's server."""

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from cryptography.fernet import Fernet
from moto.server import ThreadedMotoServer

from config import aws
from config.mistakes import RefusedToStart
from config.secret_sources import forget
from config.settings import load_settings
from tests.vault import serving

pytestmark = [pytest.mark.embedded, pytest.mark.long]

REGION = "eu-central-1"
SECRET = "postgres://holdfast:hunter2@db.example/holdfast"
READ = "postgresql+psycopg://holdfast:hunter2@db.example/holdfast"
KEYS = [Fernet.generate_key().decode() for _ in range(5)]


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch, moto: str) -> None:
    _lead_to(moto, monkeypatch)


@pytest.fixture(scope="module")
def client(moto: str) -> Iterator[Any]:
    session = boto3.Session("AKIAHOLDFAST", "hunter2", region_name=REGION)
    client = session.client("secretsmanager", endpoint_url=moto)
    yield client
    client.close()


@pytest.fixture
def amazon(moto: str, client: Any) -> Any:
    """A client of an empty Secrets Manager."""
    httpx.post(f"{moto}/moto-api/reset")
    return client


def _lead_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIAHOLDFAST",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/no/such/file")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def _reason(monkeypatch: pytest.MonkeyPatch, reference: str) -> str:
    """Return why DATABASE_URL cannot be had from there."""
    monkeypatch.setenv("DATABASE_URL", reference)
    with pytest.raises(RefusedToStart) as caught:
        load_settings()
    said = str(caught.value)
    assert not [each for each in ("hunter2", *KEYS) if each in said]
    assert said.startswith(f"DATABASE_URL={reference}: ")
    return said.removeprefix(f"DATABASE_URL={reference}: ")


def _keys(monkeypatch: pytest.MonkeyPatch, reference: str) -> tuple[str, ...]:
    """Return the keys that a start from now on would have."""
    forget()
    monkeypatch.setenv("ENCRYPTION_KEYS", reference)
    return load_settings().encryption_keys


def test_settings_come_from_aws(monkeypatch: pytest.MonkeyPatch, amazon: Any) -> None:
    amazon.create_secret(Name="plain", SecretString=SECRET)
    arn = amazon.create_secret(
        Name="prod/holdfast",
        SecretString=json.dumps({"port": 8080, "token": "0123456789abcdef"}),
    )["ARN"]
    monkeypatch.setenv("DATABASE_URL", "aws:plain")
    monkeypatch.setenv("PORT", f"aws:{arn}#port")
    monkeypatch.setenv("METRICS_TOKEN", "aws:prod/holdfast#token")
    settings = load_settings()
    assert settings.database == READ
    assert settings.port == 8080
    assert settings.metrics_token == "0123456789abcdef"


def test_keys_come_from_the_current_and_the_former_value_in_aws(
    monkeypatch: pytest.MonkeyPatch, amazon: Any
) -> None:
    amazon.create_secret(Name="plain", SecretString=KEYS[0])
    assert _keys(monkeypatch, "aws:plain") == (KEYS[0],)
    amazon.put_secret_value(SecretId="plain", SecretString=KEYS[1])
    assert _keys(monkeypatch, "aws:plain") == (KEYS[1], KEYS[0])
    amazon.put_secret_value(SecretId="plain", SecretString=KEYS[2])
    assert _keys(monkeypatch, "aws:plain") == (KEYS[2], KEYS[1])
    amazon.create_secret(Name="json", SecretString="{}")
    amazon.put_secret_value(SecretId="json", SecretString=json.dumps({"k": KEYS[3]}))
    assert _keys(monkeypatch, "aws:json#k") == (KEYS[3],)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("aws:absent", "AWS Secrets Manager has no such secret"),
        ("aws:plain#url", "the secret is no JSON object"),
        ("aws:list#url", "the secret is no JSON object"),
        ("aws:json#no_such", "the secret has no field no_such"),
        ("aws:binary", "the secret is binary, not text"),
        ("aws:deleted", "AWS Secrets Manager has it marked for deletion"),
    ],
)
def test_what_is_not_in_aws_is_named(
    monkeypatch: pytest.MonkeyPatch, amazon: Any, reference: str, reason: str
) -> None:
    content = {"plain": SECRET, "list": "[]", "json": "{}", "deleted": SECRET}
    for name, value in content.items():
        amazon.create_secret(Name=name, SecretString=value)
    amazon.create_secret(Name="binary", SecretBinary=b"hunter2")
    amazon.delete_secret(SecretId="deleted")
    assert _reason(monkeypatch, reference) == reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("AccessDeniedException", "does not let these credentials read it"),
        ("UnrecognizedClientException", "request (UnrecognizedClientException)"),
        ("DecryptionFailure", "cannot decrypt it with its KMS key"),
        ("InternalServiceError", "request (InternalServiceError)"),
    ],
)
def test_what_aws_refuses_is_named(
    monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    said = {"__type": code, "Message": SECRET}
    with serving(lambda *_: (400, said)) as url:
        _lead_to(url, monkeypatch)
        assert reason in _reason(monkeypatch, "aws:holdfast")


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (["AWS_DEFAULT_REGION"], "is in no region; set AWS_DEFAULT_REGION"),
        (["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "needs credentials"),
        (["AWS_SECRET_ACCESS_KEY"], "cannot be asked (PartialCredentialsError)"),
    ],
)
def test_what_is_wrong_on_the_way_to_aws_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: list[str], reason: str
) -> None:
    for name in missing:
        monkeypatch.delenv(name)
    assert reason in _reason(monkeypatch, "aws:holdfast")


@pytest.mark.long
@pytest.mark.parametrize("where", ["closed_port", "silent_port"])
def test_an_aws_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    where: str,
) -> None:
    limits = Config(connect_timeout=0.1, read_timeout=0.2)
    monkeypatch.setattr(aws, "LIMITS", aws.LIMITS.merge(limits))
    _lead_to(request.getfixturevalue(where), monkeypatch)
    begin = time.monotonic()
    assert "cannot be reached" in _reason(monkeypatch, "aws:holdfast")
    assert time.monotonic() - begin < 2
