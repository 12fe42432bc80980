"""Answers kept for `Idempotency-Key` (IETF draft): who asks again gets the same one.

The answer is written in the transaction that does what was asked. So a process that is
killed in between has done nothing, and the same request can be made again.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel
from sqlalchemy import (
    ColumnElement,
    CursorResult,
    ForeignKey,
    String,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from webapp import clock
from webapp.columns import BigId, UtcDateTime
from webapp.database import Database, Model
from webapp.encryption import Encryption
from webapp.entries.models import Value
from webapp.errors import InFlight, Invalid, KeyReused, Unreadable

KEPT = timedelta(hours=24)
# After this long without an answer its process is taken to be gone.
CLAIMED = timedelta(minutes=1)
# A string of RFC 9651, as the draft has it, or the bare word that many clients send.
KEY = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"|([\w.:~+/=-]{1,255})', re.ASCII)


class KeptAnswer(Model):
    """A request that came with a key, and its answer, once there is one."""

    __tablename__ = "kept_answers"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    # Of the key, and of who sent it.
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    # Of the request.
    fingerprint: Mapped[str] = mapped_column(String(64))
    # Which of several processes does it now.
    claim: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    answer: Mapped[str | None] = mapped_column(Value)


class Answer(BaseModel):
    """An answer as it was sent."""

    status: int
    headers: list[tuple[str, str]]
    body: str


@dataclass(frozen=True)
class Claim:
    """The right to do what was asked, which only one has."""

    key_hash: str
    claim: str


@dataclass(frozen=True)
class Asked:
    """A request with a key: whose it is, and hashes of both."""

    user_id: int
    key_hash: str
    fingerprint: str


def read_key(header: str) -> str:
    """Return the key that the header names; raises Invalid."""
    found = KEY.fullmatch(header.strip())
    if found is None:
        words = 'Send one key of 1 to 255 characters, like "8e03-97".'
        raise Invalid(**{"Idempotency-Key": words})
    return found[1] or found[2]


def hash_of(parts: Iterable[bytes]) -> str:
    """Hash the parts so that no two lists of them have the same."""
    found = hashlib.sha256()
    for part in parts:
        found.update(hashlib.sha256(part).digest())
    return found.hexdigest()


class Idempotency:
    """The answers kept, for a day each."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database = database
        self._encryption = encryption

    def begin(self, asked: Asked) -> Claim | Answer:
        """Return the answer there is, or the right to make it.

        Raises KeyReused for another request, InFlight while the first is under way, and
        Unreadable for an answer whose key this site has no more.
        """
        claim = Claim(asked.key_hash, secrets.token_hex(16))
        # Another process may be first, and give up again.
        for _ in range(2):
            with suppress(IntegrityError):
                return self._begin(asked, claim)
        raise _in_flight()

    def _begin(self, asked: Asked, claim: Claim) -> Claim | Answer:
        now = clock.now()
        mine = KeptAnswer.key_hash == asked.key_hash
        with self._database.write() as db:
            row = db.execute(
                select(*KeptAnswer.__table__.c).where(mine).with_for_update()
            ).first()
            if row and row.created_at > now - KEPT:
                if row.fingerprint != asked.fingerprint:
                    raise KeyReused("This Idempotency-Key came with another request.")
                if row.answer is not None:
                    return self._open(row.answer, asked.key_hash)
                if row.created_at > now - CLAIMED:
                    raise _in_flight()
            if row:
                # By its ID: there may be one by now that was not there a moment ago.
                db.execute(delete(KeptAnswer).where(KeptAnswer.id == row.id))
            db.execute(
                insert(KeptAnswer).values(
                    user_id=asked.user_id,
                    key_hash=asked.key_hash,
                    fingerprint=asked.fingerprint,
                    claim=claim.claim,
                    created_at=now,
                )
            )
        return claim

    def keep(self, claim: Claim, answer: Answer) -> None:
        """Keep the answer, in the transaction of what it tells of.

        Raises InFlight when this took so long that another began: nothing may be done.
        """
        with self._database.write() as db:
            kept = db.execute(
                update(KeptAnswer)
                .where(*_held(claim))
                .values(answer=self._seal(answer, claim.key_hash))
            )
            assert isinstance(kept, CursorResult)  # noqa: S101
            if not kept.rowcount:
                raise InFlight("This took too long. Ask again.")

    def give_up(self, claim: Claim) -> None:
        """Let the same request be made again, which was not answered."""
        with self._database.write() as db:
            db.execute(delete(KeptAnswer).where(*_held(claim)))

    def purge(self, limit: int) -> int:
        """Forget up to `limit` answers of more than a day ago; tell how many."""
        old = KeptAnswer.created_at < clock.now() - KEPT
        return self._database.delete_some(KeptAnswer.id, old, limit)

    def _seal(self, answer: Answer, key_hash: str) -> str:
        """Encrypt it where the site has keys: what it tells may have become secret."""
        text = answer.model_dump_json()
        if not self._encryption.fingerprints:
            return text
        return self._encryption.encrypt(text, ("answer", key_hash))

    def _open(self, kept: str, key_hash: str) -> Answer:
        text: str | None = kept
        if not kept.startswith("{"):  # As JSON does and no token.
            text = self._encryption.decrypt(kept, ("answer", key_hash))
        if text is None:
            raise Unreadable("It was answered, but that cannot be read any more.")
        return Answer.model_validate_json(text)


def _in_flight() -> InFlight:
    return InFlight("The first request is under way; wait and ask again.")


def _held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return (
        KeptAnswer.key_hash == claim.key_hash,
        KeptAnswer.claim == claim.claim,
        KeptAnswer.answer.is_(None),
    )
