"""Times and weighs the places where state can be, beside each other in one run."""

import tempfile
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

import click
import redis

from config.settings import load_settings
from webapp import clock
from webapp.accounts.models import User
from webapp.database import Database
from webapp.sessions.copies import Copy
from webapp.sessions.models import SessionRecord, Timeouts
from webapp.sessions.records import Records, hash_id
from webapp.stores import Store, open_store

VALUES, ROUNDS, CALLS = 10_000, 7, 300
HEAD = ("", "read, µs", "write, µs", "bytes each", "rounds of reads, µs")
COPY = Copy(
    id_hash="",
    record_id=1,
    user_id=1,
    last_seen_at=1764000000.0,
    confirmed_at=1764000000.0,
    expires_at=1764600000.0,
    checked_at=1764000000.0,
    kept=False,
    data={"_name": "anna"},
).model_dump()


@dataclass
class Row:
    """One place: what reads and writes one value of it, and what a value takes."""

    name: str
    read: Callable[[str], object]
    write: Callable[[str], object]
    weight: float | None = None
    reads: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)

    def time(self, keys: Sequence[str]) -> None:
        self.reads.append(_time(self.read, keys))
        self.writes.append(_time(self.write, keys))

    def cells(self) -> tuple[str, ...]:
        weight = "" if self.weight is None else f"{self.weight:,.0f}"
        spread = f"{min(self.reads):,.0f} to {max(self.reads):,.0f}"
        read, write = median(self.reads), median(self.writes)
        return self.name, f"{read:,.0f}", f"{write:,.0f}", weight, spread


@click.command()
@click.option("--store", "stores", multiple=True, help="URL of one more store.")
@click.option(
    "--database", "databases", multiple=True, help="URL of one more database."
)
def main(stores: Sequence[str], databases: Sequence[str]) -> None:
    """Print what a session's copy costs in each store, its record in each database.

    The memory of the process, files and SQLite are always measured; each server must
    be empty, for it is filled.
    """
    keys = [hash_id(str(number)) for number in range(VALUES)]
    with tempfile.TemporaryDirectory() as folder:
        urls = ["memory://", (Path(folder) / "files").as_uri(), *stores]
        rows = [_in_store(url, keys) for url in urls]
        urls = [f"sqlite:///{folder}/holdfast.db", *databases]
        rows += [_in_database(url, keys) for url in urls]
        for number in range(ROUNDS):
            begin = number * CALLS
            for row in rows:
                row.time(keys[begin : begin + CALLS])
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for name, *figures in lines:
        cells = zip(figures, widths[1:], strict=True)
        right = (figure.rjust(width) for figure, width in cells)
        click.echo("  ".join([name.ljust(widths[0]), *right]))


def _time(call: Callable[[str], object], keys: Sequence[str]) -> float:
    """Return the median of one call in microseconds."""
    times = []
    for key in keys:
        begin = perf_counter()
        call(key)
        times.append((perf_counter() - begin) * 1e6)
    return median(times)


def _in_store(url: str, keys: Sequence[str]) -> Row:
    store = open_store(url, "benchmark")

    def write(key: str) -> object:
        return store.set(key, COPY | {"id_hash": key}, 7200)

    weight = _weigh(url, store, lambda: [write(key) for key in keys])
    return Row(_without_user(url), store.get, write, weight)


def _without_user(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _weigh(url: str, store: Store, fill: Callable[[], object]) -> float | None:
    """Fill the store; return how many bytes each value takes there, if it can tell."""
    scheme = url.partition("://")[0]
    if scheme.startswith(("redis", "valkey")) and "+" not in scheme:
        client = redis.Redis.from_url(url.replace("valkey", "redis", 1))
        before = client.info("memory")["used_memory"]
        fill()
        return (client.info("memory")["used_memory"] - before) / VALUES
    if scheme == "memory":
        tracemalloc.start()
        fill()
        total, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return total / VALUES
    fill()
    if scheme == "file":
        files = [each.stat() for each in Path(store.place).iterdir()]
        return sum(each.st_blocks * 512 for each in files) / VALUES
    return None


def _in_database(url: str, keys: Sequence[str]) -> Row:
    database = Database(load_settings(database_url=url).database)
    database.upgrade()
    hour = timedelta(hours=1)
    records = Records(database, Timeouts(hour, hour), Timeouts(hour, hour))
    now = clock.now()
    with database.write() as db:
        user = User(name="anna", name_key="anna", password_hash="", created_at=now)
        db.add(user)
        db.flush()
        db.add_all(
            SessionRecord(
                id_hash=key,
                user_id=user.id,
                created_at=now,
                last_seen_at=now,
                confirmed_at=now,
                expires_at=now + hour,
                address="127.0.0.1",
                user_agent="benchmark",
            )
            for key in keys
        )
    return Row(
        _without_user(url),
        records.find,
        lambda key: records.rename(key, last_seen_at=clock.now()),
    )


if __name__ == "__main__":
    main()
