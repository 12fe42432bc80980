"""Look a new password up among those known from data breaches, failing open.

Nobody is told which it is: see range_api.py.
"""

import hashlib
import logging
import re
import time
from threading import BoundedSemaphore

from requests.utils import get_environ_proxies

from webapp import metrics
from webapp.accounts.range_api import (
    KeptAnswer,
    Question,
    explain,
    trusting_context,
)
from webapp.stores import Store

# After a failure nobody asks for so long: one sign-up in 30 s waits in vain.
PAUSE = 30.0
WARNING_INTERVAL = 60.0
# Connections to the API; whoever comes while all are taken does without.
AT_ONCE = 20
SENT = 5
log = logging.getLogger(__name__)


class Breaches:
    """Asks the API, at most for a second, and never fails: then nothing is known."""

    def __init__(self, url: str, store: Store) -> None:
        """Take the URL that the five characters are put behind, and a store."""
        self._url = url
        self._store = store
        self._proxies = get_environ_proxies(url)
        self._tls = trusting_context() if url.startswith("https:") else None
        self._places = BoundedSemaphore(AT_ONCE)
        self._paused_until = 0.0
        self._quiet_until = 0.0

    def has(self, password: str) -> bool:
        """Tell whether the password is known; where nobody can say, it is not."""
        sha1 = hashlib.sha1(password.encode(), usedforsecurity=False)
        digest = sha1.hexdigest().upper()
        lines = self._ask(digest[:SENT])
        if lines is None:
            result = "unavailable"
        else:
            result = "breached" if _is_among(digest[SENT:], lines) else "clean"
        metrics.BREACH_CHECKS.labels(result).inc()
        return result == "breached"

    def _ask(self, prefix: str) -> bytes | None:
        if not self._may_ask() or not self._places.acquire(blocking=False):
            return None
        address = self._url + prefix
        kept = KeptAnswer(self._store, f"breaches:{address}")
        try:
            lines = Question(kept, self._tls, self._proxies).ask(address)
        # Whatever it is: nobody's sign-up fails because of another server.
        except Exception as error:  # noqa: BLE001
            kept.delete()
            self._pause(explain(error))
            return None
        finally:
            self._places.release()
        self._paused_until = 0.0
        return lines

    def _may_ask(self) -> bool:
        now = time.monotonic()
        if now < self._paused_until:
            return False
        if self._paused_until:
            # One asks again; the others do not wait for its answer.
            self._paused_until = now + PAUSE
        return True

    def _pause(self, reason: str) -> None:
        now = time.monotonic()
        self._paused_until = now + PAUSE
        if now >= self._quiet_until:
            self._quiet_until = now + WARNING_INTERVAL
            log.warning(
                "New passwords are not looked for in breaches. %s: %s",
                self._url,
                reason,
            )


def _is_among(rest: str, lines: bytes) -> bool:
    """Tell whether a line has it, with a count: padding has none."""
    pattern = rb"^%b:0*[1-9]" % rest.encode()
    return re.search(pattern, lines, re.MULTILINE | re.IGNORECASE) is not None
