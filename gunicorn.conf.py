"""How gunicorn runs the application: a worker is one OS thread with greenlets.

Reads the same settings as the application and refuses to start when one is wrong.
Why each value is what it is: docs/server.md.
"""

import gc
import resource
import sys
from pathlib import Path
from typing import Any

from config import counts
from config.logs import LINE, logging_of
from config.memory import keep_little
from config.mistakes import RefusedToStart
from config.reload import load_settings_anew

try:
    # SIGHUP comes here again.
    settings = load_settings_anew()
except RefusedToStart as reason:
    sys.stderr.write(f"Holdfast does not start.\n{reason}\n")
    sys.exit(1)

# 76 MB resident instead of 108.
keep_little()
# What a worker loads stays; looking for rubbish in it again and again takes longer than
# all that is found. This process makes next to none by itself.
gc.disable()

wsgi_app = "wsgi:app"
bind = f"{settings.bind_address}:{settings.port}"
worker_class = "config.worker.Worker"
# One, unless all state can be shared; gunicorn itself would take WEB_CONCURRENCY, which
# platforms set.
workers = settings.workers
if workers > 1:
    counts.open_folder()
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
access_log_format = LINE
loglevel = settings.log_level
logconfig_dict = logging_of(settings)


def on_starting(server: Any) -> None:
    """Stop when something beat this file: GUNICORN_CMD_ARGS or the command line."""
    if server.cfg.worker_class_str != worker_class:
        reason = "It runs as gevent workers; take --worker-class"
    elif server.cfg.workers > 1 and settings.held_here:
        reason = f"It runs as one worker: {settings.held_here}. Take --workers"
    else:
        return
    sys.stderr.write(
        f"Holdfast does not start.\n{reason} out of GUNICORN_CMD_ARGS and the "
        "command line.\n"
    )
    sys.exit(1)


def post_worker_init(worker: Any) -> None:
    """Say where state is, once, however many workers there are."""
    gc.freeze()
    gc.enable()
    worker.before_finish = worker.wsgi.extensions["hub"].close
    if _speaks_for_all(worker):
        worker.wsgi.extensions["places"].begin()


def worker_exit(_server: Any, worker: Any) -> None:
    # It has none when it could not load the application.
    if _speaks_for_all(worker) and getattr(worker, "wsgi", None):
        worker.wsgi.extensions["places"].end()


def _speaks_for_all(worker: Any) -> bool:
    # A single worker that takes the place of a dead one begins anew as well.
    return worker.age == 1 or workers == 1


def child_exit(_server: Any, worker: Any) -> None:
    counts.forget(worker.pid)


def on_exit(_server: Any) -> None:
    counts.remove_folder()
