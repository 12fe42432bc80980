"""Asks Vault or AWS Secrets Manager for secrets, in a process that is gone afterwards.

Here hvac and boto3 would stay, 7 and 20 MB, with a urllib3 that no longer speaks TLS
once gevent's worker has patched `ssl`.
"""

import json
import logging
import multiprocessing
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

from config.mistakes import Unavailable, Unreachable

NAMES = {"vault": "Vault", "aws": "AWS Secrets Manager"}
# A request is given up after 1 or 2 s. This is for what no library limits: a silent
# name server, an answer that trickles. A busy machine needs some of it to load them.
LONGEST = 10.0
# By any other means Python would be started, which in uWSGI is not known where to find.
FORK = multiprocessing.get_context("fork")


class Wanted(NamedTuple):
    """The current version of a secret, or its former ones, newest first."""

    place: str
    path: str
    former: bool = False


# The versions (the current one alone is a list too), or why they cannot be had.
Answer = list[Any] | str


class Place(Protocol):
    def current(self, path: str) -> Any: ...

    def former(self, path: str) -> list[Any]:
        """Return those that can still be read, newest first."""
        ...


def ask(
    place: str, variables: Mapping[str, str], wanted: list[Wanted]
) -> dict[Wanted, Answer]:
    """Return all of them within some seconds, whatever becomes of the place."""
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_answer, args=(place, variables, wanted, sender))
    process.start()
    sender.close()
    try:
        if receiver.poll(LONGEST):
            return dict(zip(wanted, json.loads(receiver.recv_bytes()), strict=True))
        reason = f"{NAMES[place]} did not answer within {LONGEST:g} s"
    except EOFError:
        reason = f"the process that asked {NAMES[place]} was killed"
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()
    return dict.fromkeys(wanted, reason)


def _answer(
    place: str, variables: Mapping[str, str], wanted: list[Wanted], sender: Connection
) -> None:
    # Whatever the libraries have to say about requests and answers.
    logging.disable()
    answers: list[Answer] = []
    try:
        opened = open_place(place, variables)
        answers += [_versions(opened, each) for each in wanted]
    except Unavailable as reason:
        answers = [str(reason)] * len(wanted)
    except Exception as error:  # noqa: BLE001 - its text may have a secret in it
        answers = [f"{NAMES[place]}: {type(error).__name__}"] * len(wanted)
    sender.send_bytes(json.dumps(answers).encode())


def open_place(place: str, variables: Mapping[str, str]) -> Place:
    try:
        if place == "vault":
            from config.vault import Vault  # noqa: PLC0415

            return Vault(variables)
        from config.aws import SecretsManager  # noqa: PLC0415

        return SecretsManager()
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"{NAMES[place]} needs {error.name}, of the extra `{place}`: run "
            "`bin/setup extras` or `pip install -r requirements-extras.txt`"
        ) from None


def _versions(place: Place, wanted: Wanted) -> Answer:
    try:
        if wanted.former:
            return place.former(wanted.path)
        return [place.current(wanted.path)]
    except Unreachable:
        raise
    except Unavailable as reason:
        return str(reason)
