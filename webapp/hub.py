"""Wakes whoever waits for news of a person, in this process and in others.

What the news are is read from the records: a message that is lost or comes twice does
no harm, and whoever was away looks for themselves.
"""

import logging
import resource
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from webapp import metrics
from webapp.errors import StoreUnavailable, Unheard

# Seconds between two tries to hear other processes again.
RETRY = 2.0
# Of one person the oldest makes room: it may be a page that was left. Beyond what all
# may be, each with a connection that is open, one has to come back for news.
MOST_OF_ONE = 20
MOST = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4

log = logging.getLogger(__name__)


@runtime_checkable
class Channel(Protocol):
    """What takes messages from one process to all others, while they listen."""

    def tell(self, message: str) -> None:
        """Send to whoever hears; raises StoreUnavailable, or Unheard where refused."""

    def hear(self) -> Iterator[str | None]:
        """Give each message, and None for each while without one.

        The first None says that from now on all are heard. Raises as `tell`.
        """


class Waiter:
    """Somebody who waits for news; `is_dismissed` when they should not wait again."""

    def __init__(self) -> None:
        self._news = threading.Event()
        self._dismissed = threading.Event()

    @property
    def is_dismissed(self) -> bool:
        return self._dismissed.is_set()

    def rest(self, seconds: float) -> None:
        """Hear no news for a while, unless dismissed."""
        self._dismissed.wait(seconds)

    def wait(self, seconds: float) -> bool:
        """Return at the first news since the last wait; tell whether there are any."""
        found = self._news.wait(seconds)
        self._news.clear()
        return found

    def wake(self) -> None:
        self._news.set()

    def dismiss(self) -> None:
        self._dismissed.set()
        self._news.set()


class Hub:
    """Who waits for news of whom."""

    def __init__(self, channel: Channel | None = None) -> None:
        self._channel = channel
        self._name = secrets.token_hex(8)
        self._waiting: dict[int, list[Waiter]] = {}
        self._hearing: threading.Thread | None = None
        self._trouble = ""
        self.is_closed = False

    def tell(self, user_ids: Iterable[int]) -> None:
        """Say that there is something new of these people."""
        user_ids = list(user_ids)
        self._wake(user_ids)
        if self._channel and user_ids:
            message = " ".join([self._name, *map(str, user_ids)])
            self._try(lambda channel: channel.tell(message), self._channel)

    @contextmanager
    def waiting(self, user_id: int) -> Iterator[Waiter | None]:
        """Let somebody wait for news of the person; None where there is no room."""
        if self.is_closed or self.count() >= MOST:
            yield None
            return
        waiting = self._waiting.setdefault(user_id, [])
        for oldest in waiting[: 1 - MOST_OF_ONE]:
            oldest.dismiss()
        waiter = Waiter()
        waiting.append(waiter)
        self._begin_to_hear()
        metrics.OPEN_PAGES.inc()
        try:
            yield waiter
        finally:
            metrics.OPEN_PAGES.dec()
            waiting.remove(waiter)
            if not waiting:
                del self._waiting[user_id]

    def count(self) -> int:
        """Tell how many wait."""
        return sum(map(len, self._waiting.values()))

    def close(self) -> None:
        """Let nobody wait any more: the process is about to end."""
        self.is_closed = True
        for waiting in self._waiting.values():
            for waiter in waiting:
                waiter.dismiss()

    def _wake(self, user_ids: Iterable[int]) -> None:
        for user_id in list(user_ids):
            for waiter in self._waiting.get(user_id, ()):
                waiter.wake()

    def _begin_to_hear(self) -> None:
        if self._channel and self._hearing is None:
            # Not before somebody waits, and so in the worker and not before its fork.
            self._hearing = threading.Thread(
                target=self._hear, args=(self._channel,), daemon=True, name="news"
            )
            self._hearing.start()

    def _hear(self, channel: Channel) -> None:
        while not self.is_closed:
            self._try(self._hear_until_cut, channel)
            time.sleep(RETRY)

    def _hear_until_cut(self, channel: Channel) -> None:
        is_first = True
        for message in channel.hear():
            if self.is_closed:
                return
            if is_first:
                # What was said before is not heard any more.
                self._wake(self._waiting)
                self._trouble, is_first = "", False
            teller, *user_ids = (message or self._name).split()
            if teller != self._name:
                self._wake(int(each) for each in user_ids if each.isdecimal())

    def _try(self, action: Callable[[Channel], None], channel: Channel) -> None:
        """Say once what is refused; of a store that is away the log has a word."""
        try:
            action(channel)
        except Unheard as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.warning("Open pages see late what other processes do. %s", error)
        except StoreUnavailable:
            pass


def open_hub(*stores: object) -> Hub:
    """Make the hub that speaks through the first of the stores that can."""
    channels = (store for store in stores if isinstance(store, Channel))
    return Hub(next(channels, None))
