"""Whoever a limit refuses waits for that answer, so that a flood comes slower.

A refusal costs a millisecond of the only core, and whoever guesses without a pause asks
again as soon as it has come: twenty of them would leave people half of the core.
"""

import time

from flask import Flask, Response

from webapp.pace import is_one_thread

# Seconds; people who are told to wait do not notice.
HELD = 0.25
# Answers that are held at the same time; what comes beyond is answered at once.
MOST = 500


def init_holding(app: Flask) -> None:
    """Hold an answer that refuses after everything else that is done to answers."""
    held = 0

    def hold(response: Response) -> Response:
        nonlocal held
        # Elsewhere each would hold a thread that people need.
        if response.status_code == 429 and held < MOST and is_one_thread():
            held += 1
            try:
                time.sleep(HELD)
            finally:
                held -= 1
        return response

    # What is first in this list is called last.
    app.after_request_funcs.setdefault(None, []).insert(0, hold)
