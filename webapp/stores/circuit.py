"""A server that failed is left alone for a while.

So that a frozen one costs one slow answer and not one per request.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from webapp import clock
from webapp.errors import StoreUnavailable
from webapp.stores.interface import Store, note_trouble

# Seconds that a server is left alone after a failure.
PAUSE = 2.0
# Seconds that a server has for each step of a command. Who does not answer is not asked
# twice.
TIMEOUT = 0.5


@dataclass
class Circuit:
    """Between a store and one server of it.

    `failures` are the errors of the server's driver; `is_away` tells a server that
    answers something from none.
    """

    store: Store
    name: str
    failures: tuple[type[Exception], ...]
    is_away: Callable[[Exception], bool]
    describe: Callable[[Exception], str] = str
    paused_until: float = 0.0

    @contextmanager
    def asking(self, *, deleting: bool = False) -> Iterator[None]:
        """Ask the server inside of it; raises StoreUnavailable for a failure.

        A deletion that the server did not hear of is trouble, asked or not: what
        should be gone may be there when it comes back.
        """
        if self.paused_until:
            if time.monotonic() < self.paused_until:
                if deleting:
                    self.store.last_trouble = clock.timestamp()
                raise StoreUnavailable(f"{self.name} is left alone after a failure")
            # One asks again; the others do not wait for its answer.
            self.paused_until = time.monotonic() + PAUSE
        try:
            yield
        except self.failures as error:
            reason = f"{self.name}: {self.describe(error)}"
            note_trouble(self.store, reason)
            if self.is_away(error):
                self.paused_until = time.monotonic() + PAUSE
            raise StoreUnavailable(reason) from error
        self.paused_until = 0.0
