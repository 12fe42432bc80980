"""Tokens by which a person's programs get in. Only the hash of one is kept."""

import logging
import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, and_, bindparam, or_, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from webapp import clock
from webapp.accounts.history import History
from webapp.accounts.inputs import NewToken
from webapp.accounts.models import Token, User
from webapp.database import AnyRow, Database, briefly
from webapp.errors import InvalidToken, NotFound, QuotaReached, Taken
from webapp.sessions.copies import Copy
from webapp.sessions.records import HISTORY, SEEN_INTERVAL, hash_id
from webapp.sessions.service import Origin, Sessions

TOKEN = re.compile(r"hf_[A-Za-z0-9_-]{43}")
MOST, MOST_OVER = 50, 100
REVOKED = "revoked"
NOT_VALID = "This token is unknown, revoked or expired. Make another on the token page."

BY_HASH = (
    select(*Token.__table__.c)
    .join(User, User.id == Token.user_id)
    .where(
        Token.token_hash == bindparam("token_hash"),
        Token.ended_at.is_(None),
        User.disabled_at.is_(None),
    )
)
OF_USER = select(*Token.__table__.c).where(Token.user_id == bindparam("user_id"))
log = logging.getLogger(__name__)


class Tokens:
    """The API tokens of all people. Every verb is one transaction."""

    def __init__(
        self, database: Database, sessions: Sessions, history: History
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._history = history

    def make(self, copy: Copy, new: NewToken, origin: Origin) -> str:
        """Return a new token, which can be read nowhere else.

        Raises Taken for its name, QuotaReached, SessionOver.
        """
        token = f"hf_{secrets.token_urlsafe(32)}"
        now = clock.now()
        with self._database.write() as db:
            self._sessions.require_alive(copy)
            self._check_room(copy.user_id, new.name)
            db.add(
                Token(
                    user_id=copy.user_id,
                    token_hash=hash_id(token),
                    name=new.name,
                    can_write=new.access == "write",
                    can_read_secrets=new.secrets,
                    key_prefix=new.prefix,
                    created_at=now,
                    expires_at=_expiry(new, now),
                )
            )
            self._history.note(db, copy.user_id, "token made", origin, new.name)
        return token

    def find(self, token: str) -> AnyRow:
        """Return what the token may do; raises InvalidToken also when it is over."""
        if TOKEN.fullmatch(token):
            with self._database.read() as db:
                row = db.execute(BY_HASH, {"token_hash": hash_id(token)}).first()
            if row and not is_over(row):
                return row
        raise InvalidToken(NOT_VALID)

    def touch(self, row: AnyRow, origin: Origin) -> None:
        """Note when and from where it was used, once a minute at most."""
        now, last = clock.now(), row.last_used_at
        if last and timedelta(0) <= now - last < SEEN_INTERVAL:
            return
        used = update(Token).where(Token.id == row.id)
        try:
            with briefly(), self._database.write() as db:
                db.execute(
                    used.values(
                        last_used_at=now,
                        address=origin.address[:45],
                        user_agent=origin.user_agent[:300],
                    )
                )
        except OperationalError as error:
            # A full disk is no reason to refuse reading.
            log.warning("The time a token was used was not kept: %s", error.orig)

    def revoke(self, copy: Copy, token_id: int, origin: Origin) -> None:
        """End one of the person's tokens at once; raises NotFound, SessionOver."""
        with self._database.write() as db:
            self._sessions.require_alive(copy)
            mine = (Token.user_id == copy.user_id, Token.id == token_id)
            name = db.scalar(select(Token.name).where(*mine))
            if not _end(db, REVOKED, *mine):
                raise NotFound("There is no such token, or it is over already.")
            self._history.note(db, copy.user_id, "token revoked", origin, str(name))

    def revoke_all(self, user_id: int, reason: str) -> int:
        """End all tokens of the person; tell how many."""
        with self._database.write() as db:
            return _end(db, reason, Token.user_id == user_id)

    def of_user(self, user_id: int) -> tuple[Sequence[AnyRow], Sequence[AnyRow]]:
        """Return the person's tokens, newest first: those that work, and those over."""
        rows = self._rows(user_id)
        over = [row for row in rows if is_over(row)]
        return [row for row in rows if not is_over(row)], over[:MOST_OVER]

    def export(self, user_id: int) -> Iterator[dict[str, Any]]:
        """Give the person's tokens one by one, as JSON can say them."""
        for row in self._rows(user_id):
            kept = row._asdict()
            for name in ("id", "user_id", "token_hash"):
                del kept[name]
            yield {
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in kept.items()
            }

    def purge(self, limit: int) -> int:
        """Forget up to `limit` tokens that were over long ago; tell how many."""
        long_ago = clock.now() - HISTORY
        old = or_(Token.ended_at < long_ago, Token.expires_at < long_ago)
        return self._database.delete_some(Token.id, old, limit)

    def _rows(self, user_id: int) -> Sequence[AnyRow]:
        with self._database.read() as db:
            newest_first = OF_USER.order_by(Token.id.desc())
            return db.execute(newest_first, {"user_id": user_id}).all()

    def _check_room(self, user_id: int, name: str) -> None:
        alive, _ = self.of_user(user_id)
        if any(row.name == name for row in alive):
            raise Taken(name="You have a token of this name already.")
        if len(alive) >= MOST:
            raise QuotaReached(name=f"You have {MOST} tokens. Revoke one first.")


def is_over(row: AnyRow) -> bool:
    return over_at(row) is not None


def over_at(row: AnyRow) -> datetime | None:
    """When it was revoked or expired; None for one that works."""
    if row.ended_at:
        return row.ended_at  # type: ignore[no-any-return]
    return row.expires_at if row.expires_at and row.expires_at <= clock.now() else None


def _expiry(new: NewToken, now: datetime) -> datetime | None:
    if new.expires == "never":
        return None
    if new.on is not None:
        return new.last_moment
    return now + timedelta(days=int(new.expires))


def _end(db: Session, reason: str, *conditions: Any) -> int:
    """End the tokens meant that work; what expired before was over already."""
    now = clock.now()
    alive = and_(
        Token.ended_at.is_(None),
        or_(Token.expires_at.is_(None), Token.expires_at > now),
    )
    ended = db.execute(
        update(Token).where(alive, *conditions).values(ended_at=now, end_reason=reason)
    )
    assert isinstance(ended, CursorResult)  # noqa: S101
    return ended.rowcount
