"""Redis as it is run where it must not be away for long: Sentinel, and a Cluster."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from redis.sentinel import Sentinel

from tests.proxies import make_certificate
from tests.servers import STARTS_WITHIN, Process, Redis, free_port, required

SERVICE = "holdfast"
# Milliseconds until the others take a server for dead.
DEAD_AFTER = 1000
CREATE = ("--cluster-replicas", "1", "--cluster-yes")


class TlsRedis(Redis):
    """A Redis that speaks TLS only, by a certificate that it has signed itself."""

    def __init__(self, folder: Path) -> None:
        self.certificate, key = folder / "certificate.pem", folder / "key.pem"
        make_certificate(key, self.certificate)
        files = ("--tls-cert-file", str(self.certificate), "--tls-key-file", str(key))
        super().__init__(folder, *files, "--tls-auth-clients", "no")

    def command(self) -> list[str]:
        return [*super().command(), "--tls-port", str(self.port), "--port", "0"]

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, ssl_ca_certs=str(self.certificate))


class Watcher(Process):
    """One of the Sentinels that watch a primary."""

    def __init__(self, folder: Path, primary: Redis, quorum: int) -> None:
        super().__init__(folder)
        self._file = folder / "sentinel.conf"
        self._file.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} {quorum}\n"
            f"sentinel down-after-milliseconds {SERVICE} {DEAD_AFTER}\n"
            f"sentinel failover-timeout {SERVICE} 4000\n"
        )

    def command(self) -> list[str]:
        binary = required(shutil.which("redis-server"), "redis-server on the PATH")
        return [binary, str(self._file), "--sentinel"]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}

    def answers(self) -> bool:
        with suppress(redis.ConnectionError):
            return bool(self.client().ping())
        return False

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)


class Watched:
    """A primary with a replica and three Sentinels."""

    def __init__(self, folder: Path) -> None:
        self.primary = Redis(_new(folder, "primary")).start()
        follow = ("--replicaof", f"127.0.0.1 {self.primary.port}")
        self.replica = Redis(_new(folder, "replica"), *follow).start()
        self.watchers = [
            Watcher(_new(folder, f"sentinel{number}"), self.primary, 2).start()
            for number in range(3)
        ]
        self._sentinel = Sentinel(
            [("127.0.0.1", each.port) for each in self.watchers], socket_timeout=1
        )

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.watchers)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def is_whole(self) -> bool:
        """Tell whether every Sentinel knows the replica and the other Sentinels."""
        found: list[Any] = [
            each.client().sentinel_master(SERVICE) for each in self.watchers
        ]
        return all(
            (each["num-other-sentinels"], each["num-slaves"]) == (2, 1)
            for each in found
        )

    def kill_a_primary(self) -> None:
        self.primary.kill()

    def is_failed_over(self) -> bool:
        with suppress(redis.ConnectionError):
            _, port = self._sentinel.discover_master(SERVICE)
            return bool(port == self.replica.port)
        return False

    def keys(self) -> set[str]:
        with suppress(redis.ConnectionError):
            client = self._sentinel.master_for(SERVICE, socket_timeout=1)
            return {key.decode() for key in client.scan_iter("holdfast:*")}
        return set()

    def close(self) -> None:
        for each in (*self.watchers, self.replica, self.primary):
            each.kill()


class Cluster:
    """Three primaries with a replica each."""

    def __init__(self, folder: Path) -> None:
        options = (
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            str(DEAD_AFTER),
        )
        self.nodes = []
        for number in range(6):
            node = Redis(_new(folder, f"node{number}"), *options)
            node.port = _free_port_with_bus()
            self.nodes.append(node.start())
        # Kept: it is emptied before each test.
        self._clients = [node.client() for node in self.nodes]
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes]
        cli = required(shutil.which("redis-cli"), "redis-cli on the PATH")
        subprocess.run(  # noqa: S603
            [cli, "--cluster", "create", *addresses, *CREATE],
            check=True,
            capture_output=True,
            timeout=60,
        )
        deadline = time.monotonic() + STARTS_WITHIN
        while not self.is_up():
            assert time.monotonic() < deadline, "the Cluster does not come up"
            time.sleep(0.05)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:3])
        return f"redis+cluster://{hosts}"

    def is_up(self) -> bool:
        """Tell whether every node has heard that all the others are there."""
        found = [node.client().cluster("INFO") for node in self.nodes]
        return all(each["cluster_state"] == "ok" for each in found)

    def is_whole(self) -> bool:
        """Tell whether every replica follows a primary."""
        found = [node.client().info("replication") for node in self.nodes]
        links = [
            each["master_link_status"] for each in found if each["role"] == "slave"
        ]
        return links == ["up"] * 3

    def kill_a_primary(self) -> None:
        self.nodes[0].kill()

    def is_failed_over(self) -> bool:
        nodes = self._last.cluster("NODES")
        primaries = [
            name
            for name, node in nodes.items()
            if "master" in node["flags"] and "fail" not in node["flags"]
        ]
        gone = f"127.0.0.1:{self.nodes[0].port}"
        return len(primaries) == 3 and gone not in primaries

    def keys(self) -> set[str]:
        found = set()
        for node in self.nodes:
            with suppress(redis.ConnectionError), node.client() as client:
                found |= {key.decode() for key in client.scan_iter("holdfast:*")}
        return found

    def empty(self) -> None:
        for client in self._clients:
            with suppress(redis.ReadOnlyError):
                client.flushall()

    def close(self) -> None:
        for node in self.nodes:
            node.kill()

    @property
    def _last(self) -> redis.Redis:
        return self.nodes[-1].client()


Several = Watched | Cluster
KINDS: dict[str, type[Several]] = {"sentinel": Watched, "cluster": Cluster}


@contextmanager
def redis_of(kind: str, folder: Path) -> Iterator[Several]:
    site = KINDS[kind](folder)
    try:
        yield site
    finally:
        site.close()


def _new(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def _free_port_with_bus() -> int:
    """Return a port that is free as well as the one 10,000 above, for the bus."""
    while True:
        port = free_port()
        with suppress(OSError, OverflowError), socket.socket() as bus:
            bus.bind(("127.0.0.1", port + 10_000))
            return port
