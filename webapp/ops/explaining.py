"""How a command tells how far it is, and what went wrong in one line."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from config.mistakes import RefusedToStart, one_line
from webapp.errors import HoldfastError

# How much of it has to be done before the time that is left is told.
TOLD_FROM = 0.1


@contextmanager
def explaining() -> Iterator[None]:
    """Turn an error that an operator can do something about into one line."""
    try:
        yield
    except (HoldfastError, RefusedToStart) as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        raise click.ClickException(one_line(error.orig)) from error
    except UnicodeEncodeError as error:
        raise click.ClickException("What was given is not text.") from error
    except sqlite3.Error as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{place}{error.strerror}") from error


def progress(total: int, label: str) -> Any:
    """Make click's progress bar, for people; a log or a pipe gets none.

    `advance` moves it.
    """
    return click.progressbar(
        length=total, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()
    )


def advance(bar: Any, step: int) -> None:
    """Show that a step is done; how long the rest takes, once that can be told.

    Looking for what has changed is a step of 0, and the first rows take longer than
    others: click would make hours of a second.
    """
    bar.show_eta = bar.pos + step >= bar.length * TOLD_FROM
    bar.update(step)
    if not bar.show_eta:
        bar.avg, bar.eta_known = [], False
