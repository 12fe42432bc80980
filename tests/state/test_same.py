"""Two places are one whatever their URLs say, and two although they look alike."""

from pathlib import Path

import pytest

from config.mistakes import RefusedToStart
from config.settings import load_settings
from tests.databases import NAME, DatabaseServer
from webapp.database import Database
from webapp.state.same import is_same_database

pytestmark = pytest.mark.embedded


def opened(url: str) -> Database:
    return Database(load_settings(database_url=url).database)


def are_same(one: str, other: str) -> bool:
    databases = opened(one), opened(other)
    try:
        return is_same_database(*databases)
    finally:
        for database in databases:
            database.engine.dispose()


def test_a_file_is_one_by_every_name(tmp_path: Path) -> None:
    file, link = tmp_path / "file.db", tmp_path / "link.db"
    assert not are_same(f"sqlite:///{file}", f"sqlite:///{link}")
    assert are_same(f"sqlite:///{file}", f"sqlite:///{tmp_path}/x/../file.db")
    assert list(tmp_path.glob("*.db")) == [], "nobody made one to ask it"
    file.touch()
    link.hardlink_to(file)
    assert are_same(f"sqlite:///{file}", f"sqlite:///{link}")


@pytest.mark.long
def test_a_database_on_a_server_is_one_by_every_name(
    each_server: DatabaseServer,
) -> None:
    each_server.make_database()
    url = each_server.url
    assert are_same(url, url.replace("127.0.0.1", "localhost"))
    first = url.replace(f"/{NAME}", f"/{each_server.first}")
    assert not are_same(url, first), "another database there"
    # Nor does the answer stay true when nobody asks any more.
    assert are_same(url, url)


@pytest.mark.long
@pytest.mark.parametrize("each_server", ["postgresql"], indirect=True)
def test_schemas_of_one_database_are_two_places(each_server: DatabaseServer) -> None:
    each_server.make_database()
    other = opened(each_server.url)
    with other.engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA other")
    other.engine.dispose()
    within = f"{each_server.url}?options=-csearch_path%3Dother"
    assert not are_same(each_server.url, within)
    assert are_same(within, within)


def test_a_parameter_that_no_driver_knows_is_a_sentence() -> None:
    url = "mysql://me@127.0.0.1:1/x"
    with pytest.raises(RefusedToStart, match="unexpected keyword"):
        is_same_database(opened(f"{url}?nonsense=1"), opened(url))


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    url = "postgres://me:secret@127.0.0.1:1/x"
    with pytest.raises(RefusedToStart, match="refused") as refused:
        is_same_database(opened(url), opened(url))
    assert str(refused.value).startswith("postgresql://me:***@127.0.0.1:1/x: ")
    assert "secret" not in str(refused.value)
