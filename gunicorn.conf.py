"""How gunicorn runs the application: one worker, one OS thread, greenlets.

Reads the same settings as the application and refuses to start when one is wrong.
Why each value is what it is: docs/server.md.
"""

import ctypes
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from config.settings import RefusedToStart, load_settings

try:
    settings = load_settings()
except RefusedToStart as reason:
    sys.stderr.write(f"Holdfast does not start.\n{reason}\n")
    sys.exit(1)

# glibc would keep the 19 MiB of each password hash for the next one; this returns what
# is larger than 1 MB: 76 MB resident instead of 108. Elsewhere there is no mallopt.
M_MMAP_THRESHOLD = -3
with suppress(AttributeError, OSError):
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1_000_000)

wsgi_app = "wsgi:app"
bind = f"{settings.bind_address}:{settings.port}"
worker_class = "config.worker.Worker"
# Named here because gunicorn would take WEB_CONCURRENCY, which platforms set.
workers = 1
# Seconds a connection may say nothing, or take for its headers.
keepalive = 5
_, _most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
_files = min(_most_files, 8000)
resource.setrlimit(resource.RLIMIT_NOFILE, (_files, _most_files))
# At most half of the files that may be open: requests open some themselves.
worker_connections = _files // 2
graceful_timeout = 20
# A key of 200 characters, percent-encoded twice in a `next`, needs this much.
limit_request_line = 8190
# The scheme comes from TRUSTED_PROXIES, not from whoever connects from this host.
forwarded_allow_ips = ""
control_socket_disable = True
# The worker's heartbeat is a file; on a disk it could be held up by other writers.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108

logger_class = "config.logs.Logger"
accesslog = "-"
# The path without its query, which may have a search in it.
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(B)s bytes %(M)s ms'
loglevel = settings.log_level
_handler = {
    "class": "logging.StreamHandler",
    "stream": "ext://sys.stdout",
    "formatter": "line",
    "filters": ["one_line"],
}
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"one_line": {"()": "config.logs.OneLine"}},
    "formatters": {
        "line": {
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
            "datefmt": "%Y-%m-%dT%H:%M:%S%z",
        }
    },
    "handlers": {"stdout": _handler},
    "root": {"level": "WARNING", "handlers": ["stdout"]},
    "loggers": {
        name: {
            "level": settings.log_level.upper(),
            "handlers": ["stdout"],
            "propagate": False,
        }
        for name in ("gunicorn.error", "gunicorn.access", "webapp")
    },
}


def on_starting(server: Any) -> None:
    """Stop when something beat this file: GUNICORN_CMD_ARGS or the command line."""
    if server.cfg.workers != 1 or server.cfg.worker_class_str != worker_class:
        sys.stderr.write(
            "Holdfast does not start.\nIt runs as one gevent worker; take --workers "
            "and --worker-class out of GUNICORN_CMD_ARGS and the command line.\n"
        )
        sys.exit(1)
