"""The days of those who were there before days were counted."""

from datetime import UTC, date, datetime
from pathlib import Path

import time_machine
from alembic import command
from sqlalchemy import Connection, text

from config.settings import load_settings
from tests.databases import DatabaseServer
from webapp import schema
from webapp.database import Database
from webapp.entries.days import Days

NOW = datetime(2099, 3, 1, 23, 30, tzinfo=UTC)


def test_an_upgrade_counts_what_is_still_known(
    tmp_path: Path, database_server: DatabaseServer | None
) -> None:
    """Values of the last year and deletions; room of today only."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    if database_server:
        database_server.make_database()
        url = database_server.url
    database = Database(load_settings(database_url=url).database)
    with database.engine.begin() as connection:
        command.upgrade(schema.alembic_config(connection), "0007")
        _insert(connection)
    with time_machine.travel(NOW, tick=False):
        assert database.upgrade()
    assert counted(database, 7) == [
        (date(2099, 1, 2), 2, None),
        (date(2099, 2, 3), 2, None),
        (date(2099, 3, 1), 1, 20),
    ]
    assert counted(database, 8) == [(date(2099, 3, 1), 0, 5)]
    assert counted(database, 9) == []
    database.engine.dispose()


def _insert(connection: Connection) -> None:
    """One who has changed a lot, one who did long ago, and one who has nothing."""
    for user_id, size in ((7, 20), (8, 5), (9, 0)):
        connection.execute(
            text(
                "INSERT INTO users (id, name, name_key, password_hash, created_at) "
                "VALUES (:id, :name, :name, '', '2098-01-01')"
            ),
            {"id": user_id, "name": f"user {user_id}"},
        )
        connection.execute(
            text(
                "INSERT INTO entry_usage (user_id, version, entries, size) "
                "VALUES (:id, 1, 1, :size)"
            ),
            {"id": user_id, "size": size},
        )
    content = "user_id, key_, kind, value, size, version, created_at, updated_at"
    quote = connection.dialect.identifier_preparer.quote
    content = content.replace("key_", quote("key"))
    rows = ":user_id, :key, 'text', '', 5, 1, '2097-01-01', :at"
    for user_id, at in (
        *((7, "2099-01-02 00:00:00"), (7, "2099-03-01 12:00:00")),
        (8, "2098-01-02 12:00:00"),
    ):
        given = {"user_id": user_id, "key": at, "at": at}
        connection.execute(
            text(f"INSERT INTO entries ({content}) VALUES ({rows})"),  # noqa: S608
            given,
        )
    for at, deleted in (
        ("2099-01-02 23:59:59", None),
        ("2099-02-03 01:00:00", "2099-02-03 02:00:00"),
    ):
        given = {"user_id": 7, "key": at, "at": at, "deleted": deleted}
        connection.execute(
            text(
                f"INSERT INTO past_values ({content}, key_deleted_at) "  # noqa: S608
                f"VALUES ({rows}, :deleted)"
            ),
            given,
        )


def counted(database: Database, user_id: int) -> list[tuple[date, int, int | None]]:
    rows = Days(database).since(user_id, date.min)
    return [(row.day, row.writes, row.size) for row in rows]
