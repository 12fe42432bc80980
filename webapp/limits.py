"""Named limits on what somebody may try, kept in the database: they survive a restart.

Each try is counted before the work it asks for, so that a hundred at once are no more
than a hundred one after the other; what succeeded is given back.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, String, bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from config.kinds import Rate
from config.settings import Settings
from webapp import clock, metrics
from webapp.columns import UtcDateTime
from webapp.database import Database, Model
from webapp.errors import TooMany

# A browser comes back to a fresh allowance after a day without a failure.
DELAY_FORGOTTEN = timedelta(days=1)
REMEMBERED = timedelta(seconds=1)
MOST_REMEMBERED = 10_000
FIRST_DELAY = timedelta(seconds=1)
# Each time another has got further, so many at once are not met.
TAKE_ATTEMPTS = 10

T = TypeVar("T")


@dataclass(frozen=True)
class Delay:
    """So many at once; each one after them waits twice as long as the one before."""

    free: int
    longest: timedelta


def table_of(settings: Settings) -> dict[str, Rate | Delay]:
    """Name every limit there is. docs/sessions.md says what each is for."""
    growing = Delay(settings.login_attempts, settings.login_longest_wait)
    return {
        "account": growing,
        "device": growing,
        "source": settings.login_limit_source,
        "everyone": settings.login_limit_everyone,
        "sign-up": settings.sign_up_limit_source,
        "api": settings.api_limit,  # Counted by webapp/api/rates.py.
    }


class LimitRecord(Model):
    """How far one limit is used up for one key."""

    __tablename__ = "limits"

    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    tries: Mapped[int]
    # Delay: when the next try may be. Rate: when all will have been made up for.
    free_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


# Compiled once: a flood asks this more often than anything else.
TABLE: Any = LimitRecord.__table__
FREE_AT = select(TABLE.c.key_hash, TABLE.c.free_at).where(
    TABLE.c.key_hash.in_(bindparam("hashes", expanding=True))
)
ITS_KEY = TABLE.c.key_hash == bindparam("hash")
LOCKED = select(TABLE).where(ITS_KEY).with_for_update()
GIVEN: dict[str, Any] = {
    name: bindparam(f"new_{name}") for name in ("tries", "free_at", "expires_at")
}
INSERT = TABLE.insert().values(key_hash=bindparam("hash"), **GIVEN)
UPDATE = TABLE.update().where(ITS_KEY).values(**GIVEN)
DELETE = TABLE.delete().where(ITS_KEY)


@dataclass
class Used:
    """How far a limit is used up, on its way to the row or from it."""

    tries: int
    free_at: datetime
    expires_at: datetime

    def row(self, key_hash: str) -> dict[str, Any]:
        given = {f"new_{name}": value for name, value in vars(self).items()}
        return {"hash": key_hash, **given}


@dataclass(frozen=True)
class Key:
    """One limit for one person, address or whatever it is counted by."""

    limit: str
    of: str = ""

    @property
    def hash(self) -> str:
        """Name the row; what people typed as a user name may be a password."""
        return hashlib.sha256(f"{self.limit}:{self.of}".encode()).hexdigest()


class Limits:
    """All limits of the application; `table` has each by its name."""

    def __init__(self, database: Database, table: Mapping[str, Rate | Delay]) -> None:
        self._database = database
        self._table = table
        # What was refused lately, so that a flood costs little.
        self._refused: dict[str, tuple[datetime, datetime]] = {}

    def check(self, keys: Sequence[Key]) -> None:
        """Raise TooMany when one of the keys is used up; writes nothing."""
        hashes = [key.hash for key in keys]
        self._check_remembered(keys, hashes)
        with self._database.read() as db:
            rows = db.execute(FREE_AT, {"hashes": hashes})
            found = {row.key_hash: row.free_at for row in rows}
        now = clock.now()
        for key, key_hash in zip(keys, hashes, strict=True):
            if free_at := found.get(key_hash):
                self._refuse_early(key, free_at, now)

    def _check_remembered(self, keys: Sequence[Key], hashes: Sequence[str]) -> None:
        """Refuse again without asking the database what it has just said."""
        now = clock.now()
        for key, key_hash in zip(keys, hashes, strict=True):
            free_at, believed_until = self._refused.get(key_hash, (now, now))
            wait = self._wait(key, free_at, now)
            if believed_until > now and wait > timedelta(0):
                raise _too_many(key, wait)

    def take(self, keys: Sequence[Key], beside: Callable[[Session], T]) -> T:
        """Count one try for each key, or none and raise TooMany.

        `beside` is called in the same transaction; what it returns is returned.
        """
        self.check(keys)
        for _ in range(TAKE_ATTEMPTS):
            # Another process may be the first to count for a key. Then there is a row,
            # unless that try was given back at once: it was right.
            with suppress(IntegrityError):
                return self._take(keys, beside)
        return self._take(keys, beside)

    def _take(self, keys: Sequence[Key], beside: Callable[[Session], T]) -> T:
        with self._database.write() as session:
            db, now = session.connection(), clock.now()
            for key_hash, key in _in_order(keys):
                used = _read(db, key_hash)
                write = UPDATE if used else INSERT
                if not used or used.expires_at < now:
                    used = Used(0, now, now)
                self._refuse_early(key, used.free_at, now)
                used.tries += 1
                self._count(self._table[key.limit], used, now)
                db.execute(write, used.row(key_hash))
            return beside(session)

    def give_back(self, keys: Sequence[Key], *, was_right: bool = True) -> None:
        """Uncount a try; after one that was right a Delay starts anew."""
        with self._database.write() as session:
            db = session.connection()
            for key_hash, key in _in_order(keys):
                self._refused.pop(key_hash, None)
                limit = self._table[key.limit]
                used = _read(db, key_hash)
                if used is None:
                    continue
                used.tries -= 1
                if not isinstance(limit, Delay):
                    used.free_at -= limit.period / limit.burst
                else:
                    used.free_at = clock.now()
                    used.tries *= not was_right
                db.execute(UPDATE if used.tries else DELETE, used.row(key_hash))

    def purge(self, limit: int) -> int:
        """Forget up to `limit` records that hold nobody back any more."""
        over = LimitRecord.expires_at < clock.now()
        return self._database.delete_some(LimitRecord.key_hash, over, limit)

    def _refuse_early(self, key: Key, free_at: datetime, now: datetime) -> None:
        wait = self._wait(key, free_at, now)
        if wait > timedelta(0):
            if len(self._refused) >= MOST_REMEMBERED:
                self._refused.clear()
            self._refused[key.hash] = (free_at, now + REMEMBERED)
            raise _too_many(key, wait)

    def _wait(self, key: Key, free_at: datetime, now: datetime) -> timedelta:
        limit = self._table[key.limit]
        if _is_ahead(limit, free_at, now):
            return timedelta(0)
        if isinstance(limit, Delay):
            return free_at - now
        # Generic cell rate algorithm: a try fits while what is not yet made up for,
        # and this one, are together no more than the burst.
        return free_at - now - limit.period / limit.burst * (limit.burst - 1)

    def _count(self, limit: Rate | Delay, used: Used, now: datetime) -> None:
        if isinstance(limit, Delay):
            used.free_at = now + _delay(limit, used.tries)
            used.expires_at = used.free_at + DELAY_FORGOTTEN
        else:
            is_ahead = _is_ahead(limit, used.free_at, now)
            start = now if is_ahead else max(used.free_at, now)
            used.free_at = start + limit.period / limit.burst
            used.expires_at = used.free_at


def _in_order(keys: Sequence[Key]) -> list[tuple[str, Key]]:
    """In one order: two who take the same keys never wait for each other."""
    return sorted(((key.hash, key) for key in keys), key=itemgetter(0))


def _read(db: Connection, key_hash: str) -> Used | None:
    """Read the row, and hold it where a database locks rows."""
    row = db.execute(LOCKED, {"hash": key_hash}).first()
    return Used(row.tries, row.free_at, row.expires_at) if row else None


def _delay(limit: Delay, tries: int) -> timedelta:
    if tries < limit.free:
        return timedelta(0)
    # 2**30 s is longer than any delay that can be set.
    doublings = min(tries - limit.free, 30)
    return min(FIRST_DELAY * float(2**doublings), limit.longest)


def _is_ahead(limit: Rate | Delay, free_at: datetime, now: datetime) -> bool:
    """Tell whether it can only be from a clock that was ahead, rounding left aside."""
    longest = limit.longest if isinstance(limit, Delay) else limit.period
    return free_at - now > longest + timedelta(seconds=1)


def _too_many(key: Key, wait: timedelta) -> TooMany:
    metrics.LIMITED.labels(key.limit).inc()
    return TooMany(math.ceil(wait.total_seconds()))
