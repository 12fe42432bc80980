"""The application on the servers that are not gunicorn, and under honcho."""

import os
import sys
from pathlib import Path

from tests.servers import ROOT, Gunicorn, required

PROGRAMS = Path(sys.executable).parent
WHY = "`bin/setup servers`, which needs Apache (apache2-bin, apache2-dev)"


class OtherServer(Gunicorn):
    """Started by a command of its own, with the same settings."""

    program: str
    arguments: tuple[str, ...] = ()

    def command(self) -> list[str]:
        found = PROGRAMS / self.program
        return [required(str(found) if found.exists() else None, WHY), *self.arguments]

    def environment(self) -> dict[str, str]:
        path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
        return super().environment() | {"PATH": path}


class Uwsgi(OtherServer):
    program = "uwsgi"
    arguments = ("--ini", "config/uwsgi.ini")


class ModWsgi(OtherServer):
    program = "mod_wsgi-express"

    def command(self) -> list[str]:
        super().command()
        script = str(ROOT / "config" / "mod_wsgi-express")
        command = [script, "--server-root", str(self.log.parent / "apache")]
        if os.geteuid() != 0:
            return command
        # Apache does not serve as root, and here everything belongs to root.
        may_read_all = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
        other = ("--reuid=nobody", "--regid=nogroup", "--clear-groups")
        return ["setpriv", *other, *may_read_all, *command]


class Honcho(OtherServer):
    program = "honcho"
    has_sessions = True

    def command(self) -> list[str]:
        self.settings["BIND_ADDRESS"] = "127.0.0.1"
        return [*super().command(), "start", "--port", str(self.port), "web"]


SERVERS = {"gunicorn": Gunicorn, "uwsgi": Uwsgi, "mod_wsgi": ModWsgi, "honcho": Honcho}
