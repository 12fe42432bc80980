"""Check a password or a one-time code: the one door wherever one is asked for.

Limits come before hashing. A try is counted, and noted in the person's history, as a
failed one before the password is looked at, and taken back when it was right: many at
once get no further than one after the other, and a known name takes no longer than an
unknown one.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from webapp import clock, metrics
from webapp.accounts.history import DISABLED, WRONG_CODE, WRONG_PASSWORD, History
from webapp.accounts.inputs import USER_NAME
from webapp.accounts.models import User
from webapp.accounts.passwords import Passwords
from webapp.database import AnyRow, Database
from webapp.errors import (
    Busy,
    Forbidden,
    HoldfastError,
    Invalid,
    TooMany,
    WrongCredentials,
)
from webapp.limits import Key, Limits
from webapp.sessions.records import Records
from webapp.sessions.service import Origin

RESULTS = {
    WrongCredentials: "wrong",
    TooMany: "limited",
    Busy: "busy",
    Forbidden: "disabled",
}
MISMATCH = "User name and password do not match."

USER = select(User.id, User.name, User.password_hash, User.disabled_at)
BY_NAME = USER.where(User.name_key == bindparam("name_key"))
# FOR NO KEY UPDATE on PostgreSQL: whoever adds a row of theirs need not wait.
HELD = USER.where(User.id == bindparam("user_id")).with_for_update(key_share=True)
BY_CODE = select(User.id).where(
    User.id == bindparam("user_id"),
    User.code_hash == bindparam("code_hash"),
    User.code_expires_at > bindparam("now"),
    User.disabled_at.is_(None),
)


@dataclass(frozen=True)
class Attempt:
    """A try that has been counted. `user` is None for a name that nobody has."""

    user: AnyRow | None
    keys: Sequence[Key]
    event_id: int | None
    source: str
    is_known: bool


class Overtaken(WrongCredentials):
    """The account was changed while the password was being checked."""


class Authentication:
    """Who may try, whether it was right, and what is noted of it."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        limits: Limits,
        history: History,
        records: Records,
    ) -> None:
        self._database = database
        self.passwords = passwords
        self._limits = limits
        self.history = history
        self._records = records

    def check(self, name: str, password: str, origin: Origin) -> Attempt:
        """Check user name and password; `accept` the attempt in a transaction.

        Raises TooMany, Busy, and WrongCredentials in the same time and words for an
        unknown name and a wrong password; Forbidden for a disabled account when the
        password was right.
        """
        with _counting():
            return self._check(name, password, origin)

    def check_code(
        self, name: str, code_hash: str, password: str, origin: Origin
    ) -> tuple[Attempt, str]:
        """Check user name and one-time code, and hash the new password.

        `accept` the attempt in a transaction. Raises as `hash_for`, TooMany, and
        WrongCredentials in the same time and words whatever is wrong: the name, the
        code, its time or a disabled account.
        """
        with _counting():
            attempt = self._begin(name, origin, WRONG_CODE)
            is_valid = self._is_valid(code_hash, attempt)
            # Of a wrong one in vain: so it takes as long as a right one.
            hashed = self.hash_for(attempt, password, was_right=is_valid)
            if not is_valid:
                raise WrongCredentials(MISMATCH)
            return attempt, hashed

    def _is_valid(self, code_hash: str, attempt: Attempt) -> bool:
        given = {
            "user_id": attempt.user.id if attempt.user else 0,
            "code_hash": code_hash,
            "now": clock.now(),
        }
        with self._database.read() as db:
            return db.execute(BY_CODE, given).first() is not None

    def _check(self, name: str, password: str, origin: Origin) -> Attempt:
        attempt = self._begin(name, origin, WRONG_PASSWORD)
        user = attempt.user
        try:
            matches = self.passwords.verify(
                password,
                user.password_hash if user else None,
                attempt.source,
                is_known=attempt.is_known,
            )
        except Busy:
            self.take_back(attempt)
            raise
        if not matches or user is None:
            raise WrongCredentials(MISMATCH)
        if user.disabled_at:
            with self._database.write() as db:
                self.take_back(attempt, was_right=True)
                self.history.note(db, user.id, DISABLED, origin)
            raise Forbidden("This account is disabled. Ask the operator.")
        return attempt

    def accept(self, attempt: Attempt) -> AnyRow:
        """Take the attempt back, for it was right; return the user.

        To be called in the transaction that lets them in. Raises Overtaken when
        password or account were changed while the password was being checked, and
        holds the user: who changes them next finds the session that this one starts.
        """
        user = attempt.user
        # Limits before users, as everybody who takes both: nobody waits in a circle.
        self.take_back(attempt, was_right=True)
        if user is None or self.hold(user.id) != user:
            raise Overtaken(MISMATCH)
        return user

    def hold(self, user_id: int) -> AnyRow | None:
        """Return the user, and let no other transaction change them before this one.

        SQLite has one transaction that writes at a time.
        """
        with self._database.write() as db:
            return db.execute(HELD, {"user_id": user_id}).first()

    def rehash(self, attempt: Attempt, password: str) -> None:
        """Hash a right password anew when the parameters have changed since."""
        user = attempt.user
        if user is None or not self.passwords.needs_rehash(user.password_hash):
            return
        try:
            hashed = self.passwords.hash(
                password, attempt.source, is_known=attempt.is_known
            )
        except Busy:
            return  # The next log-in will do.
        with self._database.write() as db:
            db.execute(
                update(User)
                .where(User.id == user.id, User.password_hash == user.password_hash)
                .values(password_hash=hashed)
            )

    def hash_for_sign_up(self, password: str, origin: Origin) -> str:
        """Hash the password of a new account; raises as `Passwords.hash_new`.

        Raises TooMany when too many accounts were made from one address.
        """
        network = network_of(origin.address)
        keys = [Key("sign-up", network)]
        self._limits.take(keys, lambda _db: None)
        try:
            return self.passwords.hash_new(password, network)
        except Busy:
            self._limits.give_back(keys)
            raise

    def hash_for(
        self, attempt: Attempt, password: str, *, was_right: bool = True
    ) -> str:
        """Hash the new password of an attempt, outside of a transaction.

        Raises as `Passwords.hash_new`, and then uncounts the attempt. Of one that was
        wrong the password is not looked up anywhere.
        """
        hash_it = self.passwords.hash_new if was_right else self.passwords.hash
        try:
            return hash_it(password, attempt.source, is_known=attempt.is_known)
        except (Busy, Invalid):
            self.take_back(attempt, was_right=was_right)
            raise

    def forgive(self, name: str) -> None:
        """Let strangers' browsers try this account again at once."""
        self._limits.give_back([Key("account", name.lower())])

    def find(self, name: str) -> AnyRow | None:
        """Return the user of that name, whatever its case."""
        if not USER_NAME.fullmatch(name):
            return None
        with self._database.read() as db:
            return db.execute(BY_NAME, {"name_key": name.lower()}).first()

    def _begin(self, name: str, origin: Origin, failure: str) -> Attempt:
        """Count a try, and note it as the failure that it may be; raises TooMany."""
        user = self.find(name)
        user_id = user.id if user else 0
        network = network_of(origin.address)
        device = origin.device_hash
        is_known = bool(device) and self._records.knows_device(user_id, device)
        if is_known:
            keys = [Key("device", f"{user_id}:{device}")]
            source = device
        else:
            keys = [Key("account", name.lower()), Key("source", network)]
            keys.append(Key("everyone"))
            source = network

        def note(db: Session) -> int | None:
            if user is None:
                return None
            return self.history.note(db, user.id, failure, origin)

        event_id = self._limits.take(keys, note)
        return Attempt(user, keys, event_id, source, is_known)

    def take_back(self, attempt: Attempt, *, was_right: bool = False) -> None:
        """Uncount an attempt that was right, or that nobody could look at."""
        with self._database.write():
            self._limits.give_back(attempt.keys, was_right=was_right)
            if attempt.event_id:
                self.history.erase(attempt.event_id)


@contextmanager
def _counting() -> Iterator[None]:
    try:
        yield
    except HoldfastError as error:
        metrics.PASSWORDS.labels(RESULTS.get(type(error), "failed")).inc()
        raise
    metrics.PASSWORDS.labels("right").inc()


def network_of(address: str) -> str:
    """Return what one person has: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:45]
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return address
