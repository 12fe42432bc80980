"""`flask state backup` and `restore`, on any machine and from any of them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory

import click
from flask import current_app
from flask.cli import AppGroup

from config.settings import Settings
from webapp.database import Database
from webapp.ops.explaining import advance, explaining, progress
from webapp.ops.state_commands import state
from webapp.state.archive import Manifest
from webapp.state.backup import back_up
from webapp.state.restore import restore, sqlite_file
from webapp.state.tables import count_rows

force_option = click.option("--force", is_flag=True, help="Replace what is there.")


@state.command("backup")
@click.argument("file")
@force_option
def backup_records(file: str, force: bool) -> None:
    """Write all records into one file while people go on writing; - is stdout."""
    database: Database = current_app.extensions["database"]
    if file != "-":
        _check_place(Path(file), sqlite_file(str(database.engine.url)), force=force)
    made: list[Manifest] = []
    with explaining(), _written(file) as path:
        with database.read() as connection:
            total = sum(count_rows(connection).values())
        with progress(total, "Backing up") as bar:
            for step in back_up(database, path, made):
                advance(bar, step)
    for line in _describe(made[0]):
        click.echo(line, err=file == "-")


@state.command("restore")
@click.argument("file")
@force_option
def restore_records(file: str, force: bool) -> None:
    """Put a backup in the place of all records; - is stdin.

    Stop the server first: on SQLite it is refused while one has the database open.
    """
    settings: Settings = current_app.config["SETTINGS"]
    if database := current_app.extensions.get("database"):
        database.engine.dispose()
    stores = current_app.extensions["stores"]
    with explaining(), _read(file) as path:
        restored = restore(path, settings.database, stores, force=force)
    for line in _describe(restored.manifest):
        click.echo(line)
    if restored.sessions_kept:
        click.echo(
            f"{restored.sessions_kept:,} sessions that began, ended or changed since "
            "are as they were before."
        )
    click.echo(f"All of it is in {restored.place}.")
    for place in restored.not_emptied:
        click.echo(f"Empty {place} before you start: it went away meanwhile.")


def add_commands(group: AppGroup) -> None:
    """Add the one command that an application without records is for."""
    restoring = AppGroup("state")
    restoring.add_command(restore_records)
    group.add_command(restoring)


def _check_place(file: Path, database: Path | None, *, force: bool) -> None:
    """Raise ClickException where a backup would take the place of something else."""
    if not file.parent.is_dir():
        raise click.ClickException(f"{file.parent}: there is no such folder.")
    if not file.exists():
        return
    if not file.is_file() or (database and file.resolve() == database):
        raise click.ClickException(f"{file} is something else than a backup.")
    if not force:
        raise click.ClickException(f"{file} is there already. --force replaces it.")


@contextmanager
def _written(file: str) -> Iterator[Path]:
    if file != "-":
        yield Path(file)
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "backup"
        yield path
        with path.open("rb") as source:
            copyfileobj(source, sys.stdout.buffer)
        sys.stdout.flush()


@contextmanager
def _read(file: str) -> Iterator[Path]:
    if file != "-":
        yield Path(file)
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "backup"
        with path.open("wb") as target:
            copyfileobj(sys.stdin.buffer, target)
        yield path


def _describe(manifest: Manifest) -> Iterator[str]:
    yield f"Backup of {manifest.place}, made {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC:"
    for name, rows in manifest.rows.items():
        yield f"  {name:20} {rows:12,}"
