"""What each line of a file would do here, and whether all of them can be done."""

from collections.abc import Iterable, Sequence

from webapp import clock
from webapp.entries.checking import Line, Mistake, WrongLines
from webapp.entries.foretelling import WRITTEN, Coming, Existing, Forecast, foretell
from webapp.entries.import_parts import Room
from webapp.entries.inputs import NewEntry, NewValue
from webapp.entries.service import Entries
from webapp.entries.writing import Writing
from webapp.errors import Invalid
from webapp.pace import let_others_go

NO_SECRETS = (
    "This site cannot keep secret entries. Write false to keep the value as any other."
)
PASSED = "Its end has passed since the file was checked."


class ImportCheck:
    """Compares lines with what the person has now."""

    def __init__(self, entries: Entries, writing: Writing) -> None:
        self._entries = entries
        self._writing = writing

    def check_value(self, new: NewValue) -> None:
        """Raise Invalid for what cannot be kept here, whatever else there is."""
        if new.secret and not self._entries.can_be_secret:
            raise Invalid(secret=NO_SECRETS)
        self._writing.check(new)

    def foretell(
        self, user_id: int, parts: Iterable[Sequence[Line]], mode: str
    ) -> Forecast:
        """Count what would become of the lines; raises WrongLines for the first wrong.

        A line may be right in itself and have no room, or an end that has passed.
        """
        forecast, room = Forecast(), Room(self._entries, user_id)
        for part in parts:
            comings = self.comings(user_id, [line.new for line in part], mode)
            for line, coming in zip(part, comings, strict=True):
                try:
                    self._check(coming)
                    room.take(coming)
                except Invalid as error:
                    mistake = Mistake(line.place, str(error), line.new.key)
                    raise WrongLines(mistake) from error
                forecast.add(coming)
            let_others_go()
        return forecast

    def comings(
        self, user_id: int, lines: Sequence[NewEntry], mode: str
    ) -> list[Coming]:
        """Tell what becomes of each line as things are."""
        rows = self._entries.get_all(user_id, [new.key for new in lines])
        there = {
            key: Existing(row, self._entries.reveal(row)) for key, row in rows.items()
        }
        return [foretell(new, there.get(new.key), mode) for new in lines]

    def _check(self, coming: Coming) -> None:
        # Again, for an entry that is secret stays so.
        self.check_value(coming.new)
        end = coming.new.expires_at
        if coming.outcome in WRITTEN and end and end <= clock.now():
            raise Invalid(expires_at=PASSED)
