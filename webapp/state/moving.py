"""Move state from where it is to another place; nobody is logged out by it.

Everything here can be interrupted and run again: what is there already stays.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from webapp.accounts.models import User
from webapp.cache import NAMES, VALUE_LIFETIME, box_of
from webapp.database import Database
from webapp.errors import HoldfastError
from webapp.sessions.copies import Copies, Copy
from webapp.sessions.models import SessionRecord
from webapp.sessions.records import Records
from webapp.state import counters
from webapp.state.copied import begin_copy, end_copy, has_served, is_partial, last_move
from webapp.state.in_use import why_in_use
from webapp.state.known import pairs
from webapp.state.tables import checksums, copy_in_steps, count_rows, snapshot, writing
from webapp.stores import Store

PEOPLE = select(User.id, User.created_at)
SEEN = select(
    SessionRecord.id, SessionRecord.last_seen_at, SessionRecord.ended_at
).order_by(SessionRecord.id)
LATEST = select(func.max(SessionRecord.last_seen_at), func.max(SessionRecord.ended_at))
PART = 5000
NEVER = datetime.min.replace(tzinfo=UTC)
FOREVER = datetime.max.replace(tzinfo=UTC)
COPIES, VALUES = "session copies", "cached values"


@dataclass
class Moved:
    """What came of a move, filled while it goes on.

    `rows` has how many of each kind are in the new place, `differing` the kinds that
    are not the same there. `is_behind` tells that somebody wrote to the old place
    since, `in_use` why somebody may go on doing so.
    """

    rows: dict[str, int] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    is_behind: bool = False
    in_use: str = ""


class WouldOverwrite(HoldfastError):
    """The new place has something that the old one does not know."""


def check_target(source: Database, target: Database) -> None:
    """Raise WouldOverwrite where a move would delete what is not of an earlier move.

    What an earlier move from here took along may have been deleted here since.
    """
    with source.read() as here, target.read() as there:
        before = last_move(there)
        is_again = before is not None and before.source == source.place
        if is_again and is_partial(there):
            # No application starts on it, unless one of an earlier release.
            was_used = has_served(there)
        else:
            was_used = _was_used(here, there, is_again=is_again)
        known = pairs(here.execute(PEOPLE).all())
        lost = pairs(there.execute(PEOPLE).all()) - known
        if is_again and not was_used:
            # Who is unknown was deleted here, unless their ID is somebody else's now.
            taken = {user_id for user_id, _ in known}
            lost = frozenset(person for person in lost if person[0] in taken)
        if lost:
            raise WouldOverwrite(
                f"{target.place} has {len(lost):,} accounts that {source.place} does "
                "not know. --force deletes them."
            )
        if was_used:
            raise WouldOverwrite(
                f"{target.place} was written to after {source.place}. --force brings "
                "it back to what the latter has."
            )


def _was_used(here: Connection, there: Connection, *, is_again: bool) -> bool:
    """Tell whether the target shows any sign of people there since it was copied.

    A row that they changed or deleted is none by itself, but they need an application
    that began there, which leaves a mark. Where it was copied from here, a session that
    is unknown here was deleted since.
    """
    latest = (
        FOREVER if is_again else max(at or NEVER for at in here.execute(LATEST).one())
    )
    given, known = counters.last_ids(there), counters.last_ids(here)
    return (
        has_served(there)
        or any(last > known[table] for table, last in given.items())
        or _has_newer(here, there, latest)
    )


def _has_newer(here: Connection, there: Connection, latest: datetime) -> bool:
    """Tell whether a session was seen later there; one unknown here, after `latest`.

    Part by part: there may be a million.
    """
    last = 0
    while theirs := _last_seen(there, SEEN.where(SessionRecord.id > last).limit(PART)):
        last = max(theirs)
        ours = _last_seen(here, SEEN.where(SessionRecord.id.between(min(theirs), last)))
        if any(at > ours.get(record_id, latest) for record_id, at in theirs.items()):
            return True
    return False


def _last_seen(connection: Connection, some: Any) -> dict[int, datetime]:
    """Return when each of these sessions was last seen or ended."""
    rows = connection.execute(some)
    return {row.id: max(row.last_seen_at, row.ended_at or NEVER) for row in rows}


def move_records(source: Database, target: Database, moved: Moved) -> Iterator[int]:
    """Copy all records; gives how many rows each step took.

    The target has the tables of this release; until all is there no application starts
    on it. At the end both are summed up anew, table by table.
    """
    with snapshot(source.engine) as before, writing(target.engine) as after:
        begin_copy(after, source.place)
        after.commit()
        yield from copy_in_steps(before, after)
        moved.rows = count_rows(after)
        wanted = checksums(before)
        moved.differing = _differing(wanted, checksums(after))
        if not moved.differing:
            end_copy(after, source.place)
            after.commit()
    # Before the last look: whoever stops in between has written before it.
    moved.in_use = why_in_use(source)
    with snapshot(source.engine) as now:
        moved.is_behind = bool(_differing(wanted, checksums(now)))


def move_copies(
    records: Records, source: Store, target: Store, moved: Moved
) -> Iterator[int]:
    """Copy the session data of all who are logged in; raises StoreUnavailable.

    Where the new place has something later, that stays.
    """
    old, new = Copies(source), Copies(target)
    found = differing = 0
    for hashes in records.everybodys.unended():
        for id_hash in hashes:
            copy = old.read(id_hash, strict=True)
            if copy is None:
                continue
            found += 1
            there = new.read(id_hash, strict=True)
            if there is None or there.checked_at < copy.checked_at:
                _put(records, new, copy, there)
                there = new.read(id_hash, strict=True)
            differing += there is None or there.checked_at < copy.checked_at
        yield len(hashes)
    moved.rows = {COPIES: found - differing}
    moved.differing = [COPIES] if differing else []


def move_values(
    user_ids: Iterable[int], source: Store, target: Store, moved: Moved
) -> Iterator[int]:
    """Copy everybody's cached values; raises StoreUnavailable.

    Without the markers: whoever reads one asks the database whether it is of now.
    """
    found = differing = 0
    for user_id in user_ids:
        for key in (box_of(user_id, name) for name in NAMES):
            value = source.get(key)
            if value is None:
                continue
            found += 1
            target.set(key, value, VALUE_LIFETIME)
            differing += target.get(key) != value
        yield 1
    moved.rows = {VALUES: found - differing}
    moved.differing = [VALUES] if differing else []


def _put(records: Records, new: Copies, copy: Copy, there: Copy | None) -> None:
    timeout = records.copy_timeout(copy.kept)
    if there:
        new.replace(copy, there, timeout)
    else:
        new.add(copy, timeout)
    record = records.find(copy.id_hash)
    if record is None or record.ended_at:
        # It ended between the look at the old copy and the new one.
        new.delete(copy.id_hash)


def _differing(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    return [name for name in wanted if wanted[name] != found[name]]
