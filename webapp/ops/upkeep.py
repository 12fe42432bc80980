"""Removes what is over, a little at a time, after an answer was sent."""

import logging
import time
from collections.abc import Callable, Sequence

from flask import Flask, Response
from sqlalchemy.exc import DBAPIError

from webapp.errors import StoreUnavailable

# One step looks at this many files or rows: 4 ms on a file store, 20 ms at most.
STEP = 100
PAUSE = 10.0

log = logging.getLogger(__name__)


def init_upkeep(app: Flask, purges: Sequence[Callable[[int], int]]) -> None:
    """Purge in turn, at most one step every PAUSE seconds, when somebody was served."""
    upkeep = Upkeep(purges)

    @app.after_request
    def take_care(response: Response) -> Response:
        if upkeep.is_due():
            response.call_on_close(upkeep.step)
        return response


class Upkeep:
    """Whose turn it is, and when."""

    def __init__(self, purges: Sequence[Callable[[int], int]]) -> None:
        self._purges = purges
        self._turn = 0
        self._next = time.monotonic() + PAUSE

    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    def step(self) -> None:
        self._next = time.monotonic() + PAUSE
        purge = self._purges[self._turn % len(self._purges)]
        self._turn += 1
        try:
            purge(STEP)
        except (StoreUnavailable, DBAPIError) as error:
            log.warning("Nothing was purged this time: %s", error)
