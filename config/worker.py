"""gunicorn's gevent worker, with time limits on clients and a quick end.

gunicorn limits how long a connection may idle or take for its headers (`keepalive`). A
client that is slow with its body or does not read the answer would be waited for for
ever, one that sends without a pause would keep the loop from everybody else, and at the
end every kept-alive connection would be waited for as well.
"""

import errno
import socket as tcp
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import gevent
import gevent.events
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn import util
from gunicorn.http.errors import ParseException
from gunicorn.workers.ggevent import GeventWorker

from config import quicker
from config.refusals import REMEMBERED, write_refusal
from config.settings import load_settings
from config.turns import Turns, source_of

# From the first byte of a request to the last of its body.
RECEIVE_WITHIN = 20.0
# For each piece of an answer, at most 256 kB: 13 kB/s is slow for a telephone.
SEND_WITHIN = 20.0
# Bytes that are received at once. gunicorn would take a megabyte, and copy what it has
# not read yet of it again and again.
PIECE = 16_384
# Bytes of a body that was refused, so that whoever is still sending can read why: five
# times the largest file. Whoever sends more is told that they will be hung up on.
DISCARDED = 50_000_000
# Seconds to wait for the loop's next round; after 0 it has not yet looked who came.
NEXT_ROUND = 1e-6
# What the kernel holds of an answer beside what is on its way: without a limit it takes
# 4 MB of each client that asks on and on and reads nothing.
UNSENT = 131_072
# Requests may be on their way when the listening socket is closed: on a connection that
# was kept alive, and on one that was only just made.
LINGER = 0.1
LINGER_NEW = 0.6
NEVER = float("inf")

# For each module that it patches, gevent would ask every distribution that is installed
# for plugins: thousands of files, 0.1 to 0.2 s of each start.
gevent.events.notify_and_call_entry_points = gevent.events.notify
# What gunicorn answers by itself.
util.write_error = write_refusal


class Worker(GeventWorker):  # type: ignore[misc]
    """Serves each connection in a greenlet of its own."""

    # Called before requests in flight are waited for.
    before_finish: Callable[[], None] = staticmethod(lambda: None)

    def init_process(self) -> None:
        quicker.install(self.cfg)
        super().init_process()

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
        patient = PatientSocket(client, self.cfg.keepalive)
        self._clients[greenlet] = patient
        try:
            super().handle(listener, patient, addr)
        finally:
            del self._clients[greenlet]

    def timeout_ctx(self) -> "PatientSocket":
        """Wait for the next request of a connection, `keepalive` seconds at most.

        Entering the socket begins that time, and leaving it does not close it.
        """
        return self._clients[gevent.getcurrent()]

    def handle_request(
        self, listener_name: Any, req: Any, sock: Any, addr: Any
    ) -> None:
        sock.is_new = False
        length = getattr(req.body.reader, "length", None)
        req.has_no_body = length == 0
        if length and length > DISCARDED:
            req.must_close = True
        req.body.reader = Received(req.body.reader)
        self._turns.wait(source_of(req.headers, addr, self._proxies))
        sock.receive_until = time.monotonic() + RECEIVE_WITHIN
        try:
            super().handle_request(listener_name, req, sock, addr)
        except StopIteration:  # It was the last of its connection.
            sock.stop_sending()
            self._discard_rest(req, sock)
            raise
        else:
            self._discard_rest(req, sock)
        finally:
            sock.receive_until = NEVER

    def _discard_rest(self, req: Any, sock: Any) -> None:
        """Read what the application left of the body, before gunicorn does.

        gunicorn would go on without an end, and let nobody else run meanwhile.
        """
        sock.is_between_requests = True
        if req.has_no_body:
            return
        left = DISCARDED
        if req.body.failed:
            # Where it ends is unknown; no other request can come after it.
            sock.stop_sending()
        receive = sock.recv if req.body.failed else req.body.read
        while piece := receive(PIECE):
            left -= len(piece)
            if left < 0:
                raise sock.give_up()

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
        self.before_finish()
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


class Received:
    """A body; of one whose chunks are malformed nothing more can be received."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, size: int) -> Any:
        try:
            return self._reader.read(size)
        except ParseException as error:
            raise _gone("The client sends no body") from error


class PatientSocket:
    """A client's socket that is patient for so long only, then as good as closed."""

    def __init__(self, client: Any, keepalive: float) -> None:
        self._client = client
        self._keepalive = keepalive
        self._is_given_up = False
        # Whether it has sent no request yet.
        self.is_new = True
        self.is_between_requests = False
        # For a request, not for more of one.
        self._is_waiting = False
        # Of the request in hand; enough to tell whether a program sent it.
        self.beginning = b""
        self.receive_until = NEVER
        client.settimeout(SEND_WITHIN)

    def __enter__(self) -> None:
        self._is_waiting = self.is_between_requests = True
        self.beginning = b""
        self.receive_until = time.monotonic() + self._keepalive

    def __exit__(self, *_error: object) -> None:
        self._is_waiting = self.is_between_requests = False
        self.receive_until = NEVER

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def recv(self, size: int) -> Any:
        left = self.receive_until - time.monotonic()
        if left <= 0 or self._is_given_up:
            raise self.give_up()
        self._client.settimeout(None if left == NEVER else left)
        try:
            received = self._client.recv(min(size, PIECE))
        except TimeoutError as error:
            raise self.give_up() from error
        finally:
            self._client.settimeout(SEND_WITHIN)
        if len(self.beginning) < REMEMBERED:
            self.beginning += received[:REMEMBERED]
        if not self._is_waiting:
            # Where more is there already, receiving it lets nobody else run.
            gevent.sleep(NEXT_ROUND)
        return received

    def sendall(self, piece: bytes) -> None:
        try:
            # Most go at once, with a tenth of what gevent does for those that do not.
            sent = self._client._sock.send(piece)
        except BlockingIOError:
            sent = 0
        if sent == len(piece):
            return
        try:
            self._client.sendall(memoryview(piece)[sent:])
        except TimeoutError as error:
            raise self.give_up() from error

    def stop_sending(self) -> None:
        """Let the client see the end of the answer, whatever it still sends."""
        with suppress(OSError):
            self._client.shutdown(tcp.SHUT_WR)

    def stop_receiving(self) -> None:
        """Take what has arrived and no more, as if the client had said it was done.

        An error thrown at whoever receives could meet them with a request in hand.
        """
        with suppress(OSError):
            # gevent's own `shutdown` throws one; below it is the socket itself.
            self._client._sock.shutdown(tcp.SHUT_RD)

    def give_up(self) -> OSError:
        self._is_given_up = True
        return _gone("The client is too slow")


def _gone(why: str) -> OSError:
    """Return what gunicorn does not log as a fault: as if the client had gone."""
    return ConnectionResetError(errno.ECONNRESET, why)
