"""What a move notes at its target: from where it copies, and whether it is done.

The notes are beside the mark, which tells who has served there since.
"""

from contextlib import suppress

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, delete, insert
from sqlalchemy.exc import DBAPIError

from config.mistakes import RefusedToStart
from webapp.database import Database
from webapp.state.marks import KEY, Mark, MarkRecord, content_of

# Under which a move notes the mark that it found at its target; a later start differs.
COPIED = "copied"
MOVE = "move"


class Move(BaseModel):
    """The last move to a place; one that is not finished left a part of the records."""

    source: str
    is_finished: bool = False


def begin_copy(connection: Connection, source: str) -> None:
    """Note that the records here are copied now: whoever has served, did so before."""
    _write(connection, COPIED, _run_of_mark(connection))
    _write(connection, MOVE, Move(source=source).model_dump_json())


def end_copy(connection: Connection, source: str) -> None:
    """Note that all of it is here."""
    _write(connection, MOVE, Move(source=source, is_finished=True).model_dump_json())


def has_served(connection: Connection) -> bool:
    """Tell whether the application began here, since the records were copied if so."""
    return _run_of_mark(connection) != (content_of(connection, COPIED) or "")


def last_move(connection: Connection) -> Move | None:
    with suppress(ValidationError):
        return Move.model_validate_json(content_of(connection, MOVE) or "")
    return None


def is_partial(connection: Connection) -> bool:
    """Tell whether only a part of the records came here so far."""
    move = last_move(connection)
    return move is not None and not move.is_finished


def require_whole(database: Database) -> None:
    """Raise RefusedToStart where a move was not finished."""
    # Whoever cannot read it finds out by what is asked next.
    with suppress(DBAPIError), database.read() as connection:
        move = last_move(connection)
        if move and not move.is_finished:
            raise RefusedToStart(
                f"{database.place} has only a part of the records: a move from "
                f"{move.source} was not finished. Run `flask state move records` again "
                "with the settings of before, or restore a backup (flask state restore "
                "--force)."
            )


def _write(connection: Connection, name: str, content: str) -> None:
    connection.execute(delete(MarkRecord).where(MarkRecord.name == name))
    connection.execute(insert(MarkRecord).values(name=name, content=content))


def _run_of_mark(connection: Connection) -> str:
    """Return which run left the mark; it is the same when that run has ended."""
    content = content_of(connection, KEY)
    try:
        return Mark.model_validate_json(content).run.id if content else ""
    except ValidationError:
        return "unknown"
