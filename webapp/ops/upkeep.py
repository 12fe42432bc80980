"""Removes what is over, a little at a time, after an answer was sent."""

import itertools
import logging
import math
import time
from collections.abc import Callable, Sequence

from flask import Flask, Response
from sqlalchemy.exc import SQLAlchemyError

from webapp.database import briefly
from webapp.errors import StoreUnavailable

# One step looks at this many files or rows: 4 ms on a file store, 20 ms at most.
STEP = 100
PAUSE = 2.0
# Between two steps of the command, so that the server gets to write in between.
REST = 0.02
EVERYTHING = 1_000_000_000

Purge = Callable[[int], int]
log = logging.getLogger(__name__)


def init_upkeep(app: Flask, stores: Sequence[Purge], records: Sequence[Purge]) -> None:
    """Purge in turn, at most one step every PAUSE seconds, when somebody was served."""
    upkeep = app.extensions["upkeep"] = Upkeep(stores, records)

    @app.after_request
    def take_care(response: Response) -> Response:
        if upkeep.is_due():
            response.call_on_close(upkeep.step)
        return response


class Upkeep:
    """Whose turn it is, and when."""

    def __init__(self, stores: Sequence[Purge], records: Sequence[Purge]) -> None:
        self._stores = stores
        self._records = records
        self._turns = itertools.cycle([*stores, *records])
        self._next = time.monotonic() + PAUSE

    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    def step(self) -> None:
        # Nobody else begins one meanwhile, nor right after one that took long.
        self._next = math.inf
        purge = next(self._turns)
        try:
            with briefly():
                purge(STEP)
        except (StoreUnavailable, SQLAlchemyError) as error:
            log.warning("Nothing was purged this time: %s", error)
        finally:
            self._next = time.monotonic() + PAUSE

    def purge_all(self) -> int:
        """Remove everything that is over, in steps; tell how much that was."""
        removed = sum(purge(EVERYTHING) for purge in self._stores)
        for purge in self._records:
            while step := purge(STEP):
                removed += step
                time.sleep(REST)
        return removed
