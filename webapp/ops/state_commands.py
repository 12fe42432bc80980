"""`flask state …`: where state is, whether it lasts, and how it gets elsewhere."""

import secrets
import signal
import sys
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import make_url, select

from config.kinds import DatabaseUrl, StoreUrl
from config.mistakes import without_password
from config.settings import Settings, check_together
from webapp.accounts.inputs import NewAccount
from webapp.accounts.models import User
from webapp.database import Database
from webapp.ops.explaining import advance, explaining, progress
from webapp.sessions.guard import current_sessions
from webapp.state.in_use import is_in_file
from webapp.state.moving import (
    Moved,
    check_target,
    move_copies,
    move_records,
    move_values,
)
from webapp.state.places import Places
from webapp.state.proof import Proof, Seen
from webapp.state.report import Report
from webapp.state.same import is_same_database, is_same_store
from webapp.state.tables import count_rows
from webapp.stores import Store, open_store

# What is moved by itself: the setting that says where it is, and its kind of URL.
MOVED: dict[str, tuple[str, TypeAdapter[str]]] = {
    "records": ("DATABASE_URL", TypeAdapter(DatabaseUrl)),
    "sessions": ("SESSION_URL", TypeAdapter(StoreUrl)),
    "cache": ("CACHE_URL", TypeAdapter(StoreUrl)),
}
MEANT = {"sessions": "the session data is", "cache": "the cached values are"}
ONCE_MORE = "Stop the application and run this again: it takes only what has changed."
AGAIN = "What was moved so far stays there; run it again to go on."


@click.group("state", cls=AppGroup, invoke_without_command=True)
@click.pass_context
@with_appcontext
def state(context: click.Context) -> None:
    """Show where each kind of state is, how much, and what it outlives."""
    if context.invoked_subcommand is not None:
        return
    is_usable = "database" in current_app.extensions
    with explaining():
        report = Report(_places(), opens_records=is_usable)
        for line in (*report.table(), "", *report.notes()):
            click.echo(line)
    if not is_usable:
        # It was said before the table why.
        context.exit(1)
    if report.trouble:
        raise click.ClickException(f"The records cannot be read. {report.trouble}")


@state.command("prove")
def prove() -> None:
    """Serve, log in, keep a value, kill -9, serve again, and say what is there."""
    settings: Settings = current_app.config["SETTINGS"]
    # Its password has at least as many characters as bytes are random.
    length = max(24, settings.password_min_length)
    who = NewAccount(
        name=f"proof-{secrets.token_hex(8)}", password=secrets.token_urlsafe(length)
    )
    # What was started and made is stopped and deleted whatever ends the command.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    places = _places()
    proof = Proof(current_app.extensions["accounts"], *places.stores)
    with explaining():
        for said in proof.run(who):
            if isinstance(said, str):
                click.echo(f"{said} ...")
            else:
                _tell(said, places)


@state.command("move")
@click.argument("what", type=click.Choice(list(MOVED)))
@click.argument("to", required=False)
@click.option("--force", is_flag=True, help="Delete what only the new place has.")
@click.pass_context
def move(context: click.Context, what: str, to: str | None, force: bool) -> None:
    """Copy records, sessions or cache to another URL; nobody is logged out.

    The URL is asked for when it is not given: it may have a password.
    """
    setting, kind = MOVED[what]
    given = to or click.prompt("URL", hide_input=True)
    try:
        url = kind.validate_python(given)
    except ValidationError as error:
        allowed = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise click.ClickException(f"{without_password(given)}: {allowed}") from error
    with explaining():
        if what == "records":
            moved = _move_records(url, force=force)
        else:
            moved = _move_values(what, url)
    for name, count in moved.rows.items():
        click.echo(f"{name:20} {count:12,}")
    if moved.differing:
        click.echo(f"Not all is there of {', '.join(moved.differing)}. {AGAIN}")
        context.exit(1)
    if moved.is_behind or moved.in_use:
        why = "Somebody wrote meanwhile." if moved.is_behind else moved.in_use
        click.echo(f"{why} {ONCE_MORE}")
        context.exit(2)
    then = f"set {setting} to {shown(what, given)} and start the application"
    click.echo(f"All of it is there, read again and compared. {_first(what, then)}")


def shown(what: str, url: str) -> str:
    """Write a URL that was taken, without a password; it can be in the query too."""
    if what != "records":
        return without_password(url)
    place = make_url(url)
    more = "?***" if place.query else ""
    return place.set(query={}).render_as_string() + more


def _tell(seen: Seen, places: Places) -> None:
    """Say what was there after the kill; the exit status says whether it had to be."""
    database, (sessions, cache) = places.database, places.stores
    for is_there, what in (
        (seen.is_logged_in, "the browser is still logged in"),
        (seen.has_entry, f"the entry is there ({database.place})"),
        (seen.has_copy, f"the session's copy is there ({sessions.place})"),
        (seen.has_cached_values, f"cached values are there ({cache.place})"),
    ):
        click.echo(f"{'yes' if is_there else 'NO ':4} {what}")
    click.echo(f"It answered again after {seen.seconds:.2f} s.")
    if not seen.has_copy:
        click.echo("A copy that is gone is made anew from the session's record.")
    if not (seen.is_logged_in and seen.has_entry):
        raise click.ClickException("This place does not keep what it has to.")


def _first(what: str, then: str) -> str:
    """Say what to do first where the old place cannot tell for certain who uses it."""
    if what != "records":
        return f"Now {then}: what is kept at the old place until then stays there."
    if is_in_file(current_app.extensions["database"]):
        return f"Now {then}."
    return f"Stop the application wherever it still runs, then {then}."


def _move_records(url: str, *, force: bool) -> Moved:
    source: Database = current_app.extensions["database"]
    target, moved = Database(url), Moved()
    if is_same_database(source, target):
        raise click.ClickException("That is where the records are.")
    # This takes a while, in which the target shall have no tables without a row.
    with source.read() as connection:
        total = sum(count_rows(connection).values())
    target.upgrade()
    if not force:
        check_target(source, target)
    _follow(total, move_records(source, target, moved))
    return moved


def _move_values(what: str, url: str) -> Moved:
    moved, places = Moved(), _places()
    settings: Settings = current_app.config["SETTINGS"]
    name = {"sessions": "session", "cache": "cache"}[what]
    # A start there would say the same, when it is too late.
    check_together(settings.model_copy(update={f"{name}_url": url}))
    target: Store = open_store(
        url, name, any_certificate=settings.redis_certificate == "any"
    )
    sessions, cache = places.stores
    source = cache if what == "cache" else sessions
    if not (source.is_shared and target.is_shared):
        raise click.ClickException("What is in a process's memory ends with it.")
    # Both have to answer for it, also where there is nothing to move.
    if is_same_store(source, target):
        raise click.ClickException(f"That is where {MEANT[what]}.")
    with places.database.read() as connection:
        users = connection.scalars(select(User.id)).all()
    if what == "cache":
        _follow(len(users), move_values(users, cache, target, moved))
    else:
        records = current_sessions().records
        steps = move_copies(records, sessions, target, moved)
        _follow(records.everybodys.count_unended(), steps)
    return moved


def _follow(total: int, steps: Any) -> None:
    """Show how far it is; Ctrl-C stops it between two steps."""
    with progress(total, "Moving") as bar:
        try:
            for step in steps:
                advance(bar, step)
        except KeyboardInterrupt as interrupt:
            raise click.ClickException(AGAIN) from interrupt


def _places() -> Places:
    return current_app.extensions["places"]  # type: ignore[no-any-return]
