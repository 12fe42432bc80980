"""Twenty who guess passwords without a pause, as a process of their own.

`python -m tests.faults.attackers URL KIND` goes on until its input ends, then prints
how often each status was answered. In the tests' own process they would take its time
from those who measure.
"""

import json
import sys
import threading
from collections import Counter
from itertools import count

import httpx

ATTACKERS = 20
_guesses, _sources = count(), count()


def _address(kind: str, attacker: int) -> str:
    match kind:
        case "one source":
            return "203.0.113.7"
        case "a source each":
            return f"203.0.113.{attacker}"
        case _:
            number = next(_sources)
            return f"100.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def _guess(url: str, kind: str, attacker: int, over: threading.Event) -> None:
    with httpx.Client(base_url=url, timeout=30) as client:
        while not over.is_set():
            number = next(_guesses)
            name = "reader" if number % 2 else f"nobody-{number}"
            answer = client.post(
                "/login",
                data={"name": name, "password": f"guess number {number}"},
                headers={
                    "Sec-Fetch-Site": "same-origin",
                    "X-Forwarded-For": _address(kind, attacker),
                },
            )
            answers[answer.status_code] += 1


answers: Counter[int] = Counter()
if __name__ == "__main__":
    over = threading.Event()
    threads = [
        threading.Thread(target=_guess, args=[*sys.argv[1:3], number, over])
        for number in range(ATTACKERS)
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps(answers))
