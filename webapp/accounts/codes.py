"""One-time codes: the operator makes one, and its owner sets a password with it.

So the operator lets somebody in without ever knowing their password (OWASP ASVS 5.0,
6.4.1, 6.4.3 and 6.4.6). Only the hash of a code is kept.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import CursorResult, bindparam, update
from sqlalchemy.orm import Session

from webapp import clock
from webapp.accounts.authentication import MISMATCH, Authentication, Overtaken
from webapp.accounts.history import CODE_MADE, PASSWORD_CHANGED, PASSWORD_SET, History
from webapp.accounts.inputs import NewName, PasswordByCode
from webapp.accounts.models import NO_CODE, User
from webapp.accounts.passwords import NO_PASSWORD
from webapp.accounts.service import OPERATOR, Accounts
from webapp.accounts.tokens import Tokens
from webapp.database import Database
from webapp.errors import Forbidden, Invalid, NotFound
from webapp.sessions.records import hash_id
from webapp.sessions.service import Origin, Sessions

# Crockford's base 32: no two of them look alike. 24 of them are 120 bits, and what has
# at least 112 needs neither salt nor a slow hash (ASVS 6.5.2).
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
READ_AS = str.maketrans("OIL", "011")
GROUPS, IN_GROUP = 6, 4
# Whoever is new may be told today and come tomorrow. An account that has something in
# it is opened by whoever has the code, so its owner is there when it is made.
FOR_NEW, FOR_FORGOTTEN = timedelta(hours=24), timedelta(minutes=20)

MINE = User.id == bindparam("user_id")
GIVE = (
    update(User)
    .where(MINE)
    .values(
        code_hash=bindparam("new_hash"), code_expires_at=bindparam("new_expires_at")
    )
)
# Of two who use a code at once the second finds it gone.
USE = (
    update(User)
    .where(
        MINE,
        User.code_hash == bindparam("given_hash"),
        User.code_expires_at > bindparam("now"),
    )
    .values(password_hash=bindparam("new_password"), **NO_CODE)
)


@dataclass(frozen=True)
class Code:
    """A code on its way to its owner; the only place where it can be read."""

    name: str
    text: str
    expires_at: datetime


class Codes:
    """Who may set a password without the one before. Every verb is one transaction."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        authentication: Authentication,
        sessions: Sessions,
        tokens: Tokens,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._authentication = authentication
        self._passwords = authentication.passwords
        self._history: History = authentication.history
        self._sessions = sessions
        self._tokens = tokens

    def create_account(self, wanted: NewName) -> Code:
        """Make an account that nobody can log in to before its code; raises Taken."""
        with self._database.write() as db:
            account = self._accounts.add(wanted.name, NO_PASSWORD)
            return self._give(db, account.id, account.name, FOR_NEW)

    def make(self, name: str) -> Code:
        """Make a code in the place of any earlier one; nothing else changes until used.

        Raises NotFound, and Forbidden for a disabled account.
        """
        account = self._accounts.find(name)
        with self._database.write() as db:
            # Whoever forgot the password has tried some.
            self._authentication.forgive(name)
            user = self._authentication.hold(account.id)
            if user is None:
                raise NotFound(f"There is no user {name}.")
            if user.disabled_at:
                raise Forbidden(f"{user.name} is disabled. Enable the account first.")
            is_new = user.password_hash == NO_PASSWORD
            return self._give(
                db, user.id, user.name, FOR_NEW if is_new else FOR_FORGOTTEN
            )

    def use(self, given: PasswordByCode, origin: Origin) -> None:
        """Set the password, and end all the person's sessions and tokens.

        Nobody is logged in by it. Raises Invalid for the password, else as
        `Authentication.check_code`.
        """
        if given.password != given.again:
            raise Invalid(again="The two are not the same.")
        self._passwords.check_new(given.password, given.name)
        code_hash = hash_code(given.code)
        attempt, hashed = self._authentication.check_code(
            given.name, code_hash, given.password, origin
        )
        with self._database.write() as db:
            user = self._authentication.accept(attempt)
            of_code = {"given_hash": code_hash, "now": clock.now()}
            used = db.execute(
                USE, {"user_id": user.id, "new_password": hashed} | of_code
            )
            assert isinstance(used, CursorResult)  # noqa: S101
            if not used.rowcount:
                raise Overtaken(MISMATCH)
            self._history.note(db, user.id, PASSWORD_SET, origin)
            self._sessions.end_all(user.id, PASSWORD_CHANGED)
            self._tokens.revoke_all(user.id, PASSWORD_CHANGED)

    def _give(self, db: Session, user_id: int, name: str, lifetime: timedelta) -> Code:
        code = Code(name, make_text(), clock.now() + lifetime)
        of_code = {"new_hash": hash_code(code.text), "new_expires_at": code.expires_at}
        db.execute(GIVE, {"user_id": user_id} | of_code)
        self._history.note(db, user_id, CODE_MADE, OPERATOR)
        return code


def make_text() -> str:
    """Return a new code in groups, to be copied or read aloud."""
    return "-".join(
        "".join(secrets.choice(LETTERS) for _ in range(IN_GROUP)) for _ in range(GROUPS)
    )


def hash_code(typed: str) -> str:
    """Hash a code, typed in small letters too, without dashes, or with an O for 0."""
    letters = typed.upper().translate(READ_AS)
    return hash_id("".join(letter for letter in letters if letter in LETTERS))
