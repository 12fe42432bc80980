"""Secrets in HashiCorp Vault: KV version 2, with a token or by AppRole."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hvac
import requests
from hvac.exceptions import (
    Forbidden,
    InvalidPath,
    VaultDown,
    VaultError,
)
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from config.mistakes import Unavailable, Unreachable, without_password

# Seconds to connect, which is tried twice, and to answer.
TIMEOUT = (1, 2)


class Vault:
    def __init__(self, variables: Mapping[str, str]) -> None:
        address = variables.get("VAULT_ADDR", "")
        if not address:
            raise Unavailable("set VAULT_ADDR to where Vault is")
        self._name = f"Vault at {without_password(address)}"
        authority = variables.get("VAULT_CACERT", "")
        if authority and not Path(authority).exists():
            raise Unavailable(f"VAULT_CACERT={authority}: there is no such file")
        session = requests.Session()
        session.verify = authority or True
        retry = Retry(total=1, read=False, backoff_factor=0.1)
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        self._client = hvac.Client(
            address,
            variables.get("VAULT_TOKEN", ""),
            timeout=TIMEOUT,
            session=session,
            namespace=variables.get("VAULT_NAMESPACE"),
        )
        self._kv = self._client.secrets.kv.v2
        self._log_in(variables)

    def current(self, path: str) -> Any:
        with self._explained():
            return self._read(path)

    def former(self, path: str) -> list[Any]:
        mount, _, name = path.partition("/")
        with self._explained():
            found = self._kv.read_secret_metadata(name, mount)["data"]
            numbers = sorted(map(int, found["versions"]), reverse=True)
            versions = []
            for number in numbers:
                if number < found["current_version"]:
                    # A version that was deleted or destroyed is not there.
                    with suppress(InvalidPath):
                        versions.append(self._read(path, number))
            return versions

    def _read(self, path: str, version: int | None = None) -> Any:
        mount, _, name = path.partition("/")
        return self._kv.read_secret_version(
            name, version, mount, raise_on_deleted_version=True
        )["data"]["data"]

    def _log_in(self, variables: Mapping[str, str]) -> None:
        role, secret = (
            variables.get(f"VAULT_{what}_ID") for what in ("ROLE", "SECRET")
        )
        has_token = "VAULT_TOKEN" in variables
        if has_token == bool(role or secret) or bool(role) != bool(secret):
            raise Unavailable(
                "set either VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID"
            )
        if not has_token:
            with self._explained():
                self._client.auth.approle.login(role, secret)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except requests.RequestException as error:
            raise Unreachable(f"{self._name} {_trouble(error)}") from None
        except VaultError as error:
            raise self._refusal(error) from None
        except (AttributeError, LookupError, TypeError):
            raise Unavailable(
                f"{self._name} answers otherwise than KV version 2 does"
            ) from None

    def _refusal(self, error: VaultError) -> Unavailable:
        """Explain the kind of error; what the answer said is not shown."""
        path = urlsplit(error.url or "").path.removeprefix("/v1/")
        match error:
            case VaultDown():
                return Unreachable(f"{self._name} is sealed")
            case _ if path.startswith("auth/"):
                return Unreachable(
                    f"{self._name} does not accept VAULT_ROLE_ID with VAULT_SECRET_ID"
                )
            case Forbidden():
                return Unavailable(f"{self._name} does not let this token read {path}")
            case InvalidPath() if error.json is not None:
                return Unavailable(f"{self._name} has nothing at {path}")
        return Unreachable(f"{self._name} failed ({type(error).__name__})")


def _trouble(error: requests.RequestException) -> str:
    match error:
        case requests.exceptions.SSLError():
            return "has no certificate that is trusted; VAULT_CACERT can name its CA"
        case requests.Timeout():
            return "does not answer"
        case requests.ConnectionError():
            return "cannot be reached"
    return f"cannot be asked ({type(error).__name__}); look at VAULT_ADDR"
