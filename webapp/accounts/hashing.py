"""The queue for hashing passwords: one at a time, beside the loop, never too many."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeVar

from config.memory import keep_hash
from webapp import metrics
from webapp.errors import Busy
from webapp.pace import is_one_thread

T = TypeVar("T")


class Place:
    """One who waits for their turn."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.turned_away = False


# Those who wait, by source; the source whose turn is next comes first.
Waiting = OrderedDict[str, deque[Place]]


class HashingQueue:
    """Takes turns among sources, so that no flood from one place keeps others waiting.

    A hash takes 23 ms and 19 MiB: one at a time leaves the other core and the memory to
    everybody else. Browsers that have logged in before come first. When the queue is
    full, whoever came last from the source with the most waiting is turned away (Busy);
    with one each, that is the newcomer.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._lock = threading.Lock()
        self._known: Waiting = OrderedDict()
        self._strangers: Waiting = OrderedDict()
        self._is_working = False

    def run(
        self,
        source: str,
        function: Callable[..., T],
        *arguments: Any,
        is_known: bool = False,
    ) -> T:
        """Call the function when it is this source's turn; raises Busy."""
        with metrics.HASHES.track_inprogress():
            self._wait(source, is_known=is_known)
            try:
                is_awaited = bool(self._known or self._strangers)
                return _beside_the_loop(partial(function, *arguments), is_awaited)
            finally:
                with self._lock:
                    self._call_next()

    def _wait(self, source: str, *, is_known: bool) -> None:
        place = Place()
        with self._lock:
            if self._is_working:
                line = self._known if is_known else self._strangers
                line.setdefault(source, deque()).append(place)
                self._make_room(source)
            else:
                self._is_working = True
                place.called.set()
        place.called.wait()
        if place.turned_away:
            raise Busy("Too many passwords are waiting to be checked.")

    def _make_room(self, newcomer: str) -> None:
        lines = [line for line in (self._strangers, self._known) if line]
        if sum(len(places) for line in lines for places in line.values()) <= (
            self._length
        ):
            return
        line = lines[0]
        most = max(map(len, line.values()))
        source = newcomer
        if len(line.get(newcomer, ())) < most:
            source = next(key for key, places in line.items() if len(places) == most)
        last = line[source].pop()
        if not line[source]:
            del line[source]
        last.turned_away = True
        last.called.set()

    def _call_next(self) -> None:
        line = self._known or self._strangers
        if not line:
            self._is_working = False
            return
        source, places = line.popitem(last=False)
        places.popleft().called.set()
        if places:
            line[source] = places


def _beside_the_loop(function: Callable[[], T], is_awaited: bool) -> T:
    """Call it on a thread of its own where the server is a gevent loop.

    Its memory stays for those who wait for it; other servers have other threads, and
    glibc does there what it always does.
    """
    if not is_one_thread():
        return function()
    keep_hash(for_next=is_awaited)
    return _thread().apply(function)  # type: ignore[no-any-return]


@cache
def _thread() -> Any:
    # Here, because other servers run without it.
    from gevent.threadpool import ThreadPool  # noqa: PLC0415

    return ThreadPool(1)
