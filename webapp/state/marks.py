"""Marks that every start leaves in each place, to prove what the places outlive.

A start looks for the mark of the one before it. A place where it is still there has
outlived that process: a restart; a crash, when the process ended without a word; a
redeploy, when it was of another release or on another host.
"""

import os
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from sqlalchemy import Connection, String, Text, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from webapp import clock
from webapp.database import Database, Model
from webapp.errors import StoreUnavailable
from webapp.stores import Store

KEY = "mark"
BOOT = Path("/proc/sys/kernel/random/boot_id")

Event = Literal["restart", "crash", "redeploy"]


class MarkRecord(Model):
    """The mark in the database, and beside it what a move notes."""

    __tablename__ = "marks"

    name: Mapped[str] = mapped_column(String(30), primary_key=True)
    content: Mapped[str] = mapped_column(Text)


class Run(BaseModel):
    """One process that serves, told from every other; times in seconds since 1970.

    `born` is when the process began, in clock ticks since the boot; 0 where the system
    does not tell.
    """

    id: str
    release: str
    host: str
    boot: str
    pid: int
    born: int = 0
    started_at: float

    def is_gone(self, now: "Run") -> bool:
        """Tell whether it is known to be over; elsewhere nobody can look."""
        if self.host != now.host:
            return False
        if self.boot != now.boot or self.pid == now.pid:
            return True
        return not _is_alive(self.pid, self.born)


class Mark(BaseModel):
    """What a run leaves in a place.

    `places` says where this run left the others, so that one that was lost is missed.
    `proven` and `lost_at` are the place's own story, handed on from run to run.
    """

    run: Run
    has_ended: bool = False
    follows: str = ""
    places: dict[str, str] = {}
    proven: dict[Event, float] = {}
    lost_at: float | None = None

    def prove(self, before: "Mark") -> None:
        """Note what this place outlived: the run before, which is over."""
        now = clock.timestamp()
        self.lost_at = None
        self.proven["restart"] = now
        if not before.has_ended:
            self.proven["crash"] = now
        if (before.run.release, before.run.host) != (self.run.release, self.run.host):
            self.proven["redeploy"] = now


class Keeper(Protocol):
    """Where one mark is kept; both verbs may raise UNREACHABLE."""

    place: str

    def read(self) -> Any: ...

    def write(self, mark: Mark) -> None: ...


UNREACHABLE = (StoreUnavailable, SQLAlchemyError)


class InDatabase:
    """Keeps it as a row."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.place = database.place

    def read(self) -> Any:
        with self._database.read() as db, suppress(ValueError):
            content = content_of(db, KEY)
            return from_json(content) if content else None
        return None

    def write(self, mark: Mark) -> None:
        with self._database.write() as db:
            db.merge(MarkRecord(name=KEY, content=mark.model_dump_json()))


def content_of(connection: Connection, name: str) -> str | None:
    """Return what is kept in the database under this name."""
    return connection.scalar(select(MarkRecord.content).where(MarkRecord.name == name))


class InStore:
    """Keeps it beside the values; it never expires."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.place = store.place

    def read(self) -> Any:
        return self._store.get(KEY)

    def write(self, mark: Mark) -> None:
        self._store.set(KEY, mark.model_dump(), 0)


class Marks:
    """The marks of one run, by the kind of state that is kept in each place."""

    def __init__(self, keepers: Mapping[str, Keeper], run: Run) -> None:
        self._keepers = keepers
        self._run = run

    def read(self, *left_out: str) -> dict[str, Mark | None]:
        """Return what is in each place; None where nothing is, or nobody answers."""
        found: dict[str, Mark | None] = {}
        for state in self._keepers:
            if state in left_out:
                continue
            with suppress(*UNREACHABLE):
                found[state] = self._read(state)
        return dict.fromkeys(self._keepers) | found

    def begin(self) -> dict[str, Mark]:
        """Look for the marks of the run before, and leave those of this one."""
        found: dict[str, Mark | None] = {}
        for state in self._keepers:
            with suppress(*UNREACHABLE):
                found[state] = self._read(state)
        marks = {state: self._follow(state, found) for state in found}
        for state in [state for state in marks if not self._write(state, marks[state])]:
            # Nobody may miss tomorrow what could not be left today.
            del marks[state]
            for other, mark in marks.items():
                mark.places.pop(state, None)
                self._write(other, mark)
        return marks

    def end(self) -> None:
        """Note that this run ended in order; of what follows it already, the proof."""
        for state in self._keepers:
            with suppress(*UNREACHABLE):
                mark = self._read(state)
                if mark is None:
                    continue
                if mark.run.id == self._run.id:
                    mark.has_ended = True
                elif mark.follows == self._run.id:
                    # A new release began beside this one and found this one's mark.
                    mark.prove(Mark(run=self._run, has_ended=True))
                else:
                    continue
                self._write(state, mark)

    def _follow(self, state: str, found: Mapping[str, Mark | None]) -> Mark:
        places = {name: self._keepers[name].place for name in found}
        mark = Mark(run=self._run, places=places)
        before = found[state]
        if before is None:
            others = [other for other in found.values() if other]
            if any(other.places.get(state) == places[state] for other in others):
                mark.lost_at = self._run.started_at
            return mark
        mark.follows = before.run.id
        mark.proven, mark.lost_at = dict(before.proven), before.lost_at
        if before.has_ended or before.run.is_gone(self._run):
            mark.prove(before)
        return mark

    def _read(self, state: str) -> Mark | None:
        with suppress(ValidationError):
            return Mark.model_validate(self._keepers[state].read())
        return None

    def _write(self, state: str, mark: Mark) -> bool:
        try:
            self._keepers[state].write(mark)
        except UNREACHABLE:
            return False
        return True


def this_run(release: str) -> Run:
    """Describe the process in hand; each call is another run."""
    boot = ""
    with suppress(OSError):
        boot = BOOT.read_text().strip()
    return Run(
        id=secrets.token_hex(8),
        release=release,
        host=socket.gethostname(),
        boot=boot,
        pid=os.getpid(),
        born=_look_at(os.getpid())[1],
        started_at=clock.timestamp(),
    )


def _is_alive(pid: int, born: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # Somebody else's, and there.
        pass
    # A zombie still takes signals, and numbers of processes come again.
    state, began = _look_at(pid)
    return state not in "ZX" and (0 in (born, began) or born == began)


def _look_at(pid: int) -> tuple[str, int]:
    """Return a letter for what the process does, and when it began; see proc(5)."""
    with suppress(OSError):
        # The name of the program comes first, in brackets that it may hold too.
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return told[0], int(told[19])
    return "?", 0
