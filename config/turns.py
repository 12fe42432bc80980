"""Whose request is next when several are there: one of each source in turn.

A process with one core serves one request after the other. In the order they arrive,
whoever asks a thousand times has a thousand turns before yours.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Any

from gevent.hub import Waiter
from werkzeug.http import parse_list_header

from config.addresses import without_port


class Turns:
    """At most one request begins in each round of the loop, which then looks who came.

    A request that waits for the network keeps nobody from beginning.
    """

    def __init__(self, loop: Any) -> None:
        # After 0 seconds: in the next round.
        self._next_round = loop.timer(0)
        self._is_taken = False
        # The source that was served longest ago comes first.
        self._waiting: OrderedDict[str, deque[Any]] = OrderedDict()

    def wait(self, source: str) -> None:
        """Return when it is this source's turn."""
        if not self._is_taken:
            self._is_taken = True
            self._next_round.start(self._call_next)
            return
        place = Waiter()
        self._waiting.setdefault(source, deque()).append(place)
        place.get()

    def _call_next(self) -> None:
        if not self._waiting:
            self._is_taken = False
            return
        source, places = self._waiting.popitem(last=False)
        place = places.popleft()
        if places:
            self._waiting[source] = places
        self._next_round.start(self._call_next)
        place.switch(None)


def source_of(
    headers: Iterable[tuple[str, str]], address: tuple[str, int] | str, proxies: int
) -> str:
    """Tell who asks: whom Werkzeug's ProxyFix would take for them as well."""
    if proxies:
        named = [value for name, value in headers if name == "X-FORWARDED-FOR"]
        sources = parse_list_header(",".join(named))
        if len(sources) >= proxies and (source := sources[-proxies]):
            return without_port(source)
    # On a Unix socket there is no address.
    return address[0] if address else ""
