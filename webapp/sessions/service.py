"""Start, resume, save, rotate and end sessions.

The record in the database is the authority; the store has a fast copy of it. What is
in the store may vanish at any time and nobody is logged out. What has ended in the
database is over, whatever the store says.
"""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import OperationalError

from webapp import clock
from webapp.database import Database, briefly
from webapp.errors import NotFound, SessionOver, StoreUnavailable
from webapp.hub import Hub
from webapp.sessions.copies import Copies, Copy, copy_of, lasting, merge
from webapp.sessions.everybodys import BATCH
from webapp.sessions.models import SessionRecord, Timeouts
from webapp.sessions.records import Ended, Records, hash_id
from webapp.stores import Store

SAVE_ATTEMPTS = 100
BY_OPERATOR = "by the operator"


@dataclass(frozen=True)
class Origin:
    """Where a request comes from; `device_hash` is empty for an unknown browser."""

    address: str
    user_agent: str
    device_hash: str = ""


@dataclass(frozen=True)
class Policy:
    """How long sessions last, and how many a person can have."""

    usual: Timeouts
    kept: Timeouts
    trust: timedelta
    fresh_for: timedelta
    most: int


@dataclass(frozen=True)
class Started:
    """A session under a new ID; the only place where that can be read.

    `device` is for a cookie that tells this browser again, empty after a rotation.
    """

    session_id: str
    copy: Copy
    device: str = ""


