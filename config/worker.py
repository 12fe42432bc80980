"""gunicorn's gevent worker, with time limits on clients and a quick end.

gunicorn limits how long a connection may idle or take for its headers (`keepalive`). A
client that is slow with its body or does not read the answer would be waited for for
ever, and at the end every kept-alive connection would be waited for as well.
"""

import errno
import socket as tcp
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker

from config.settings import load_settings
from config.turns import Turns, source_of

# From the first byte of a request to the last of its body.
RECEIVE_WITHIN = 20.0
# For each piece of an answer, at most 256 kB: 13 kB/s is slow for a telephone.
SEND_WITHIN = 20.0
# What the kernel holds of an answer beside what is on its way: without a limit it takes
# 4 MB of each client that asks on and on and reads nothing.
UNSENT = 131_072
# Requests may be on their way when the listening socket is closed: on a connection that
# was kept alive, and on one that was only just made.
LINGER = 0.1
LINGER_NEW = 0.6


class Worker(GeventWorker):  # type: ignore[misc]
    """Serves each connection in a greenlet of its own."""

    def init_signals(self) -> None:
        # Before the application is loaded: it may be told to stop while it starts.
        self._stopping = Event()
        super().init_signals()

    def run(self) -> None:
        self._turns = Turns(gevent.get_hub().loop)
        self._proxies = load_settings().trusted_proxies
        # What is connected, by the greenlet that serves it.
        self._clients: dict[Any, PatientSocket] = {}
        pool = Pool(self.worker_connections)
        servers = [self._serve(socket, pool) for socket in self.sockets]
        while self.alive:
            self.notify()
            self._stopping.wait(1.0)
        for server in servers:
            server.close()
        self._finish(pool)

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        self._stopping.set()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        greenlet = gevent.getcurrent()
        patient = self._clients[greenlet] = PatientSocket(client)
        try:
            super().handle(listener, patient, addr)
        finally:
            del self._clients[greenlet]

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Wait for the next request of a connection, `keepalive` seconds at most."""
        client = self._clients[gevent.getcurrent()]
        client.is_between_requests = True
        try:
            with gevent.Timeout(self.cfg.keepalive, False):
                yield
        finally:
            client.is_between_requests = False

    def handle_request(
        self, listener_name: Any, req: Any, sock: Any, addr: Any
    ) -> None:
        sock.is_new = False
        self._turns.wait(source_of(req.headers, addr, self._proxies))
        sock.receive_until = time.monotonic() + RECEIVE_WITHIN
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.receive_until = float("inf")

    def _serve(self, socket: Any, pool: Any) -> Any:
        socket.setblocking(1)
        # Every connection has what its listening socket had. Elsewhere it has no name.
        if hasattr(tcp, "TCP_NOTSENT_LOWAT"):
            socket.setsockopt(tcp.IPPROTO_TCP, tcp.TCP_NOTSENT_LOWAT, UNSENT)
        listener = Listener(socket.getsockname())
        server = StreamServer(socket, handle=partial(self.handle, listener), spawn=pool)
        server.start()
        return server

    def _finish(self, pool: Any) -> None:
        """Let requests in flight finish; wait for no connection that has none."""
        begin = time.monotonic()
        gevent.sleep(LINGER)
        while len(pool) and (since := time.monotonic() - begin) < (
            self.cfg.graceful_timeout
        ):
            for client in self._clients.values():
                if client.is_between_requests and (
                    not client.is_new or since >= LINGER_NEW
                ):
                    client.stop_receiving()
            self.notify()
            pool.join(timeout=0.05)
        if len(pool):
            self.log.warning("%s requests did not finish in time", len(pool))
            pool.kill(timeout=1)


@dataclass(frozen=True)
class Listener:
    """What is asked of a listening socket, also when it has been closed meanwhile.

    A connection may be accepted right before that and begin right after it.
    """

    name: Any

    def getsockname(self) -> Any:
        return self.name


class PatientSocket:
    """A client's socket that is patient for so long only, then as good as closed."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._is_given_up = False
        # Whether it has sent no request yet.
        self.is_new = True
        self.is_between_requests = False
        self.receive_until = float("inf")
        client.settimeout(SEND_WITHIN)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def recv(self, *arguments: Any) -> Any:
        left = self.receive_until - time.monotonic()
        if left <= 0 or self._is_given_up:
            raise self._give_up()
        # Between requests gunicorn has a time limit of its own.
        self._client.settimeout(None if left == float("inf") else left)
        try:
            return self._client.recv(*arguments)
        except TimeoutError as error:
            raise self._give_up() from error
        finally:
            self._client.settimeout(SEND_WITHIN)

    def sendall(self, *arguments: Any) -> None:
        try:
            self._client.sendall(*arguments)
        except TimeoutError as error:
            raise self._give_up() from error

    def stop_receiving(self) -> None:
        """Take what has arrived and no more, as if the client had said it was done.

        An error thrown at whoever receives could meet them with a request in hand.
        """
        with suppress(OSError):
            # gevent's own `shutdown` throws one; below it is the socket itself.
            self._client._sock.shutdown(tcp.SHUT_RD)

    def _give_up(self) -> OSError:
        self._is_given_up = True
        # As if the client had gone: what gunicorn does not log as a fault.
        return ConnectionResetError(errno.ECONNRESET, "The client is too slow")
