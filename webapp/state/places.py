"""Where each kind of state is, and how long it lasts there: said at every start."""

import logging
from dataclasses import dataclass

from flask import Flask

from config.kinds import MAKE_KEY
from config.settings import Settings
from webapp.database import Database
from webapp.lasting import Lasting
from webapp.state.marks import InDatabase, InStore, Keeper, Marks, this_run
from webapp.stores import Store

# What is lost with each. Cached values may vanish anywhere.
LOST = {
    "records": "accounts, sessions and entries are lost",
    "session data": "nobody is logged out, but what pages keep in a session is lost",
}
# What to do about it, by the setting that says where it is.
ADVICE = {
    "records": {
        "DATABASE_URL": "Let DATABASE_URL name a database server, or a file on a disk "
        "that stays.",
        "DATA_DIR": "Set DATABASE_URL, or put DATA_DIR on a disk that stays.",
    },
    "session data": {
        "SESSION_URL": "Let SESSION_URL name a Redis that keeps it on disk, or a "
        "folder on a disk that stays.",
        "REDIS_URL": "Let that Redis keep it on disk (appendonly yes) and evict "
        "nothing (maxmemory-policy noeviction).",
        "DATA_DIR": "Put it into a Redis that keeps it on disk (REDIS_URL), or "
        "DATA_DIR on a disk that stays.",
    },
}
STATES = ("records", "session data", "cached values")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where one kind of state is."""

    state: str
    place: str
    lasting: Lasting

    @property
    def is_known(self) -> bool:
        return self.lasting.restart is not None

    @property
    def survives(self) -> str:
        match self.lasting.restart, self.lasting.redeploy:
            case True, True:
                return "survives a restart and a redeploy"
            case True, False:
                return "survives a restart, but not a redeploy"
            case False, _:
                return "survives neither a restart nor a redeploy"
        return "is not known to survive a restart or a redeploy"


class Places:
    """The three kinds of state and where each is."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        stores: tuple[Store, Store],
        release: str,
    ) -> None:
        self._settings = settings
        self.database, self.stores = database, stores
        self._parts: dict[str, Database | Store] = dict(
            zip(STATES, (database, *stores), strict=True)
        )
        keepers: list[Keeper] = [InDatabase(database), *map(InStore, stores)]
        self.marks = Marks(dict(zip(STATES, keepers, strict=True)), this_run(release))

    def begin(self) -> None:
        """Serve from now on: leave marks for the next start, and say where state is."""
        marks = self.marks.begin()
        self.say()
        for state, mark in marks.items():
            if state in LOST and mark.lost_at == mark.run.started_at:
                place = mark.places[state]
                log.warning(
                    "%s: what was in %s at an earlier start is gone",
                    state.upper(),
                    place,
                )

    def end(self) -> None:
        """Note that this process ended in order."""
        self.marks.end()

    def look(self) -> list[Place]:
        return [
            Place(state, part.place, part.lasting())
            for state, part in self._parts.items()
        ]

    def say(self) -> None:
        """Log a line for each, and warn of what will be lost."""
        places = self.look()
        for each in places:
            log.info("%s: in %s, %s", each.state, each.place, each.survives)
        for each in places:
            # A store that is away has been warned of.
            if each.state in LOST and each.lasting.warning and each.is_known:
                log.warning(
                    "%s: %s; %s. %s",
                    each.state.upper(),
                    each.lasting.warning,
                    LOST[each.state],
                    self._advice(each.state),
                )
        if self._settings.workers < self._settings.web_concurrency:
            log.info(
                "One worker, not WEB_CONCURRENCY=%s: %s",
                self._settings.web_concurrency,
                self._settings.held_here,
            )
        if not self._settings.encryption_keys:
            log.info(
                "secret entries: none can be made until ENCRYPTION_KEYS has what `%s` "
                "prints",
                MAKE_KEY,
            )

    def _advice(self, state: str) -> str:
        records, _, _ = STATES
        names = ["database_url"] if state == records else ["session_url", "redis_url"]
        return ADVICE[state][self._settings.source_of(*names)]


def init_places(app: Flask, places: Places) -> None:
    app.extensions["places"] = places
