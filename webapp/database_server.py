"""PostgreSQL, MySQL and MariaDB, set up so that a request never waits for long.

The drivers wait on sockets that gevent has patched: psycopg finds that out by itself
and waits in Python, PyMySQL always does. Who waits for an answer delays nobody else.
"""

import re
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext

# Seconds: together less than the two that anybody waits for a database in trouble.
CONNECT = 2
STATEMENT = 1.5
LOCK = 1
POOL = 0.5
# For an answer of a server that keeps to no limit: it is frozen, or out of reach.
ANSWER = 1.7
# In which nobody tries to connect to one that has just been silent for so long.
LEFT_ALONE = 1.0
SILENT = re.compile("timed out|timeout expired")
# What PostgreSQL takes a page out of order to cost, one in order being 1. By itself it
# says 4, as of a spinning disk, and goes through all of a person's entries in order
# where an index would say which few to look at.
RANDOM_PAGE = 1.1
# Connections of one process: as many requests can wait for the database at once.
KEPT, MORE = 5, 15


def create_server_engine(target: URL) -> Engine:
    """Open the database; each connection is looked at before it is used again."""
    engine = create_engine(
        target,
        isolation_level="READ COMMITTED",
        # Errors are logged, and what people keep is not.
        hide_parameters=True,
        pool_pre_ping=True,
        pool_use_lifo=True,
        pool_size=KEPT,
        max_overflow=MORE,
        pool_timeout=POOL,
        connect_args={"connect_timeout": CONNECT},
    )
    # Here, because only who uses it needs the driver's memory.
    if _is_postgres(engine):
        from webapp.postgresql import connect  # noqa: PLC0415

        event.listen(engine, "connect", _set_up_postgres)
    else:
        from webapp.mysql import connect  # noqa: PLC0415

        event.listen(engine, "connect", _limit_mysql)
    event.listen(engine, "do_execute", _read_again)
    silence = Silence(connect)
    event.listen(engine, "do_connect", silence.connect)
    event.listen(engine, "handle_error", silence.note)
    return engine


class Silence:
    """Leaves a server alone for a while that has been asked and has said nothing.

    Otherwise who has found that a connection is dead waits for the next one as well.
    """

    def __init__(self, connect: Callable[[Any, Any, float], Any]) -> None:
        self._connect = connect
        self._until = 0.0

    def note(self, context: ExceptionContext) -> None:
        if SILENT.search(str(context.original_exception)):
            self._until = time.monotonic() + LEFT_ALONE

    def connect(self, dialect: Any, _record: Any, arguments: Any, named: Any) -> Any:
        """Connect in SQLAlchemy's place: a listener of `do_connect`."""
        if time.monotonic() < self._until:
            raise dialect.loaded_dbapi.OperationalError("it did not answer just now")
        return self._connect(arguments, named, ANSWER)


def wait_for(connection: Connection, seconds: int) -> None:
    """Let what follows in this transaction take so long: an upgrade of the tables."""
    driver: Any = connection.connection.driver_connection
    driver.wait_at_most(seconds + ANSWER)
    if _is_postgres(connection.engine):
        for name in ("statement_timeout", "lock_timeout"):
            connection.execute(text(f"SET LOCAL {name} = '{seconds}s'"))
    else:
        with driver.cursor() as cursor:
            _limit(cursor, _is_mariadb(driver), seconds, seconds)


def _read_again(cursor: Any, statement: str, values: Any, context: Any) -> bool:
    """Ask once more where a read lost its connection: a listener of `do_execute`.

    Connections are looked at before they are used; this one was cut after that.
    """
    if not context.execution_options.get("only_reads"):
        return False
    connection, dialect = context.root_connection, context.dialect
    try:
        dialect.do_execute(cursor, statement, values, context)
    except dialect.loaded_dbapi.Error as error:
        is_cut = dialect.is_disconnect(error, connection.connection, cursor)
        # Who has waited once for a silent server does not wait for it again.
        if not is_cut or SILENT.search(str(error)):
            raise
        connection.invalidate(error)
        connection.rollback()
        context.cursor = connection.connection.cursor()
        dialect.do_execute(context.cursor, statement, values, context)
    return True


def _is_postgres(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"


def _set_up_postgres(connection: Any, _record: object) -> None:
    # Not in the URL's options: a pooler such as PgBouncer would refuse them.
    was, connection.autocommit = connection.autocommit, True
    connection.execute(f"SET statement_timeout = {STATEMENT * 1000:.0f}")
    connection.execute(f"SET lock_timeout = {LOCK * 1000:.0f}")
    connection.execute(f"SET random_page_cost = {RANDOM_PAGE}")
    connection.autocommit = was


def _limit_mysql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        _limit(cursor, _is_mariadb(connection), STATEMENT, LOCK)


def _is_mariadb(connection: Any) -> bool:
    return "MariaDB" in connection.get_server_info()


def _limit(cursor: Any, is_mariadb: bool, statement: float, lock: float) -> None:
    if is_mariadb:
        cursor.execute(f"SET SESSION max_statement_time = {statement}")
    else:
        # MySQL knows it for selects only, in milliseconds.
        cursor.execute(f"SET SESSION max_execution_time = {statement * 1000:.0f}")
    cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {lock:.0f}")
    cursor.execute(f"SET SESSION lock_wait_timeout = {lock:.0f}")
