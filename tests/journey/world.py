"""What is there when the pages are looked at: much, little, long and odd things."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from tests.api.conftest import KEY
from tests.browser import Browser
from tests.servers import Gunicorn

DESKTOP = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Safari/605.1.15",
)
LONG_KEY = "a key as long as they can be, without a space at its end: " + "x" * 142
NOTES = {
    "birthdays": "Ida 3 March, Jonas 17 June, grandma 30 October",
    "car papers": "In the blue folder, second shelf. The number is HF 4711.",
    "desk height": "73 cm sitting, 112 cm standing",
    "garden": "Plums in August, then the net. The hose is with the neighbours.",
    "meter readings": "2026-09-30: 18,204 kWh\n2026-10-31: 18,391 kWh",
    "paint of the hall": "RAL 7035, half a tin left in the cellar",
    "shopping list": "bread, lentils, coffee",
    "recipe/bread": "500 g flour, 350 g water, 10 g salt, a day of patience",
    "שלום": "from right to left",
}
SETTINGS = {
    "printer": {"address": "192.0.2.17", "colour": False, "trays": ["A4", "A3"]},
    "backup plan": {"every": "day", "at": "03:30", "keep": 14},
}


class World:
    """The application with a newcomer, who has nothing, and anna, who has a lot."""

    def __init__(self, folder: Path) -> None:
        self.server = Gunicorn(folder, ENCRYPTION_KEYS=KEY).start()
        self.cookies: dict[str, list[Any]] = {"visitor": []}
        self._make("newcomer")
        self._fill(self._make("anna"))
        # The newest of her sessions, which has no log-in to be told of.
        self._remember(Browser(self._client(DESKTOP[0]), "anna").log_in())
        # Whose password was given long ago.
        forgetful = self._make("forgetful")
        _keep(forgetful, "door code", "4 7 1 1", secret="yes")
        let_the_password_be_long_ago(self.server, "forgetful")

    def _make(self, name: str) -> Browser:
        browser = Browser(self._client(DESKTOP[0]), name).sign_up()
        self._remember(browser)
        return browser

    def _remember(self, browser: Browser) -> None:
        self.cookies[browser.name] = [
            {"name": cookie.name, "value": cookie.value, "url": self.server.url}
            for cookie in browser.client.cookies.jar
        ]

    def _fill(self, anna: Browser) -> None:
        Browser(self._client(DESKTOP[1]), anna.name).log_in()
        Browser(self._client(DESKTOP[1]), anna.name).log_in().log_out()
        Browser(self._client(DESKTOP[0]), anna.name, "not what it is").log_in()
        _keep(anna, "a long one", "word " * 9_000)
        _keep(anna, LONG_KEY, "n" * 500)
        for number in range(1, 13):
            _keep(anna, f"invoice {number:02}", f"No. {number}, paid", labels="money")
        for key, value in NOTES.items():
            _keep(anna, key, value, labels="home" if len(key) < 10 else "")
        for key, settings in SETTINGS.items():
            _keep(anna, key, json.dumps(settings), kind="json", labels="work, things")
        _keep(anna, "door code", "4 7 1 1", secret="yes", expires_at="2097-05-01T12:00")
        for value in ("bread, lentils", "bread, lentils\ncoffee", "tea", ""):
            anna.submit("/entries/shopping list/edit", value=value)
        for key in ("invoice 03", "paint of the hall"):
            anna.open(f"/entries/{key}/delete").send(action=anna.path)
        anna.submit("/account/tokens", name="backup of my laptop", access="write")
        let_a_year_go_by(self.server, anna.name)

    def _client(self, user_agent: str) -> Any:
        return self.server.client(headers={"User-Agent": user_agent})


def let_a_year_go_by(server: Gunicorn, name: str) -> None:
    """Have it that they have kept a lot in the last year, and been there all week."""
    random, size, days = Random(7), 3_000, []  # noqa: S311
    today = datetime.now(UTC).date()
    for ago in range(380, 0, -1):
        day = today - timedelta(days=ago)
        if random.random() < (0.25 if day.weekday() > 4 else 0.6):
            size += random.randint(-700, 1_100)
            days.append((day.isoformat(), int(random.expovariate(0.25)) + 1, size))
    hours = sum(random.randrange(128) << 24 * ago for ago in range(7)) | 1
    file = Path(server.settings["DATA_DIR"]) / "holdfast.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.executemany(
            "INSERT INTO entry_days (user_id, day, writes, size) "
            "VALUES ((SELECT id FROM users WHERE name = ?), ?, ?, ?)",
            [(name, *day) for day in days],
        )
        database.execute(
            "UPDATE sessions SET active_hours = ? "
            "WHERE user_id = (SELECT id FROM users WHERE name = ?)",
            (f"{hours:x}", name),
        )


def let_the_password_be_long_ago(server: Gunicorn, *names: str) -> None:
    """Have it that they gave it long ago; what is killed here loses no session."""
    server.kill()
    data = Path(server.settings["DATA_DIR"])
    with closing(sqlite3.connect(data / "holdfast.db")) as database, database:
        for name in names:
            aged = database.execute(
                "UPDATE sessions SET confirmed_at = '2026-01-01 12:00:00.000000' "
                "WHERE user_id = (SELECT id FROM users WHERE name = ?)",
                (name,),
            )
            assert aged.rowcount
    shutil.rmtree(data / "sessions")
    server.start()


def _keep(browser: Browser, key: str, value: str, **fields: str) -> None:
    browser.submit("/entries/new", key=key, value=value, **fields)
    assert browser.status == 200, browser.text
