"""Real servers for tests: gunicorn as it is deployed, Redis and Memcached."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import httpx
import pytest
import redis
from pymemcache.client.base import Client as MemcachedClient
from pymemcache.exceptions import MemcacheUnexpectedCloseError

ROOT = Path(__file__).parent.parent
STARTS_WITHIN = 20
MEMORY = Path("/dev/shm")  # noqa: S108
# Bytes that a server, or all the folders of a test run, take at most.
ROOM = 2_000_000_000


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def in_ci() -> bool:
    return bool(os.environ.get("CI"))


def required(what: str | None, why: str) -> str:
    """Return it; where it is missing fail in CI and skip elsewhere."""
    if what:
        return what
    if in_ci():
        pytest.fail(f"CI needs {why}")
    pytest.skip(why)


def quickest_disk() -> Path | None:
    """Return a folder in memory where there is room for it: nothing here must last."""
    with suppress(OSError):
        may_run_programs = not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
        if may_run_programs and shutil.disk_usage(MEMORY).free > ROOM:
            return MEMORY
    return None


def _all_below(pid: int) -> list[int]:
    """Return its children and theirs."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid="],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    parents = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found = [pid]
    for each in found:
        found += [child for child, parent in parents if parent == each]
    return found[1:]


class Process:
    """A server of our own on a free port; every one started here is stopped here."""

    starts_within = STARTS_WITHIN
    # Whether what it starts is in sessions of their own, which its signals pass by.
    has_sessions = False

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.log = folder / f"{type(self).__name__.lower()}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> Self:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603
                self.command(),
                cwd=ROOT,
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + self.starts_within
        while not self.answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        return self

    def has_logged(self, text: str) -> bool:
        """Wait for the text in the log: a line is written after its answer."""
        deadline = time.monotonic() + STARTS_WITHIN
        while text not in self.log.read_text("utf-8", "replace"):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def resident(self) -> int:
        """Return the memory of all its processes in KiB."""
        return sum(self.residents())

    def residents(self) -> list[int]:
        """Return the memory of each of its processes in KiB."""
        return list(map(int, self._listed("rss")))

    def processes(self) -> list[int]:
        return list(map(int, self._listed("pid")))

    def _listed(self, column: str, *options: str) -> list[str]:
        assert self.process
        group = ["ps", *options, "-o", f"{column}=", "-g", str(self.process.pid)]
        # It fails where there is none.
        listed = subprocess.run(group, capture_output=True, text=True, check=False)  # noqa: S603
        return listed.stdout.split()

    def signal(self, number: signal.Signals) -> None:
        """Send it to the process and its children, whoever of them is left."""
        if not self.process:
            return
        below = _all_below(self.process.pid) if self.has_sessions else []
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        for pid in below:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze(self) -> None:
        """Let it hold its connections and answer nothing."""
        self.signal(signal.SIGSTOP)
        # A thread that runs on another core goes on for a moment. Who has ended stays
        # a zombie: its parent, which is frozen as well, cannot take note of it.
        while any(state[0] not in "TZ" for state in self._listed("stat", "-L")):
            time.sleep(0.001)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill -9 every process of it, and wait until they are gone."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        if self.process:
            self.process.wait()
            # Its children end by themselves, and have its port until then.
            while any(state[0] != "Z" for state in self._listed("stat")):
                time.sleep(0.001)
        self.process = None

    def stop(self) -> int:
        """Ask it to stop and return its exit status."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.process = None
        return status


class Gunicorn(Process):
    """The application as bin/run starts it, with these settings."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder)
        self.settings = {
            "DATA_DIR": str(folder / "data"),
            "PASSWORD_MEMORY_KIB": "64",
            "PASSWORD_ROUNDS": "1",
            "PORT": str(self.port),
        } | settings
        self._clients: list[httpx.Client] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [str(Path(sys.executable).parent / "gunicorn")]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]} | self.settings

    def answers(self) -> bool:
        # Not httpx: it would load certificates each time, while the server starts.
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        with closing(connection), suppress(OSError, HTTPException):
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        return False

    def flask(self, *words: str, status: int = 0) -> str:
        """Run a command as the operator does beside it; return what it says."""
        command = [str(Path(sys.executable).parent / "flask"), *words]
        result = subprocess.run(  # noqa: S603
            command,
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout + result.stderr

    def client(self, **options: Any) -> httpx.Client:
        """Connect like one more browser; close() closes it."""
        client = httpx.Client(base_url=self.url, timeout=10, **options)
        self._clients.append(client)
        return client

    def close(self) -> None:
        self.kill()
        for client in self._clients:
            client.close()


class Redis(Process):
    """A Redis that keeps nothing on disk, with these options more."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self._options = options

    def command(self) -> list[str]:
        binary = required(shutil.which("redis-server"), "redis-server on the PATH")
        options = f"--port {self.port} --bind 127.0.0.1 --save --appendonly no"
        return [binary, *options.split(), "--dir", str(self.log.parent), *self._options]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def answers(self) -> bool:
        with suppress(redis.ConnectionError), self.client() as client:
            return bool(client.ping())
        return False


class Memcached(Process):
    """A Memcached of 64 MB, with these options more."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self._options = options

    def command(self) -> list[str]:
        binary = required(shutil.which("memcached"), "memcached on the PATH")
        options = f"-l 127.0.0.1 -p {self.port} -u nobody -m 64"
        return [binary, *options.split(), *self._options]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}

    @property
    def url(self) -> str:
        return f"memcached://127.0.0.1:{self.port}"

    @contextmanager
    def client(self) -> Iterator[Any]:
        address = "127.0.0.1", self.port
        with closing(MemcachedClient(address, default_noreply=False)) as client:
            yield client

    def answers(self) -> bool:
        failures = ConnectionError, MemcacheUnexpectedCloseError
        with suppress(*failures), self.client() as client:
            return bool(client.version())
        return False

    def empty(self) -> None:
        with self.client() as client:
            client.flush_all()

    def values(self) -> int:
        with self.client() as client:
            return int(client.stats()[b"curr_items"])


@pytest.fixture
def on_disk() -> Iterator[Path]:
    """A folder beside the project: a `tmp_path` in memory is warned of."""
    place = ROOT / "var"
    place.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Gunicorn]:
    """The application on gunicorn, not started yet; its `settings` can be changed."""
    server = Gunicorn(tmp_path)
    yield server
    server.close()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def closed_port() -> str:
    """A URL where every connection is refused at once."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def silent_port() -> Iterator[str]:
    """A URL where every connection is taken, and never a word said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def memcached_server(tmp_path: Path) -> Iterator[Memcached]:
    server = Memcached(tmp_path)
    server.start()
    yield server
    server.kill()
