"""What people push to: ssh, a bare repository with a hook, and nginx with TLS."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

import httpx

from tests.proxies import Nginx
from tests.servers import ROOT, Process, required

HOOK = Path(__file__).parent / "post-receive"
PUSHES_WITHIN = 300
NOBODY_THERE = "127.0.0.1:1"


class Ssh(Process):
    """An sshd that lets one key in, as whoever runs the tests."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.key = folder / "key"
        self._host_key = folder / "host_key"
        for key in (self.key, self._host_key):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
            subprocess.run(make, check=True)  # noqa: S603
        shutil.copy(f"{self.key}.pub", folder / "authorized_keys")
        self._file = folder / "sshd_config"
        self._file.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self._host_key}\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\n"
            "UsePAM no\nPasswordAuthentication no\nPidFile none\n"
            f"SetEnv PLATFORM={folder.parent} PYTHON={Path(sys.executable).resolve()}\n"
        )

    def command(self) -> list[str]:
        found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        return [required(found, "openssh-server"), "-D", "-e", "-f", str(self._file)]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


class Front(Nginx):
    """Answers by itself as long as nothing was pushed."""

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


class Platform:
    """Everything in one folder: repository, releases, processes, the kept disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("ssh", "nginx", "disk"):
            (folder / name).mkdir()
        (folder / "events").touch()
        repository = folder / "repository.git"
        _git(folder, "init", "--quiet", "--bare", "-b", "main", str(repository))
        shutil.copy(HOOK, repository / "hooks" / "post-receive")
        (folder / "config").write_text(
            f"DATA_DIR={folder}/disk\nPASSWORD_MEMORY_KIB=64\nPASSWORD_ROUNDS=1\n"
        )
        self.ssh = Ssh(folder / "ssh")
        self.nginx = Front(folder / "nginx", [NOBODY_THERE], https=True)
        self._clients: list[httpx.Client] = []
        self._work = folder / "work"
        _git(folder, "clone", "--quiet", str(ROOT), str(self._work))

    def start(self) -> Self:
        self.ssh.start()
        self.nginx.start()
        return self

    def client(self, **options: Any) -> httpx.Client:
        trusted = ssl.create_default_context(cafile=self.nginx.certificate)
        client = self.nginx.client(verify=trusted, **options)
        self._clients.append(client)
        return client

    def change(self, path: str, old: str, new: str) -> None:
        """Edit a file of the application, as its developer would."""
        text = self._file(path)
        assert old in text
        (self._work / path).write_text(text.replace(old, new, 1) if old else new)

    def push(self, order: str) -> str:
        """Commit what was changed and push it; return what the platform said."""
        (self.folder / "order").write_text(order)
        _git(self._work, "add", "--all")
        _git(self._work, "commit", "--quiet", "--allow-empty", "-m", "Change something")
        ssh = (
            f"ssh -p {self.ssh.port} -i {self.ssh.key} -o StrictHostKeyChecking=no "
            "-o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -o LogLevel=ERROR"
        )
        address = f"ssh://127.0.0.1{self.folder}/repository.git"
        return _git(self._work, "push", address, "HEAD:main", GIT_SSH_COMMAND=ssh)

    def events(self, since: float) -> dict[str, float]:
        """Return when, in Unix seconds, a push came to each of its steps."""
        lines = (self.folder / "events").read_text().splitlines()
        found = {what: float(when) for when, what in map(str.split, lines)}
        return {what: when for what, when in found.items() if when > since}

    def next_revision(self) -> tuple[str, str]:
        """Return the revision that the tables will have next, and the present one."""
        found = re.search(r'REVISION = "(\d+)"', self._file("webapp/schema.py"))
        assert found
        return f"{int(found[1]) + 1:04}", found[1]

    def log(self) -> str:
        """Return what the web process that serves now has said."""
        line = (self.folder / "nginx" / "upstreams.conf").read_text()
        port = line.rpartition(":")[2].strip(";\n ")
        return (self.folder / f"web.{port}.log").read_text()

    def query(self, statement: str, *values: object) -> Any:
        with closing(sqlite3.connect(self.folder / "disk" / "holdfast.db")) as db:
            return db.execute(statement, values).fetchone()[0]

    def _file(self, path: str) -> str:
        file = self._work / path
        return file.read_text() if file.exists() else ""

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.ssh.kill()
        self.nginx.kill()
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.folder / "web.pid").read_text()), signal.SIGKILL)


def _git(folder: Path, *arguments: str, **environment: str) -> str:
    author = {"GIT_AUTHOR_NAME": "Developer", "GIT_AUTHOR_EMAIL": "dev@example.org"}
    author |= {
        "GIT_COMMITTER_NAME": "Developer",
        "GIT_COMMITTER_EMAIL": "d@example.org",
    }
    done = subprocess.run(  # noqa: S603
        ["git", *arguments],  # noqa: S607
        cwd=folder,
        env=os.environ | author | environment,
        capture_output=True,
        text=True,
        timeout=PUSHES_WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
