"""`flask state rotate-keys`: what is encrypted under the key in front."""

from collections import Counter
from collections.abc import Iterator

import click
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from config.kinds import MAKE_KEY
from config.mistakes import one_line
from webapp.entries.rotation import Rotation
from webapp.entries.service import Entries
from webapp.ops.explaining import advance, progress
from webapp.ops.state_commands import state

NO_KEY = (
    "ENCRYPTION_KEYS is not set, so nothing can be encrypted. Set it to what "
    f"`{MAKE_KEY}` prints."
)
AGAIN = "What was re-encrypted so far stays so. Run it again to go on."
ALL_DONE = (
    "All secret values are under the first key. The other keys can be taken out of "
    "ENCRYPTION_KEYS, and are needed for older backups only."
)
KEEP_ALL = "Keep all keys."


@state.command("rotate-keys")
def rotate_keys() -> None:
    """Put all secret values under the first of ENCRYPTION_KEYS."""
    entries: Entries = current_app.extensions["entries"]
    rotation = entries.rotation()
    if not rotation.keys:
        raise click.ClickException(NO_KEY)
    try:
        unreadable = _rotate(rotation)
        left = rotation.waiting()
    except KeyboardInterrupt as interrupt:
        raise click.ClickException(AGAIN) from interrupt
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise click.ClickException(f"{one_line(cause)} {AGAIN}") from error
    if not left:
        click.echo(ALL_DONE)
        return
    for line in _explain(left, unreadable, rotation.keys):
        click.echo(line)
    click.get_current_context().exit(1)


def _rotate(rotation: Rotation) -> Counter[str]:
    """Re-encrypt what there is; count what cannot be read by the key it is under."""
    done, unreadable = 0, Counter[str]()
    waiting = rotation.waiting()
    total = sum(waiting.values())
    with progress(total, "Re-encrypting") as bar:
        for key in waiting:
            for outcome in rotation.run(key):
                done += outcome == "re-encrypted"
                unreadable[key] += outcome == "unreadable"
                advance(bar, 1)
    click.echo(f"Re-encrypted {_count(done)} under the key {rotation.keys[0]}.")
    return unreadable


def _explain(
    left: Counter[str], unreadable: Counter[str], keys: list[str]
) -> Iterator[str]:
    """Say of everything that is not under the first key why, and what to do."""
    for key, count in left.items():
        bad, late = unreadable[key], count - unreadable[key]
        if bad and key in keys:
            yield f"{_count(bad)} cannot be read: damaged or swapped (key {key})."
        elif bad:
            yield (
                f"{_count(bad)} cannot be read: the key {key} is not in "
                "ENCRYPTION_KEYS. Add it behind the others and run this again."
            )
        if late > 0:
            yield (
                f"{_count(late)} came under the key {key} meanwhile: a server still "
                "has that one in front. Restart it, then run this again."
            )
    yield KEEP_ALL


def _count(values: int) -> str:
    return f"{values:,} " + ("value" if values == 1 else "values")
