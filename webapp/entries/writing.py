"""One write of a person's entries: counted, limited, and what was before it kept."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import accumulate
from typing import Any

from sqlalchemy import BindParameter, bindparam, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from webapp import clock
from webapp.cache import CachedValues
from webapp.database import AnyRow, Database
from webapp.entries.days import counting
from webapp.entries.inputs import NewEntry, NewValue
from webapp.entries.models import WRITER_LENGTH, Content, Entry, Label, PastValue, Usage
from webapp.entries.quota import Quota
from webapp.entries.secret_values import SecretValues
from webapp.errors import TooLarge
from webapp.hub import Hub
from webapp.pace import let_others_go

# Earlier values of one key; the oldest make room.
MOST_PAST = 50
# Rows of one transaction where many are deleted: 60 ms at most.
STEP = 10

USER: BindParameter[int] = bindparam("user_id")
KEY: BindParameter[str] = bindparam("key")
ONE = select(Entry).where(Entry.user_id == USER, Entry.key == KEY)
# The largest first: the fewest make room for another.
ENDED = (
    select(Entry)
    .where(Entry.user_id == USER, Entry.expires_at <= bindparam("now"))
    .order_by(Entry.size.desc())
    .limit(STEP)
)
PAST = select(PastValue.id, PastValue.size).where(PastValue.user_id == USER)
TOO_MANY = (
    PAST.where(PastValue.key == KEY).order_by(PastValue.id.desc()).offset(MOST_PAST)
)
OLDEST = PAST.order_by(PastValue.id).limit(MOST_PAST)
# Of the entry there is now, not of one that was deleted before it.
SINCE_DELETED = PAST.where(
    PastValue.key == KEY,
    PastValue.id
    > select(func.coalesce(func.max(PastValue.id), 0))
    .where(
        PastValue.user_id == USER,
        PastValue.key == KEY,
        PastValue.key_deleted_at.is_not(None),
    )
    .scalar_subquery(),
)
COPIED = tuple(name for name in Content.__annotations__ if name != "id")


class Writing:
    """What every verb that writes entries goes through."""

    def __init__(
        self,
        database: Database,
        cached: CachedValues,
        quota: Quota,
        secret_values: SecretValues,
        hub: Hub,
    ) -> None:
        self._database = database
        self._cached = cached
        self._hub = hub
        self.quota = quota
        self._secret_values = secret_values

    @contextmanager
    def begin(self, user_id: int) -> Iterator[tuple[Session, Usage]]:
        """Open or join a transaction; whoever else writes for this person waits."""
        with self.begin_all([user_id]) as (db, (usage,)):
            yield db, usage

    @contextmanager
    def begin_all(
        self, user_ids: Iterable[int]
    ) -> Iterator[tuple[Session, Sequence[Usage]]]:
        """As `begin`, for several people in one transaction."""
        with ExitStack() as stack:
            # In one order: two who lock the same people never wait for each other.
            user_ids = sorted(user_ids)
            for user_id in user_ids:
                stack.enter_context(self._cached.changing(user_id))
            db = stack.enter_context(self._database.write())
            self._database.after_commit(lambda: self._hub.tell(user_ids))
            usages = [_lock(db, user_id) for user_id in user_ids]
            yield db, stack.enter_context(counting(db, usages))

    @contextmanager
    def at_once(self, user_id: int) -> Iterator[None]:
        """Join several verbs in one transaction: all happen, or none."""
        with self._database.read() as db:
            is_known = db.scalar(select(Usage.user_id).where(Usage.user_id == user_id))
        if not is_known:
            # Without a row there is nothing to lock, and another may make it first.
            with suppress(IntegrityError), self.begin(user_id):
                pass
        with self.begin(user_id):
            yield

    def check(self, new: NewValue) -> None:
        """Raise what a value is refused for, whatever else is there."""
        self._secret_values.check(new)
        size = len(new.value.encode())
        if size > self.quota.value_size:
            raise TooLarge(
                value=f"The value has {size:,} bytes; at most "
                f"{self.quota.value_size:,} can be kept in one entry."
            )

    def clear(self, user_id: int) -> None:
        """Delete what a person has, but for the last STEP of each, in steps."""
        model: Any
        for model in (Entry, PastValue):
            of_person = select(model).where(model.user_id == user_id).limit(STEP)
            is_last = False
            while not is_last:
                with self.begin(user_id) as (db, usage):
                    rows = db.scalars(of_person).all()
                    is_last = len(rows) < STEP
                    for row in () if is_last else rows:
                        _uncount(usage, row)
                        db.delete(row)
                let_others_go()

    def find(self, db: Session, usage: Usage, key: str) -> Entry | None:
        """Return the entry to change; one that has ended is cleared away."""
        given = {"user_id": usage.user_id, "key": key}
        entry = db.execute(ONE, given).scalar()
        if entry and entry.expires_at and entry.expires_at <= clock.now():
            self.drop(db, usage, entry)
            return None
        return entry

    def make(self, db: Session, usage: Usage, new: NewEntry, by: str) -> Entry:
        """Add an entry; raises QuotaReached."""
        entry = Entry(
            user_id=usage.user_id,
            key=new.key,
            size=0,
            labels="",
            created_at=clock.now(),
        )
        usage.entries += 1
        self._fill(db, entry, usage, new, by)
        db.add(entry)
        db.flush()
        _set_labels(db, entry, new)
        return entry

    def replace(
        self, db: Session, usage: Usage, entry: Entry, new: NewValue, by: str
    ) -> None:
        """Give an entry another value, and keep the one it has; raises QuotaReached."""
        self._keep(db, usage, PastValue(**_content(entry)))
        if new.secret and not entry.encrypted_by:
            # The cached list shows how the value begins.
            forget = partial(self._cached.forget, usage.user_id)
            self._database.after_commit(forget)
            self._seal_past(db, usage, entry.key)
        self._fill(db, entry, usage, new, by)
        _set_labels(db, entry, new)

    def bin(self, db: Session, usage: Usage, entry: Entry, by: str) -> PastValue:
        """Delete an entry so that it can be had back."""
        content = _content(entry)
        _take_away(db, usage, entry)
        past = PastValue(
            **content, key_deleted_at=clock.now(), deleted_by=by[:WRITER_LENGTH]
        )
        self._keep(db, usage, past)
        usage.changes += 1
        return past

    def drop(self, db: Session, usage: Usage, entry: Entry) -> None:
        """Delete an entry for good, and what it was before."""
        given = {"user_id": usage.user_id, "key": entry.key}
        forget_past(db, usage, db.execute(SINCE_DELETED, given).all())
        _take_away(db, usage, entry)

    def _keep(self, db: Session, usage: Usage, past: PastValue) -> None:
        db.add(past)
        db.flush()
        usage.past_size += past.size
        given = {"user_id": usage.user_id, "key": past.key}
        forget_past(db, usage, db.execute(TOO_MANY, given).all())
        while usage.past_size > self.quota.size and (
            oldest := db.execute(OLDEST, given).all()
        ):
            gone = accumulate(row.size for row in oldest)
            too_few = [usage.past_size - size > self.quota.size for size in gone]
            forget_past(db, usage, oldest[: sum(too_few) + 1])

    def _fill(
        self, db: Session, entry: Entry, usage: Usage, new: NewValue, by: str
    ) -> None:
        size = len(entry.key.encode()) + len(new.value.encode())
        growth = size - entry.size
        usage.size += growth
        # Whoever is over a limit that was lowered can still shorten what they have.
        if growth > 0:
            self._make_room(db, usage)
            self.quota.check(usage)
        entry.kind, entry.size = new.kind, size
        entry.value, entry.encrypted_by = self._secret_values.seal(
            entry.user_id, entry.key, new
        )
        # Written together, also where the key is the same as before: `Rotation` may
        # have changed both since they were read here.
        flag_modified(entry, "encrypted_by")
        if "expires_at" in new.model_fields_set:
            entry.expires_at = new.expires_at
        entry.version, entry.written_by = usage.version, by[:WRITER_LENGTH]
        entry.updated_at = clock.now()
        usage.changes += 1

    def _make_room(self, db: Session, usage: Usage) -> None:
        """Take away what has ended: nobody sees it, or could delete it instead."""
        given = {"user_id": usage.user_id, "now": clock.now()}
        while not self.quota.allows(usage) and (
            ended := db.scalars(ENDED, given).all()
        ):
            for entry in ended:
                self.drop(db, usage, entry)

    def _seal_past(self, db: Session, usage: Usage, key: str) -> None:
        """Encrypt the earlier values of an entry that is secret from now on."""
        in_clear = select(PastValue).where(
            PastValue.user_id == usage.user_id,
            PastValue.key == key,
            PastValue.encrypted_by.is_(None),
        )
        for past in db.scalars(in_clear):
            value = NewValue.model_construct(value=past.value, secret=True)
            past.value, past.encrypted_by = self._secret_values.seal(
                usage.user_id, key, value
            )


def forget_past(db: Session, usage: Usage, rows: Sequence[AnyRow]) -> None:
    """Delete earlier values for good; each row has `id` and `size`."""
    if rows:
        usage.past_size -= sum(row.size for row in rows)
        gone = [row.id for row in rows]
        db.execute(delete(PastValue).where(PastValue.id.in_(gone)))


def _lock(db: Session, user_id: int) -> Usage:
    usage = db.get(Usage, user_id, with_for_update=True)
    if usage is None:
        usage = Usage(user_id=user_id, version=0, entries=0, size=0, past_size=0)
        db.add(usage)
    usage.version += 1
    return usage


def _content(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in COPIED}


def _take_away(db: Session, usage: Usage, entry: Entry) -> None:
    _uncount(usage, entry)
    db.delete(entry)
    db.flush()


def _uncount(usage: Usage, content: Content) -> None:
    if isinstance(content, Entry):
        usage.entries -= 1
        usage.size -= content.size
    else:
        usage.past_size -= content.size


def _set_labels(db: Session, entry: Entry, new: NewValue) -> None:
    labels = "\n".join(new.labels)
    if "labels" not in new.model_fields_set or labels == entry.labels:
        return
    entry.labels = labels
    db.execute(delete(Label).where(Label.entry_id == entry.id))
    db.add_all(
        Label(user_id=entry.user_id, label=label, entry_id=entry.id)
        for label in new.labels
    )
