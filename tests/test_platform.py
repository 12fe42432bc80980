"""What a folder outlives, told from the platform's variables and the file systems."""

from pathlib import Path

import pytest

from config.platform import PLATFORMS, disk_of

OVERLAY = "overlay / overlay rw 0 0\n"
OWN_DISK = "/dev/sda1 / ext4 rw 0 0\n"
VOLUME = "/dev/sdb /data ext4 rw 0 0\n/dev/sdc /with\\040space ext4 rw 0 0\n"
DYNO = "/dev/sdb /app ext4 rw 0 0\n/dev/sdb /tmp ext4 rw 0 0\n"
MEMORY = "tmpfs /run tmpfs rw 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "variable", "folder", "restart", "redeploy"),
    [
        (OWN_DISK, "", "/srv/var", True, True),
        (OVERLAY, "", "/app/var", True, False),
        (OVERLAY + VOLUME, "", "/data/holdfast", True, True),
        (OVERLAY + VOLUME, "", "/database", True, False),
        (OVERLAY + VOLUME, "", "/with space/x", True, True),
        (OWN_DISK + MEMORY, "", "/run/holdfast", True, False),
        (OWN_DISK + DYNO, "DYNO", "/app/var", False, False),
        (OWN_DISK + DYNO, "DYNO", "/tmp/var", False, False),  # noqa: S108
        (OWN_DISK + DYNO, "DYNO", "/data", False, False),
        (
            OVERLAY + "/dev/sda1 /app/storage ext4 rw 0 0\n",
            "DYNO",
            "/app/storage/x",
            True,
            True,
        ),
        *(
            (root + VOLUME, name, folder, folder == "/data", folder == "/data")
            for name in PLATFORMS
            for root in (OWN_DISK, OVERLAY)
            for folder in ("/app/var", "/data")
        ),
    ],
)
def test_what_a_folder_outlives(
    tmp_path: Path,
    mounts: str,
    variable: str,
    folder: str,
    restart: bool,
    redeploy: bool,
) -> None:
    (tmp_path / "mounts").write_text(mounts)
    environment = {variable: "something"} if variable else {}
    disk = disk_of(Path(folder), environment, tmp_path / "mounts")
    assert (disk.restart, disk.redeploy) == (restart, redeploy)
    assert bool(disk.why) != redeploy


def test_it_says_when_what_is_in_memory_is_lost(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(OWN_DISK + MEMORY)
    disk = disk_of(Path("/run/holdfast"), {}, tmp_path / "mounts")
    assert disk.why.endswith("which is empty after a restart of the machine")


def test_where_the_system_does_not_say_it_is_a_disk(tmp_path: Path) -> None:
    assert disk_of(Path("/srv/var"), {}, tmp_path / "missing").redeploy


def test_this_machine_can_be_asked(tmp_path: Path) -> None:
    assert disk_of(tmp_path).restart in (True, False)
    assert disk_of(Path("/proc/self"), {}).redeploy
