"""PostgreSQL and MariaDB for tests: servers of our own, on a free port each."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.pool import Pool, QueuePool

from tests.servers import Process, quickest_disk, required
from webapp import database
from webapp.database import Model

NAME = "holdfast"
TABLES = [table.name for table in Model.metadata.sorted_tables]


class DatabaseServer(Process):
    """A server in a folder of its own; quick, because only a power cut would hurt."""

    # On this machine, and in the database.
    runs_as: str
    operator: str
    driver: str
    # A database that is always there.
    first: str
    emptied_from: str
    others: str
    end: str

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-", dir=quickest_disk()))
        super().__init__(self.folder)
        self.data = self.folder / "data"
        # Those of this process that have connected since it was emptied.
        self.engines: set[Engine] = set()
        self._operators: dict[str, Engine] = {}
        self._kept: dict[URL, tuple[Pool, Dialect]] = {}
        self._make_data()

    @property
    def url(self) -> str:
        """The URL as a platform would write it."""
        scheme = self.driver.partition("+")[0]
        return f"{scheme}://{self.operator}@127.0.0.1:{self.port}/{NAME}"

    def _make_data(self) -> None:
        raise NotImplementedError

    # PostgreSQL puts whatever it starts into a session of its own.
    has_sessions = True

    def empty(self) -> None:
        """Remove every row; whoever is still at it is cut off."""
        pools = {engine.pool for engine in self.engines}
        kept = {pool for pool, _ in self._kept.values()}
        is_in_use = any(cast("QueuePool", pool).checkedout() for pool in pools)
        for pool in pools if is_in_use else pools - kept:
            pool.dispose()
        with self.connect(self.emptied_from) as connection:
            if is_in_use:
                self._end_others(connection)
            for statement in self.emptying():
                connection.execute(text(statement))
        self.engines.clear()

    def keep_connections(self, patch: pytest.MonkeyPatch) -> None:
        """Let each application here go on with the connections of those before it.

        A new one knows no table yet, which with PostgreSQL is a third of a test.
        """
        create_engine = database._create_engine

        def create_on_kept(url: str) -> Engine:
            engine = create_engine(url)
            if self._is_here(engine):
                own = engine.pool, engine.dialect
                engine.pool, engine.dialect = self._kept.setdefault(engine.url, own)
            return engine

        patch.setattr(database, "_create_engine", create_on_kept)

    def emptying(self) -> list[str]:
        raise NotImplementedError

    def note(self, connection: Connection) -> None:
        """Note that somebody in this process has connected to the database."""
        if self._is_here(connection.engine):
            self.engines.add(connection.engine)

    def _is_here(self, engine: Engine) -> bool:
        return engine.url.port == self.port and engine.url.database == NAME

    def environment(self) -> dict[str, str]:
        # In a shared folder a MariaDB that starts removes temporary tables of others.
        own = {"TMPDIR": str(self.folder)}
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **own}

    def answers(self) -> bool:
        with suppress(DBAPIError), self.connect():
            return True
        return False

    @contextmanager
    def connect(self, name: str = "") -> Iterator[Connection]:
        """Give a connection of the operator's, whose statements are no transactions."""
        name = name or self.first
        if name not in self._operators:
            url = f"{self.driver}://{self.operator}@127.0.0.1:{self.port}/{name}"
            # Kept: connecting takes MariaDB longer than emptying all tables.
            self._operators[name] = create_engine(
                url, isolation_level="AUTOCOMMIT", pool_pre_ping=True
            )
        with self._operators[name].connect() as connection:
            yield connection

    def make_database(self) -> None:
        """Begin anew, with no table and nobody connected."""
        self.end_others()
        with self.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {NAME}"))
            connection.execute(text(f"CREATE DATABASE {NAME}"))

    def end_others(self) -> int:
        """Cut every connection to the database; tell how many."""
        if operator := self._operators.get(NAME):
            # Our own: what is cut is not always known as such when it is looked at.
            operator.dispose()
        with self.connect() as connection:
            return self._end_others(connection)

    def _end_others(self, connection: Connection) -> int:
        numbers = connection.scalars(text(self.others), {"name": NAME}).all()
        for number in numbers:
            with suppress(DBAPIError):  # Gone by itself meanwhile.
                connection.execute(text(self.end), {"number": number})
        return len(numbers)

    def leave(self) -> None:
        """Close all connections of this process that nobody uses at the moment."""
        for pool, _ in self._kept.values():
            pool.dispose()
        if operator := self._operators.get(NAME):
            operator.dispose()

    def close(self) -> None:
        for engine in self._operators.values():
            engine.dispose()
        for pool, _ in self._kept.values():
            pool.dispose()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _as_user(self, *command: str) -> list[str]:
        """Neither server runs as root."""
        if os.geteuid() != 0:
            return list(command)
        user = pwd.getpwnam(self.runs_as)
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        ids = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
        return ["setpriv", *ids, *command]

    def _run(self, *command: str) -> None:
        done = subprocess.run(  # noqa: S603
            self._as_user(*command),
            capture_output=True,
            env=self.environment(),
            cwd=self.folder,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


class Postgres(DatabaseServer):
    runs_as = operator = first = "postgres"
    driver = "postgresql+psycopg"
    emptied_from = NAME
    others = (
        "SELECT pid FROM pg_stat_activity "
        "WHERE datname = :name AND pid <> pg_backend_pid()"
    )
    end = "SELECT pg_terminate_backend(:number)"

    def _make_data(self) -> None:
        make = ("--auth=trust", f"--username={self.operator}", "--encoding=UTF8")
        self._run(_postgres("initdb"), "--no-sync", *make, "--pgdata", str(self.data))

    def command(self) -> list[str]:
        options = ["fsync=off", "listen_addresses=127.0.0.1", "max_connections=50"]
        options += [f"unix_socket_directories={self.folder}"]
        # In its folder, which goes with it; it is killed at the end.
        options += ["dynamic_shared_memory_type=mmap"]
        given = [word for option in options for word in ("-c", option)]
        server = [_postgres("postgres"), "-D", str(self.data), "-p", str(self.port)]
        return self._as_user(*server, *given)

    def emptying(self) -> list[str]:
        # TRUNCATE makes new files for each table and index: ten times as long.
        deletes = [f"DELETE FROM {each}" for each in reversed(TABLES)]  # noqa: S608
        begin_anew = "SELECT setval(seqrelid::regclass, 1, false) FROM pg_sequence"
        return ["; ".join(deletes), begin_anew]


class MariaDB(DatabaseServer):
    runs_as, operator, first = "mysql", "root", "mysql"
    emptied_from = first
    driver = "mysql+pymysql"
    others = "SELECT id FROM information_schema.processlist WHERE db = :name"
    end = "KILL :number"

    def _make_data(self) -> None:
        make = required(shutil.which("mariadb-install-db"), "mariadb-server")
        options = ("--no-defaults", "--auth-root-authentication-method=normal")
        self._run(make, *options, "--skip-test-db", f"--datadir={self.data}")

    def command(self) -> list[str]:
        server = required(shutil.which("mariadbd"), "mariadb-server")
        places = (f"--datadir={self.data}", f"--socket={self.folder}/socket")
        address = ("--bind-address=127.0.0.1", f"--port={self.port}")
        quick = ("--innodb-flush-log-at-trx-commit=2", "--skip-name-resolve")
        return self._as_user(server, "--no-defaults", *places, *address, *quick)

    def emptying(self) -> list[str]:
        # To empty a table that is empty takes as long as one that is not. Of people
        # tests know the numbers.
        names = [f"{NAME}.{table}" for table in TABLES]
        looks = (f"(SELECT '{each}' FROM {each} LIMIT 1)" for each in names)  # noqa: S608
        with self.connect(self.emptied_from) as connection:
            full = connection.scalars(text(" UNION ALL ".join(looks))).all()
        emptied = {f"{NAME}.users", *full}
        return ["SET foreign_key_checks = 0", *(f"TRUNCATE {each}" for each in emptied)]


SERVERS = {"postgresql": Postgres, "mariadb": MariaDB}


@contextmanager
def database_server_of(kind: str) -> Iterator[DatabaseServer]:
    """Give a server that runs, with an empty database."""
    server = SERVERS[kind]()
    try:
        server.start()
        server.make_database()
        event.listen(Engine, "engine_connect", server.note)
        yield server
    finally:
        with suppress(InvalidRequestError):
            event.remove(Engine, "engine_connect", server.note)
        server.close()


def _postgres(program: str) -> str:
    """Find it: Debian keeps PostgreSQL's programs off the path, by version."""
    found = shutil.which(program) or next(
        map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))), None
    )
    return required(found, "PostgreSQL's server")
