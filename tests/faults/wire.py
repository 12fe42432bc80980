"""Requests as bytes on a socket, right ones and wrong ones, and what comes back."""

import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.servers import Gunicorn, Process

STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@dataclass(frozen=True)
class Reply:
    """The bytes of an answer; its status is 0 where the server only hung up."""

    content: bytes
    seconds: float

    @property
    def status(self) -> int:
        found = STATUS.match(self.content)
        return int(found[1]) if found else 0


def connect(server: Process, receive_buffer: int = 0) -> socket.socket:
    """Open a connection; with a small receive buffer it soon stops taking answers."""
    line = socket.socket()
    if receive_buffer:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    line.settimeout(10)
    line.connect(("127.0.0.1", server.port))
    return line


class KeptAlive:
    """One connection for many requests: a client library takes longer than a server."""

    def __init__(self, server: Process) -> None:
        self._line = connect(server)
        self._answers = self._line.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._answers.close()
        self._line.close()

    def ask(self, request: str, headers: str = "", body: str = "") -> tuple[int, bytes]:
        """Send "GET /path", headers that end with CR LF each, and ASCII as the body.

        Returns the status and the header of the answer, in small letters, and drops
        its body.
        """
        size = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{request} HTTP/1.1\r\nHost: localhost\r\n{headers}{size}\r\n"
        self._line.sendall(f"{head}{body}".encode())
        status, header, length = int(self._answers.readline().split()[1]), b"", 0
        while (line := self._answers.readline().lower()) != b"\r\n":
            header += line
            if line.startswith(b"content-length"):
                length = int(line.split(b":")[1])
        assert len(self._answers.read(length)) == length
        return status, header


def exchange(server: Gunicorn, request: bytes) -> Reply:
    """Send it all, whatever the server thinks of it, and read until it hangs up."""
    start = time.monotonic()
    content = b""
    with connect(server) as line:
        with suppress(ConnectionError):
            line.sendall(request)
        with suppress(ConnectionError):
            while piece := line.recv(65_536):
                content += piece
    return Reply(content, time.monotonic() - start)


def compose(
    method: bytes, path: bytes, headers: bytes = b"", body: bytes = b""
) -> bytes:
    """Write a request after which the server hangs up; headers end with CR LF each."""
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    return b"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s%s\r\n%s" % (
        method,
        path,
        headers,
        length,
        body,
    )


def connections(server: Gunicorn) -> int:
    """Count what the server has open, its listening socket and stores among it."""
    sockets = 0
    for number in server.processes():
        for link in Path(f"/proc/{number}/fd").iterdir():
            with suppress(FileNotFoundError):  # Closed since it was listed.
                sockets += str(link.readlink()).startswith("socket:")
    return sockets
