"""How long what is kept at a place lasts, as far as the place itself can tell."""

from dataclasses import dataclass
from pathlib import Path

from config.platform import disk_of


@dataclass(frozen=True)
class Lasting:
    """Whether a place outlives a restart of the process, and a redeploy; None: unknown.

    `warning` says what else may take something away, or why it does not last.
    """

    restart: bool | None
    redeploy: bool | None
    warning: str = ""


def on_disk(folder: Path) -> Lasting:
    """Tell it of files; the folder need not be there yet."""
    disk = disk_of(folder)
    return Lasting(disk.restart, disk.redeploy, disk.why)
