"""Lets others go in between where one thing takes long.

Where greenlets serve people, everybody shares one thread: whoever computes keeps the
others waiting, and whoever waits does not.
"""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds that nobody else is served, and that others then have. In no time at all
# gevent would not even look who came, and a request takes several looks.
LONGEST, PAUSE = 0.01, 0.002


class Pace:
    """`tick()` often; now and then it lets whoever waits go first."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def tick(self) -> None:
        if time.monotonic() - self._since > LONGEST:
            let_others_go()
            self._since = time.monotonic()


def let_others_go() -> None:
    time.sleep(PAUSE)


def is_one_thread() -> bool:
    """Tell whether greenlets serve people here; other servers run without gevent."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def beside_the_loop(function: Callable[[], T]) -> T:
    """Call it on another thread where greenlets serve people, so that others go on."""
    if not is_one_thread():
        return function()
    # Here, because other servers run without it.
    from gevent import get_hub  # noqa: PLC0415

    return get_hub().threadpool.apply(function)  # type: ignore[no-any-return]
