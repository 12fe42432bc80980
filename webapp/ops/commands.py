"""`flask user …` and `flask db …`: the operator's commands."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from webapp.accounts.inputs import NewAccount
from webapp.accounts.service import Accounts
from webapp.database import REVISION, Database
from webapp.errors import HoldfastError
from webapp.ops.views import blueprint
from webapp.web import parse

user = AppGroup("user", help="Make, list and change accounts.")
db = AppGroup("db", help="Look after the database.")

password_option = click.password_option(
    help="Asked for when not given; better than leaving it in the shell's history."
)


def init_ops(app: Flask, database: Database) -> None:
    app.extensions["database"] = database
    app.register_blueprint(blueprint)
    app.cli.add_command(user)
    app.cli.add_command(db)


@user.command("create")
@click.argument("name")
@password_option
def create_user(name: str, password: str) -> None:
    """Make an account, also where sign-up is closed."""
    with _explaining():
        account = _accounts().create(
            parse(NewAccount, {"name": name, "password": password})
        )
    click.echo(f"Created {account.name}.")


@user.command("list")
def list_users() -> None:
    """List all accounts."""
    accounts = _accounts().list_all()
    for account in accounts:
        state = "disabled" if account.disabled_at else "active"
        click.echo(f"{account.name:32}  {state:8}  {account.created_at:%Y-%m-%d}")
    click.echo(f"{len(accounts)} accounts.")


@user.command("disable")
@click.argument("name")
def disable_user(name: str) -> None:
    """Refuse log-ins of an account and end its sessions; nothing is deleted."""
    with _explaining():
        _accounts().disable(name)
    click.echo(f"Disabled {name}; all sessions ended.")


@user.command("enable")
@click.argument("name")
def enable_user(name: str) -> None:
    """Let a disabled account log in again."""
    with _explaining():
        _accounts().enable(name)
    click.echo(f"Enabled {name}.")


@user.command("set-password")
@click.argument("name")
@password_option
def set_password(name: str, password: str) -> None:
    """Give an account a new password and end its sessions."""
    with _explaining():
        _accounts().set_password(name, password)
    click.echo(f"Password of {name} changed; all sessions ended.")


@db.command("upgrade")
def upgrade() -> None:
    """Bring the tables to this release; done at every start as well."""
    database: Database = current_app.extensions["database"]
    database.upgrade()
    click.echo(f"The database is at revision {REVISION}.")


@contextmanager
def _explaining() -> Iterator[None]:
    """Turn an error raised on purpose into one line and exit status 1."""
    try:
        yield
    except HoldfastError as error:
        raise click.ClickException(str(error)) from error


def _accounts() -> Accounts:
    return current_app.extensions["accounts"]  # type: ignore[no-any-return]
