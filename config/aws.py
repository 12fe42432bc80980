"""Secrets in AWS Secrets Manager, as AWS' own configuration says where and who asks."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
)
from botocore.exceptions import (
    ConnectionError as NotConnected,
)

from config.mistakes import Unavailable, Unreachable

NAME = "AWS Secrets Manager"
# Seconds; each request is tried twice.
LIMITS = Config(
    connect_timeout=1,
    read_timeout=1,
    retries={"total_max_attempts": 2, "mode": "standard"},
)
REASONS = {
    "ResourceNotFoundException": "has no such secret",
    "AccessDeniedException": "does not let these credentials read it",
    "InvalidRequestException": "has it marked for deletion",
    "DecryptionFailure": "cannot decrypt it with its KMS key",
}


class SecretsManager:
    def __init__(self) -> None:
        with _explained():
            self._client = boto3.Session().client("secretsmanager", config=LIMITS)

    def current(self, path: str) -> Any:
        with _explained():
            return self._read(path, "AWSCURRENT")

    def former(self, path: str) -> list[Any]:
        # The secret is there; its first version has none before.
        with _explained(), suppress(self._client.exceptions.ResourceNotFoundException):
            return [self._read(path, "AWSPREVIOUS")]
        return []

    def _read(self, name: str, stage: str) -> Any:
        found = self._client.get_secret_value(SecretId=name, VersionStage=stage)
        if "SecretString" not in found:
            raise Unavailable("the secret is binary, not text")
        return found["SecretString"]


@contextmanager
def _explained() -> Iterator[None]:
    """Explain the kind of error; what the answer said is not shown."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in REASONS:
            raise Unavailable(f"{NAME} {REASONS[code]}") from None
        raise Unreachable(f"{NAME} does not accept the request ({code})") from None
    except NoRegionError:
        raise Unreachable(f"{NAME} is in no region; set AWS_DEFAULT_REGION") from None
    except NoCredentialsError:
        raise Unreachable(
            f"{NAME} needs credentials, and AWS' usual places have none"
        ) from None
    except (NotConnected, HTTPClientError) as error:
        raise Unreachable(
            f"{NAME} cannot be reached ({type(error).__name__})"
        ) from None
    except BotoCoreError as error:
        raise Unreachable(f"{NAME} cannot be asked ({type(error).__name__})") from None
