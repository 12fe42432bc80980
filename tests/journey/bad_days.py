"""A site on a bad day: sign-up is closed, a key is lost, parts of the database are."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.api.conftest import KEY
from tests.browser import Browser
from tests.servers import Gunicorn

LIMITS = {"LOGIN_ATTEMPTS": "1", "MAX_ENTRIES": "4", "MAX_VALUE_SIZE": "1kB"}
DAMAGE = (
    "ALTER TABLE tokens RENAME TO tokens_elsewhere",
    "UPDATE users SET created_at = 'nonsense' WHERE name = 'unlucky'",
    "CREATE TRIGGER full BEFORE INSERT ON entries WHEN NEW.key = 'too much' "
    "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
)


class BadDays:
    """The application with anna, who has little room, and somebody unlucky."""

    def __init__(self, folder: Path) -> None:
        self.server = Gunicorn(folder, **LIMITS, ENCRYPTION_KEYS=KEY).start()
        self.cookies: dict[str, list[Any]] = {"visitor": []}
        anna = self._make("anna")
        anna.submit("/entries/new", key="door code", value="4 7 1 1", secret="yes")
        assert anna.status == 200, anna.text
        self._make("unlucky")
        self.server.kill()
        self._damage(folder / "data" / "holdfast.db")
        del self.server.settings["ENCRYPTION_KEYS"]
        self.server.settings["SIGN_UP"] = "closed"
        self.server.start()

    def _make(self, name: str) -> Browser:
        browser = Browser(self.server.client(), name).sign_up()
        self.cookies[name] = [
            {"name": cookie.name, "value": cookie.value, "url": self.server.url}
            for cookie in browser.client.cookies.jar
        ]
        return browser

    def _damage(self, file: Path) -> None:
        with closing(sqlite3.connect(file)) as database, database:
            for statement in DAMAGE:
                database.execute(statement)
