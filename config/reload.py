"""Settings at a start of gunicorn and at each SIGHUP, which reads its file again."""

import logging

from config.mistakes import RefusedToStart
from config.secret_sources import forget, remember
from config.settings import Settings, load_settings

log = logging.getLogger(__name__)


def load_settings_anew() -> Settings:
    """Read files and secrets again. What cannot be had then is no reason to stop.

    The settings stay as they were; only the first start raises RefusedToStart.
    """
    known = forget()
    try:
        return load_settings()
    except RefusedToStart as reason:
        if not known:
            raise
        for line in str(reason).splitlines():
            log.error("Settings stay as they were. %s", line)  # noqa: TRY400
    remember(known)
    return load_settings()
