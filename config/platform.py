"""What is known of the platform that runs us, and of the disks that it throws away."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

# What each sets in every container. CapRover and others that use Docker are told by
# their file system, and so is Dokku, which sets Heroku's variable.
PLATFORMS = {
    "DYNO": "Heroku (or Dokku)",
    "RENDER": "Render",
    "RAILWAY_PROJECT_ID": "Railway",
    "FLY_APP_NAME": "Fly",
    "CONTAINER_VERSION": "Scalingo",
    "CC_DEPLOYMENT_ID": "Clever Cloud",
}
# Where Heroku may have mounted disks of its own, which go with the dyno. It has no
# others; on Dokku any other is one that was asked for.
OF_A_DYNO = (PurePath("/"), PurePath("/app"), PurePath("/tmp"))  # noqa: S108
IN_MEMORY = ("tmpfs", "ramfs")
LAYERED = ("overlay", "aufs")
MOUNTS = Path("/proc/self/mounts")


@dataclass(frozen=True)
class Disk:
    """What the files in a folder outlive, and why they do not outlive more."""

    restart: bool = True
    redeploy: bool = True
    why: str = ""


def disk_of(
    folder: Path,
    environment: Mapping[str, str] = os.environ,
    mounts: Path = MOUNTS,
) -> Disk:
    """Tell it from the platform and the file system.

    A disk that a platform keeps is mounted below `/`; what is on the file system of
    `/` goes with the container, of which Docker keeps one over a restart.
    """
    place, kind = _mount_of(folder.resolve(), mounts)
    platform = next(
        (PLATFORMS[name] for name in PLATFORMS if environment.get(name)), ""
    )
    if kind in IN_MEMORY:
        why = (
            f"{folder} is on a file system in memory ({kind}), which is empty after a "
            "restart of the machine"
        )
        return Disk(redeploy=False, why=why)
    thrown_away = OF_A_DYNO if environment.get("DYNO") else OF_A_DYNO[:1]
    if platform and place in thrown_away:
        why = f"{platform} gives each process a new disk"
        return Disk(restart=False, redeploy=False, why=why)
    if place == PurePath("/") and kind in LAYERED:
        why = f"{folder} is on the container's own disk ({kind}), and goes with it"
        return Disk(redeploy=False, why=why)
    return Disk()


def _mount_of(folder: Path, mounts: Path) -> tuple[PurePath, str]:
    """Return where the folder's file system is mounted, and its type if known."""
    found = (PurePath("/"), "")
    with suppress(OSError):
        for line in mounts.read_text("utf-8", "replace").splitlines():
            place, kind = line.split()[1:3]
            # The kernel writes a space as \040. Of two at one place the later one
            # is seen.
            place = place.replace("\\040", " ")
            if folder.is_relative_to(place) and len(place) >= len(str(found[0])):
                found = (PurePath(place), kind)
    return found


def environment_with(**changed: str) -> dict[str, str]:
    """Return the environment for a process of our own, which serves like this one.

    What somebody passes to gunicorn besides would beat these settings.
    """
    kept = {
        name: os.environ[name] for name in os.environ if name != "GUNICORN_CMD_ARGS"
    }
    return kept | changed
