"""The application object, for every WSGI server and for the `flask` command."""

import sys

from config.settings import RefusedToStart
from webapp import create_app

# gunicorn stops for good at this status; at any other it starts a worker again
# and again.
WORKER_BOOT_ERROR = 3

try:
    app = create_app()
except RefusedToStart as reason:
    sys.stderr.write(f"Holdfast does not start. {reason}\n")
    sys.exit(WORKER_BOOT_ERROR)
