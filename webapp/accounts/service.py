"""Sign up, authenticate, and what the operator does with accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.accounts.inputs import Credentials, NewAccount
from webapp.accounts.models import User
from webapp.accounts.passwords import Passwords
from webapp.database import AnyRow, Database
from webapp.errors import Forbidden, NotFound, Taken, WrongCredentials
from webapp.sessions.service import Origin, Sessions, Started

BY_NAME = select(User.id, User.name, User.password_hash, User.disabled_at).where(
    User.name_key == bindparam("name_key")
)
MISMATCH = "User name and password do not match."
NAME_OF = select(User.name).where(User.id == bindparam("id"))


@dataclass(frozen=True)
class Account:
    """A person, as other parts of the application know them."""

    id: int
    name: str
    created_at: datetime | None = None
    disabled_at: datetime | None = None


class Accounts:
    """Who the users are. Every verb is one transaction."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        sessions: Sessions,
        *,
        sign_up_open: bool,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._sessions = sessions
        self.sign_up_open = sign_up_open

    def sign_up(self, wanted: NewAccount, origin: Origin) -> Started:
        """Make an account for a visitor and log them in.

        Raises Forbidden when sign-up is closed, else as `create`.
        """
        if not self.sign_up_open:
            raise Forbidden("Sign-up is closed here. Ask the operator for an account.")
        account = self.create(wanted)
        return self._sessions.start(account.id, origin, name=account.name)

    def create(self, wanted: NewAccount) -> Account:
        """Make an account; raises Taken, or Invalid for the password."""
        self._passwords.check_new(wanted.password, wanted.name)
        user = User(
            name=wanted.name,
            name_key=wanted.name.lower(),
            password_hash=self._passwords.hash(wanted.password),
            created_at=datetime.now(UTC),
        )
        try:
            with self._database.write() as db:
                db.add(user)
                db.flush()
                return _account(user)
        except IntegrityError as error:
            raise Taken(name="This user name is taken. Choose another.") from error

    def log_in(self, given: Credentials, origin: Origin) -> Started:
        """Authenticate and start a session; raises as `authenticate`."""
        user = self.authenticate(given)
        with self._database.write() as db:
            # The password may have been changed while it was being checked.
            now = db.execute(BY_NAME, {"name_key": user.name.lower()}).first()
            if now != user:
                raise WrongCredentials(MISMATCH)
            return self._sessions.start(user.id, origin, name=user.name)

    def authenticate(self, given: Credentials) -> AnyRow:
        """Check user name and password.

        Raises WrongCredentials in the same time and words for an unknown name and a
        wrong password, and Forbidden for a disabled account with the right one.
        """
        user = self._find_row(given.name)
        stored = user.password_hash if user else None
        if not self._passwords.verify(given.password, stored) or user is None:
            raise WrongCredentials(MISMATCH)
        if user.disabled_at:
            raise Forbidden("This account is disabled. Ask the operator.")
        if self._passwords.needs_rehash(user.password_hash):
            hashed = self._passwords.hash(given.password)
            with self._database.write() as db:
                _update(db, user.id, password_hash=hashed)
            return self.authenticate(given)
        return user

    def _find_row(self, name: str) -> AnyRow | None:
        with self._database.read() as db:
            return db.execute(BY_NAME, {"name_key": name.lower()[:33]}).first()

    def set_password(self, name: str, password: str) -> None:
        """Set the password and end all the person's sessions."""
        account = self.find(name)
        self._passwords.check_new(password, account.name)
        hashed = self._passwords.hash(password)
        with self._database.write() as db:
            _update(db, account.id, password_hash=hashed)
            self._sessions.end_all(account.id, "password changed")

    def disable(self, name: str) -> None:
        """Refuse log-ins of the person from now on and end all their sessions."""
        account = self.find(name)
        with self._database.write() as db:
            _update(db, account.id, disabled_at=datetime.now(UTC))
            self._sessions.end_all(account.id, "by the operator")

    def enable(self, name: str) -> None:
        account = self.find(name)
        with self._database.write() as db:
            _update(db, account.id, disabled_at=None)

    def find(self, name: str) -> Account:
        """Return the account of that name, whatever its case; raises NotFound."""
        with self._database.read() as db:
            row = db.execute(
                select(User.id, User.name).where(User.name_key == name.lower())
            ).first()
        if row is None:
            raise NotFound(f"There is no user {name}.")
        return Account(row.id, row.name)

    def list_all(self) -> Sequence[Account]:
        with self._database.read() as db:
            rows = db.execute(
                select(User.id, User.name, User.created_at, User.disabled_at).order_by(
                    User.name_key
                )
            )
            return [Account(*row) for row in rows]

    def name_of(self, user_id: int) -> str:
        with self._database.read() as db:
            return db.execute(NAME_OF, {"id": user_id}).scalar_one()


def _update(db: Session, user_id: int, **columns: object) -> None:
    db.execute(update(User).where(User.id == user_id).values(**columns))


def _account(user: User) -> Account:
    return Account(user.id, user.name, user.created_at, user.disabled_at)
