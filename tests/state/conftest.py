"""Database servers for tests that need them whatever --database says."""

from collections.abc import Iterator

import pytest

from tests.databases import SERVERS, DatabaseServer, database_server_of


@pytest.fixture(scope="session", params=SERVERS)
def each_server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    with database_server_of(request.param) as server:
        yield server
