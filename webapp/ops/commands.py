"""`flask user …` and `flask db …`: the operator's commands."""

import click
from flask import current_app
from flask.cli import AppGroup

from webapp.accounts.code_views import PATH, current_codes
from webapp.accounts.codes import Code
from webapp.accounts.inputs import NewAccount, NewName
from webapp.accounts.service import Accounts
from webapp.database import Database
from webapp.ops import backup_commands, key_commands  # noqa: F401
from webapp.ops.explaining import explaining
from webapp.ops.state_commands import state
from webapp.ops.upkeep import Upkeep
from webapp.schema import REVISION, write_migration
from webapp.sessions.devices import describe_device
from webapp.sessions.guard import current_sessions
from webapp.sessions.service import BY_OPERATOR
from webapp.web import parse

user = AppGroup("user", help="Make, list and change accounts.")
session = AppGroup("session", help="See and end who is logged in.")
db = AppGroup("db", help="Look after the database.")

ASKED_FOR = "Asked for when not given; better than leaving it in the shell's history."


def add_commands(group: AppGroup) -> None:
    for command in user, session, db, state:
        group.add_command(command)


@user.command("create")
@click.argument("name")
@click.option("--password", help=ASKED_FOR)
@click.option(
    "--code",
    "by_code",
    is_flag=True,
    help="Print a one-time code, with which the person sets the password.",
)
def create_user(name: str, password: str | None, by_code: bool) -> None:
    """Make an account, also where sign-up is closed; --code asks for no password."""
    if by_code and password is not None:
        raise click.UsageError("Give --code, or a password.")
    if by_code:
        with explaining():
            code = current_codes().create_account(parse(NewName, {"name": name}))
        click.echo(f"Created {code.name}.")
        _tell(code)
        return
    if password is None:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    with explaining():
        account = _accounts().create(
            parse(NewAccount, {"name": name, "password": password})
        )
    click.echo(f"Created {account.name}.")


@user.command("list")
def list_users() -> None:
    """List all accounts."""
    accounts = _accounts().list_all()
    for account in accounts:
        state = "active" if account.has_password else "new"
        state = "disabled" if account.disabled_at else state
        click.echo(f"{account.name:32}  {state:8}  {account.created_at:%Y-%m-%d}")
    click.echo(f"{_count(len(accounts), 'account')}.")


@user.command("disable")
@click.argument("name")
def disable_user(name: str) -> None:
    """Refuse log-ins of an account and end its sessions; nothing is deleted."""
    with explaining():
        _accounts().disable(name)
    click.echo(f"Disabled {name}; all sessions ended.")


@user.command("enable")
@click.argument("name")
def enable_user(name: str) -> None:
    """Let a disabled account log in again."""
    with explaining():
        _accounts().enable(name)
    click.echo(f"Enabled {name}.")


@user.command("make-code")
@click.argument("name")
def make_code(name: str) -> None:
    """Print a one-time code, with which the person sets a new password."""
    with explaining():
        code = current_codes().make(name)
    _tell(code)


def _tell(code: Code) -> None:
    click.echo(
        f"One-time code for {code.name}, until {code.expires_at:%Y-%m-%d %H:%M} UTC:"
    )
    click.echo(code.text)
    click.echo(
        f"Tell it to nobody but {code.name}, who sets a password with it at {PATH}. "
        "Earlier codes are void."
    )


@user.command("set-password")
@click.argument("name")
@click.password_option(help=ASKED_FOR)
def set_password(name: str, password: str) -> None:
    """Give an account a new password, end its sessions and revoke its tokens."""
    with explaining():
        _accounts().set_password(name, password)
    click.echo(f"Password of {name} changed; all sessions ended.")


@session.command("list")
@click.argument("name")
def list_sessions(name: str) -> None:
    """List the browsers in which a person is logged in."""
    with explaining():
        account = _accounts().find(name)
    alive, _ = current_sessions().records.of_user(account.id)
    for row in alive:
        device = describe_device(row.user_agent)
        times = f"{row.created_at:%Y-%m-%d %H:%M}  {row.last_seen_at:%Y-%m-%d %H:%M}"
        click.echo(f"{row.id:8}  {device:32}  {row.address:40}  {times}")
    total = _count(len(alive), "session")
    click.echo(f"{total}: number, browser, address, signed in, last seen (UTC).")


@session.command("end")
@click.argument("name", required=False)
@click.option("--all", "everybodys", is_flag=True, help="The sessions of everybody.")
def end_sessions(name: str | None, everybodys: bool) -> None:
    """End all sessions of a person, or of everybody with --all."""
    if bool(name) == everybodys:
        raise click.UsageError("Give a user name, or --all.")
    with explaining():
        if name:
            account = _accounts().find(name)
            ended = current_sessions().end_all(account.id, BY_OPERATOR)
        else:
            ended = current_sessions().end_everybodys(BY_OPERATOR)
    click.echo(f"Ended {_count(ended, 'session')}.")


@session.command("purge")
def purge_sessions() -> None:
    """Remove what expired now; done a little at a time by the server as well."""
    upkeep: Upkeep = current_app.extensions["upkeep"]
    removed = upkeep.purge_all()
    what = "copy or record" if removed == 1 else "copies and records"
    click.echo(f"Removed {removed:,} expired {what}.")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


@db.command("upgrade")
def upgrade() -> None:
    """Bring the tables to this release; done at every start as well."""
    database: Database = current_app.extensions["database"]
    database.upgrade()
    database.complete()
    click.echo(f"The database is at revision {REVISION}.")


@db.command("migrate")
@click.argument("message")
def migrate(message: str) -> None:
    """Write a migration for what you changed in the models (in development)."""
    database: Database = current_app.extensions["database"]
    with explaining():
        file = write_migration(database.engine, message)
    if file:
        click.echo(f"Wrote {file}. Read it, then set REVISION in webapp/schema.py.")
    else:
        click.echo("The tables are as the models say; nothing to write.")


def _accounts() -> Accounts:
    return current_app.extensions["accounts"]  # type: ignore[no-any-return]
