"""The application object, for every WSGI server and for the `flask` command."""

import atexit
import logging.config
import sys
from itertools import pairwise

import click

from config.logs import RequestLines, logging_of
from config.mistakes import RefusedToStart
from config.settings import load_settings
from webapp import create_app, create_reporting_app, create_restoring_app

# At this status gunicorn or uWSGI stops for good; at any other it would start a worker
# again and again.
FAILED = 22 if "uwsgi" in sys.modules else 3

is_command = click.get_current_context(silent=True) is not None
# What makes the records whole again cannot begin by opening them.
is_restoring = is_command and ("state", "restore") in pairwise(sys.argv)
# What tells where the records are has to tell it where they are away as well.
is_reporting = is_command and sys.argv[1:] == ["state"]

try:
    settings = load_settings()
    try:
        app = (create_restoring_app if is_restoring else create_app)(settings)
    except RefusedToStart as reason:
        if not is_reporting:
            raise
        sys.stderr.write(f"The records cannot be used. {reason}\n")
        app = create_reporting_app(settings)
except RefusedToStart as reason:
    sys.stderr.write(f"Holdfast does not start. {reason}\n")
    sys.exit(FAILED)

# gunicorn does all of it, once for all workers; a command says what it did, no more.
if not logging.getLogger("gunicorn.error").handlers and not is_command:
    logging.config.dictConfig(logging_of(settings))
    app.extensions["places"].begin()
    atexit.register(app.extensions["places"].end)
    app.wsgi_app = RequestLines(app.wsgi_app)  # type: ignore[method-assign]
