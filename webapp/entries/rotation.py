"""Puts secret values under the first key, a few at a time, while people go on."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

from sqlalchemy import Select, Update, bindparam, func, select, update
from sqlalchemy.orm import Session

from webapp.database import AnyRow, Database
from webapp.entries.models import Entry, PastValue
from webapp.entries.secret_values import SecretValues

# One transaction: 7 MB where all values are as large as they can be.
STEP = 20

Outcome = Literal["re-encrypted", "changed meanwhile", "unreadable"]
# Where secret values are.
MODELS: tuple[type[Entry | PastValue], ...] = (Entry, PastValue)


def count_of(model: Any) -> Select[Any]:
    return (
        select(model.encrypted_by, func.count())
        .where(model.encrypted_by.is_not(None))
        .group_by(model.encrypted_by)
    )


def next_of(model: Any) -> Select[Any]:
    return (
        select(model.id, model.user_id, model.key, model.value, model.version)
        .where(
            model.encrypted_by == bindparam("old"),
            model.id > bindparam("last"),
            model.id <= bindparam("newest"),
        )
        .order_by(model.id)
        .limit(STEP)
    )


def replacing(model: Any) -> Update:
    # A version belongs to one content. It stays, as does the time of the last change:
    # the value is the same, and whoever has it open in an editor can still save.
    return (
        update(model)
        .where(
            model.id == bindparam("row_id"),
            model.version == bindparam("seen"),
            model.encrypted_by == bindparam("old"),
        )
        .values(value=bindparam("token"), encrypted_by=bindparam("first"))
    )


class Rotation:
    """The secret values of all people, earlier ones too.

    Can be stopped at any time and begun again.
    """

    def __init__(self, database: Database, secret_values: SecretValues) -> None:
        self._database = database
        self._secret_values = secret_values
        self.keys = secret_values.keys

    def waiting(self) -> Counter[str]:
        """Count what is not under the first key, by the fingerprint of its key."""
        counts: Counter[str] = Counter()
        with self._database.read() as db:
            for model in MODELS:
                counts.update(dict(map(tuple, db.execute(count_of(model)))))
        del counts[self.keys[0]]
        return counts

    def run(self, old: str) -> Iterator[Outcome]:
        """Re-encrypt everything under an old key; tell of each entry what came of it.

        Nothing is locked while values are decrypted and encrypted. What was changed
        or deleted in that time is left as it is.
        """
        for model in MODELS:
            yield from self._run(model, old)

    def _run(self, model: type[Entry | PastValue], old: str) -> Iterator[Outcome]:
        following, replace = next_of(model), replacing(model)
        with self._database.read() as db:
            newest = db.execute(select(func.max(model.id))).scalar() or 0
        # What a server writes under the old key meanwhile has no end.
        given = {"old": old, "last": 0, "newest": newest}
        while True:
            with self._database.read() as db:
                rows = db.execute(following, given).all()
            if not rows:
                return
            given["last"] = rows[-1].id
            renewed = [(row, self._secret_values.renew(row)) for row in rows]
            with self._database.write() as db:
                outcomes = [
                    self._renew(db, replace, {"old": old}, *each) for each in renewed
                ]
            yield from outcomes

    def _renew(
        self,
        db: Session,
        replace: Update,
        given: dict[str, Any],
        row: AnyRow,
        token: str | None,
    ) -> Outcome:
        if token is None:
            return "unreadable"
        given = given | {"row_id": row.id, "seen": row.version}
        given |= {"token": token, "first": self.keys[0]}
        done = db.connection().execute(replace, given)
        return "re-encrypted" if done.rowcount else "changed meanwhile"
