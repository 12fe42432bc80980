"""Sign up, log in, confirm, change and delete an account; what the operator does."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp import clock
from webapp.accounts.authentication import Authentication, Overtaken
from webapp.accounts.history import PASSWORD_CHANGED, Happening, LastTime
from webapp.accounts.inputs import Credentials, NewAccount, NewPassword
from webapp.accounts.models import NO_CODE, User
from webapp.accounts.passwords import NO_PASSWORD
from webapp.accounts.tokens import Tokens
from webapp.cache import CachedValues
from webapp.database import Database
from webapp.errors import Invalid, NotFound, Taken
from webapp.sessions.copies import Copy
from webapp.sessions.service import BY_OPERATOR, Origin, Sessions, Started

OPERATOR = Origin("", "the operator")
ALL = select(
    User.id,
    User.name,
    User.created_at,
    User.disabled_at,
    (User.password_hash != NO_PASSWORD).label("has_password"),
)


@dataclass(frozen=True)
class Account:
    """A person, as other parts of the application know them."""

    id: int
    name: str
    created_at: datetime
    disabled_at: datetime | None
    has_password: bool


class Accounts:
    """Who the users are. Every verb is one transaction."""

    def __init__(
        self,
        database: Database,
        authentication: Authentication,
        sessions: Sessions,
        cached: CachedValues,
        tokens: Tokens,
    ) -> None:
        self._database = database
        self._authentication = authentication
        self._passwords = authentication.passwords
        self._history = authentication.history
        self._sessions = sessions
        self._cached = cached
        self._tokens = tokens
        # What deletes the most of what a person has, in steps.
        self.clearing: list[Callable[[int], object]] = []

    def sign_up(self, wanted: NewAccount, origin: Origin) -> Started:
        """Make an account for a visitor and log them in; raises as `create`."""
        account = self.create(wanted, origin)
        return self._sessions.start(
            account.id, origin, kept=wanted.keep, _name=account.name
        )

    def create(self, wanted: NewAccount, origin: Origin = OPERATOR) -> Account:
        """Make an account; raises Taken, Invalid for the password, TooMany or Busy."""
        self._passwords.check_new(wanted.password, wanted.name)
        if origin is OPERATOR:
            hashed = self._passwords.hash_new(wanted.password, origin.address)
        else:
            hashed = self._authentication.hash_for_sign_up(wanted.password, origin)
        return self.add(wanted.name, hashed)

    def add(self, name: str, hashed: str) -> Account:
        """Add an account whose password is hashed already; raises Taken."""
        user = User(
            name=name,
            name_key=name.lower(),
            password_hash=hashed,
            created_at=clock.now(),
        )
        try:
            with self._database.write() as db:
                db.add(user)
                db.flush()
                return self.account_of(user.id)
        except IntegrityError as error:
            raise Taken(name="This user name is taken. Choose another.") from error

    def log_in(self, given: Credentials, origin: Origin) -> Started:
        """Authenticate and start a session; raises as `Authentication.check`."""
        try:
            return self._log_in(given, origin)
        except Overtaken:
            # Another log-in may have renewed the hash, and the password be right.
            return self._log_in(given, origin)

    def _log_in(self, given: Credentials, origin: Origin) -> Started:
        attempt = self._authentication.check(given.name, given.password, origin)
        with self._database.write():
            user = self._authentication.accept(attempt)
            started = self._sessions.start(
                user.id, origin, kept=given.keep, _name=user.name
            )
        self._authentication.rehash(attempt, given.password)
        return started

    def confirm(
        self, copy: Copy, data: dict[str, Any], password: str, origin: Origin
    ) -> Started | None:
        """Check the password again and give the session a new ID.

        None when the session ended meanwhile; raises as `Authentication.check`.
        """
        name = self.name_of(copy.user_id)
        attempt = self._authentication.check(name, password, origin)
        with self._database.write():
            self._authentication.accept(attempt)
            return self._sessions.rotate(copy, data, confirmed=True)

    def change_password(
        self, copy: Copy, data: dict[str, Any], new: NewPassword, origin: Origin
    ) -> Started | None:
        """Set a new password; the session gets a new ID, others and tokens may end.

        None when the session ended meanwhile. Raises Invalid for the new password,
        else as `Authentication.check`.
        """
        name = self.name_of(copy.user_id)
        if new.password != new.again:
            raise Invalid(again="The two are not the same.")
        self._passwords.check_new(new.password, name)
        attempt = self._authentication.check(name, new.current, origin)
        hashed = self._authentication.hash_for(attempt, new.password)
        with self._database.write() as db:
            user = self._authentication.accept(attempt)
            started = self._sessions.rotate(copy, data, confirmed=True)
            if started:
                _update(db, user.id, password_hash=hashed, **NO_CODE)
                self._history.note(db, user.id, PASSWORD_CHANGED, origin)
                if new.end_others:
                    self._sessions.end_others(started.copy, PASSWORD_CHANGED)
                    self._tokens.revoke_all(user.id, PASSWORD_CHANGED)
            return started

    def delete(self, copy: Copy) -> None:
        """Delete the person's account and everything they have; nothing comes back.

        Raises SessionOver when the session ended meanwhile.
        """
        with self._database.write():
            self._authentication.hold(copy.user_id)
            self._sessions.require_alive(copy)
            self.remove(copy.user_id)

    def remove(self, user_id: int) -> None:
        """Delete an account and everything it has, whoever is logged in to it.

        Of what is a lot the most goes before, for all at once would hold up others.
        Where that is cut off nobody is logged in, and it can be done once more.
        """
        self._sessions.end_all(user_id, "account deleted")
        for clear in self.clearing:
            clear(user_id)
        with self._database.write() as db:
            # Sessions that began meanwhile are over with it.
            self._sessions.end_all(user_id, "account deleted")
            # Entries, sessions, tokens and history go with it: ON DELETE CASCADE.
            db.execute(delete(User).where(User.id == user_id))
            self._database.after_commit(lambda: self._cached.forget(user_id))
            self._database.after_commit(self._database.wipe_deleted)

    def export(self, user_id: int) -> Iterator[dict[str, Any]]:
        account = self.account_of(user_id)
        yield {"name": account.name, "created_at": account.created_at.isoformat()}

    def set_password(self, name: str, password: str) -> None:
        """Set the password, end all the person's sessions and revoke their tokens."""
        account = self.find(name)
        self._passwords.check_new(password, account.name)
        hashed = self._passwords.hash_new(password, OPERATOR.address)
        with self._database.write() as db:
            self._authentication.forgive(name)
            _update(db, account.id, password_hash=hashed, **NO_CODE)
            self._history.note(db, account.id, PASSWORD_CHANGED, OPERATOR)
            self._sessions.end_all(account.id, BY_OPERATOR)
            self._tokens.revoke_all(account.id, BY_OPERATOR)

    def disable(self, name: str) -> None:
        """Refuse the person's log-ins and tokens from now on, end all their sessions.

        The tokens work again once the account is enabled, a one-time code does not.
        """
        account = self.find(name)
        with self._database.write() as db:
            _update(db, account.id, disabled_at=clock.now(), **NO_CODE)
            self._sessions.end_all(account.id, BY_OPERATOR)

    def enable(self, name: str) -> None:
        account = self.find(name)
        with self._database.write() as db:
            _update(db, account.id, disabled_at=None)

    def find(self, name: str) -> Account:
        """Return the account of that name, whatever its case; raises NotFound."""
        user = self._authentication.find(name)
        if user is None:
            raise NotFound(f"There is no user {name}.")
        return self.account_of(user.id)

    def list_all(self) -> Sequence[Account]:
        with self._database.read() as db:
            return [Account(*row) for row in db.execute(ALL.order_by(User.name_key))]

    def name_of(self, user_id: int) -> str:
        return self.account_of(user_id).name

    def last_time(self, copy: Copy) -> LastTime | None:
        """Return the log-in before this session's; None for the first one."""
        return self._history.last_time(copy.user_id, copy.record_id)

    def history_of(self, user_id: int, before: datetime | None) -> Sequence[Happening]:
        return self._history.of_user(user_id, before)

    def account_of(self, user_id: int) -> Account:
        """Return a person's account; raises NotFound when it was deleted meanwhile."""
        with self._database.read() as db:
            row = db.execute(ALL.where(User.id == user_id)).first()
        if row is None:
            raise NotFound("There is no such account any more.")
        return Account(*row)


def _update(db: Session, user_id: int, **columns: object) -> None:
    db.execute(update(User).where(User.id == user_id).values(**columns))
