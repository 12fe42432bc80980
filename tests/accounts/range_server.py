"""A range API for tests, on a port of this machine: it counts what it is asked."""

import hashlib
import secrets
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ETAG = '"2026-11"'
MAX_AGE = 3600
BREACHED = "harbour-of-many-thieves"


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def prefix_of(password: str) -> str:
    return sha1(password)[:5]


class Request(BaseHTTPRequestHandler):
    """One request, answered as the API says."""

    protocol_version = "HTTP/1.1"
    server: "RangeApi"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        self.server.answer(self)

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        usual = {"Date": self.date_time_string(), "Content_Length": str(len(body))}
        self.send_response_only(status)
        for name, value in (usual | headers).items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


class RangeApi(ThreadingHTTPServer):
    """Answers as Have I Been Pwned does, until `answer` is something else."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answer: Callable[[Request], None] = self.answer_well
        self.counts: dict[str, int] = {}
        self.hung_up = Event()
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/range/"

    def breach(self, password: str, count: int = 7) -> None:
        self.counts[sha1(password)] = count

    def lines(self, prefix: str) -> bytes:
        known = {each[5:]: n for each, n in self.counts.items() if each[:5] == prefix}
        lines = [f"{secrets.token_hex(18).upper()[:35]}:{n % 3}" for n in range(800)]
        lines[400:400] = [f"{rest}:{count}" for rest, count in known.items()]
        return "\r\n".join(lines).encode()

    def answer_well(self, request: Request) -> None:
        is_known = request.headers["If-None-Match"] == ETAG
        request.send(
            b"" if is_known else self.lines(request.path[-5:]),
            304 if is_known else 200,
            ETag=ETAG,
            Cache_Control=f"public, max-age={MAX_AGE}",
            # What a client that keeps cookies would send again.
            Set_Cookie="seen=1",
        )

    def drip(self, request: Request, start: bytes) -> None:
        """Send a byte now and then until the other side hangs up."""
        pause = Event()
        try:
            request.wfile.write(start)
            while True:
                request.wfile.write(b"A")
                pause.wait(0.02)
        except OSError:
            self.hung_up.set()
            request.close_connection = True

    def handle_error(self, *arguments: Any) -> None:
        """Whoever asked has gone."""

    def use_tls(self, file: Path) -> None:
        """Prove to be localhost with a certificate of its own, put into the file."""
        _certify_localhost(file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def close(self) -> None:
        self.shutdown()
        self.server_close()


def _certify_localhost(file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    day, now = timedelta(days=1), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