class Sessions:
    """How long a browser stays logged in. Every verb is one transaction."""

    def __init__(
        self, database: Database, store: Store, policy: Policy, hub: Hub
    ) -> None:
        self._database = database
        self._hub = hub
        self._copies = Copies(store)
        self._policy = policy
        # A copy in one process's memory is not deleted by another.
        self._trust = policy.trust.total_seconds() if store.is_shared else 0.0
        self.records = Records(database, policy.usual, policy.kept)

    def start(
        self, user_id: int, origin: Origin, *, kept: bool = False, **data: Any
    ) -> Started:
        """Begin a session; once this returned its record is on the disk.

        The person's oldest session makes room where there are too many.
        """
        session_id, device = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        now = clock.now()
        record = SessionRecord(
            id_hash=hash_id(session_id),
            user_id=user_id,
            created_at=now,
            last_seen_at=now,
            confirmed_at=now,
            expires_at=now + self.records.timeouts(kept).lifetime,
            kept=kept,
            address=origin.address[:45],
            user_agent=origin.user_agent[:300],
            device_hash=hash_id(device),
        )
        with self._database.write():
            self._forget(self.records.make_room(user_id, self._policy.most))
            copy = copy_of(self.records.add(record), data)
            self._database.after_commit(lambda: self._add(copy))
            self._database.after_commit(lambda: self._hub.tell([user_id]))
        return Started(session_id, copy, device)

    def resume(self, session_id: str, *, is_used: bool = True) -> Copy | None:
        """Return the session with this ID, None when there is none or it is over.

        A page that asks by itself does not use it.
        """
        id_hash = hash_id(session_id)
        copy = self._copies.read(id_hash)
        if copy and self._is_trusted(copy):
            return copy
        return self._resume_from_record(id_hash, copy, is_used=is_used)

    def save(self, copy: Copy, data: dict[str, Any]) -> None:
        """Keep what this request changed, beside what others changed meanwhile.

        Raises StoreUnavailable when it cannot be kept. Keys that begin with an
        underscore are only notices (Flask's `_flashes`) or can be found out again:
        no page fails for them.
        """
        try:
            self._save(copy, data)
        except StoreUnavailable:
            if lasting(copy.data) != lasting(data):
                raise

    def has_copy(self, copy: Copy) -> bool:
        return self._copies.read(copy.id_hash) is not None

    def rotate(
        self, copy: Copy, data: dict[str, Any], *, confirmed: bool = False
    ) -> Started | None:
        """Give the session a new ID; the old one is nobody's from now on.

        What others save meanwhile goes along. `confirmed` notes that the password was
        given just now. None when the session is over or another request rotated it.
        """
        session_id = secrets.token_urlsafe(32)
        changes: dict[str, Any] = {"id_hash": hash_id(session_id)}
        fresh = copy.model_copy(update=changes | {"data": data})
        if confirmed:
            changes["confirmed_at"] = clock.now()
            fresh.confirmed_at = changes["confirmed_at"].timestamp()
        with self._database.write():
            if not self.records.rename(copy.id_hash, **changes):
                return None
            self._database.after_commit(lambda: self._move(copy, fresh))
        return Started(session_id, fresh)

    def is_fresh(self, copy: Copy) -> bool:
        """Tell whether the password was given lately enough for a sensitive act."""
        since = clock.timestamp() - copy.confirmed_at
        return since < self._policy.fresh_for.total_seconds()

    def end(self, copy: Copy, reason: str) -> None:
        """End one session. Neither its cookie nor a request in flight revives it."""
        self._end(reason, SessionRecord.id == copy.record_id)

    def is_alive(self, copy: Copy) -> bool:
        """Ask the record; a copy may be believed a little longer than it should."""
        record = self.records.find(copy.id_hash)
        return bool(record and not record.ended_at and not self.records.is_over(record))

    def require_alive(self, copy: Copy) -> None:
        """Raise SessionOver in a transaction of a session that ended meanwhile.

        Holds the record, so that nobody ends the session before the transaction does
        what it is for.
        """
        if not self.records.rename(copy.id_hash, id_hash=copy.id_hash):
            raise SessionOver("You were logged out from elsewhere. Log in again.")

    def end_one(self, copy: Copy, record_id: int, reason: str) -> None:
        """End one of the person's sessions; raises NotFound when it is not theirs."""
        with self._database.write():
            self.require_alive(copy)
            self.end_of_user(copy.user_id, record_id, reason)

    def end_of_user(self, user_id: int, record_id: int, reason: str) -> None:
        """End one session of the person; raises NotFound when it is not theirs."""
        mine = SessionRecord.user_id == user_id
        if not self._end(reason, mine, SessionRecord.id == record_id):
            raise NotFound("There is no such session, or it is over already.")

    def end_others(self, copy: Copy, reason: str) -> int:
        """End every session of the person but this one; tell how many."""
        with self._database.write():
            self.require_alive(copy)
            mine = SessionRecord.user_id == copy.user_id
            return self._end(reason, mine, SessionRecord.id != copy.record_id)

    def end_all(self, user_id: int, reason: str) -> int:
        """End every session of the person; tell how many."""
        return self._end(reason, SessionRecord.user_id == user_id)

    def end_everybodys(self, reason: str) -> int:
        """End all sessions there are; tell how many."""
        return self._end(reason)

    def purge(self, limit: int) -> int:
        """Forget up to `limit` sessions that were over long ago; tell how many."""
        return self.records.purge(limit)

    def _end(self, reason: str, *conditions: Any) -> int:
        ended = 0
        while True:
            with self._database.write():
                some = self.records.end(reason, *conditions)
                self._forget(some)
            ended += len(some)
            if len(some) < BATCH:
                return ended

    def _forget(self, ended: Sequence[Ended]) -> None:
        """Delete the copies once what was done to their records is on the disk."""

        def delete() -> None:
            for each in ended:
                self._copies.delete(each.id_hash)
            self._hub.tell({each.user_id for each in ended})

        self._database.after_commit(delete)

    def _is_trusted(self, copy: Copy) -> bool:
        now = clock.timestamp()
        idle = self.records.timeouts(copy.kept).idle.total_seconds()
        # Looked up often enough for the record to know that it is in use.
        trust = min(self._trust, idle / 4)
        since = max(self._copies.believed_since, now - trust)
        return (
            since < copy.checked_at <= now < copy.expires_at
            and now - copy.last_seen_at < idle
        )

    def _resume_from_record(
        self, id_hash: str, copy: Copy | None, *, is_used: bool = True
    ) -> Copy | None:
        record = self.records.find(id_hash)
        if record is None or record.ended_at or self.records.is_over(record):
            if record and not record.ended_at:
                with suppress(OperationalError), briefly():
                    self._end("timed out", SessionRecord.id == record.id)
            if copy:
                self._copies.delete(id_hash)
            return None
        fresh = copy_of(record, copy.data if copy else {}, id_hash)
        if not is_used:
            return fresh
        fresh.last_seen_at = self.records.touch(record).timestamp()
        if copy:
            with suppress(StoreUnavailable):
                self._replace(fresh, copy)
        else:
            self._add(fresh)
        return fresh

    def _save(self, copy: Copy, data: dict[str, Any]) -> None:
        found: Copy | None = copy
        for _ in range(SAVE_ATTEMPTS):
            if found is None:
                # Deleted meanwhile: over, rotated, or only thrown out of the store.
                id_hash = self.records.hash_of(copy.record_id)
                found = self._resume_from_record(id_hash, None) if id_hash else None
                if found is None:
                    return
            merged = merge(copy.data, data, found.data)
            if self._replace(found.model_copy(update={"data": merged}), found):
                return
            found = self._copies.read(found.id_hash, strict=True)
        raise StoreUnavailable("the copy of a session kept changing")

    def _move(self, old: Copy, fresh: Copy) -> None:
        """Put the copy of a rotated session in place, with what others have saved."""
        if left := self._copies.take(old.id_hash):
            fresh.data = merge(old.data, fresh.data, left.data)
        if not self._add(fresh):
            # Somebody who saves late was faster; or the store is away.
            with suppress(StoreUnavailable):
                self._save(fresh.model_copy(update={"data": {}}), fresh.data)

    def _add(self, copy: Copy) -> bool:
        """Put a missing copy in place; never one of a session that is over."""
        if not self._copies.add(copy, self.records.copy_timeout(copy.kept)):
            return False
        # Whoever ended it before this look is seen by it; whoever ends it afterwards
        # deletes this copy.
        record = self.records.find(copy.id_hash)
        if record is None or record.ended_at:
            self._copies.delete(copy.id_hash)
        return True

    def _replace(self, copy: Copy, expected: Copy) -> bool:
        timeout = self.records.copy_timeout(copy.kept)
        return self._copies.replace(copy, expected, timeout)
