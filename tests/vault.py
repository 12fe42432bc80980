"""A stand-in for HashiCorp Vault: KV version 2 and AppRole, as its API is documented.

https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 and .../auth/approle
"""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

TOKEN, ROLE, SECRET_ID = "hvs.root-of-all-tests", "role-of-holdfast", "secret-id-9f3c"
Answer = tuple[int, Any]
DENIED: Answer = (403, {"errors": ["permission denied"]})
NOTHING: Answer = (404, {"errors": []})


@dataclass
class Version:
    data: dict[str, Any]
    deleted: str = ""
    destroyed: bool = False

    def metadata(self) -> dict[str, Any]:
        return {
            "created_time": "2026-11-25T08:00:00.123456789Z",
            "deletion_time": self.deleted,
            "destroyed": self.destroyed,
        }


@dataclass
class Vault:
    """What is in it, who may see it, and what was asked."""

    url: str = ""
    mount: str = "secret"
    namespace: str | None = None
    sealed: bool = False
    # Which of `data` and `metadata` the policy of every token lets it read.
    readable: tuple[str, ...] = ("data", "metadata")
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    secrets: dict[str, list[Version]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, path: str, **data: Any) -> None:
        self.secrets.setdefault(path, []).append(Version(data))

    def delete(self, path: str, version: int) -> None:
        deleted = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self.secrets[path][version - 1].deleted = deleted

    def destroy(self, path: str, version: int) -> None:
        self.secrets[path][version - 1].destroyed = True

    def answer(self, method: str, url: str, headers: Any, body: Any) -> Answer:
        address = urlsplit(url)
        parts = unquote(address.path).strip("/").split("/")
        self.asked.append("/".join(parts[1:]))
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if headers["X-Vault-Namespace"] != self.namespace:
            return 404, {"errors": [f'no handler for route "{"/".join(parts[1:])}".']}
        if (method, parts) == ("POST", ["v1", "auth", "approle", "login"]):
            return self._log_in(body)
        if headers["X-Vault-Token"] not in self.tokens:
            return DENIED
        if method != "GET" or parts[:2] != ["v1", self.mount]:
            return DENIED
        return self._read(parts[2], "/".join(parts[3:]), parse_qs(address.query))

    def _log_in(self, body: Any) -> Answer:
        if body != {"role_id": ROLE, "secret_id": SECRET_ID}:
            return 400, {"errors": ["invalid role or secret ID"]}
        token = f"hvs.by-approle-{len(self.tokens)}"
        self.tokens.add(token)
        return 200, {"auth": {"client_token": token, "lease_duration": 60}}

    def _read(self, what: str, path: str, query: dict[str, list[str]]) -> Answer:
        if what not in self.readable:
            return DENIED
        if not (versions := self.secrets.get(path)):
            return NOTHING
        if what == "metadata":
            each = {str(n): v.metadata() for n, v in enumerate(versions, 1)}
            return 200, {"data": {"current_version": len(versions), "versions": each}}
        number = int(query.get("version", ["0"])[0]) or len(versions)
        if not 1 <= number <= len(versions):
            return NOTHING
        version = versions[number - 1]
        metadata = version.metadata() | {"version": number}
        if version.deleted or version.destroyed:
            return 404, {"data": {"data": None, "metadata": metadata}}
        return 200, {"data": {"data": version.data, "metadata": metadata}}


@contextmanager
def serving(answer: Any, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve what `answer(method, url, headers, body)` returns: a status and JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"] or 0))
            body = json.loads(content) if content else None
            status, said = answer(self.command, self.path, self.headers, body)
            sent = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    """An empty Vault, with the variables that lead to it."""
    vault = Vault()
    with serving(vault.answer) as vault.url:
        monkeypatch.setenv("VAULT_ADDR", vault.url)
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        yield vault
