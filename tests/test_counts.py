"""The folder where several workers keep what they have counted."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import counts


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(counts, "MEMORY", tmp_path)
    monkeypatch.delenv(counts.VARIABLE, raising=False)
    yield tmp_path
    counts.remove_folder()


def make(memory: Path, name: str) -> Path:
    folder = memory / name
    folder.mkdir()
    (folder / "counter_1.db").touch()
    return folder


def test_what_a_killed_server_left_goes_with_the_next_start(memory: Path) -> None:
    left, other = make(memory, "holdfast-1-abc"), make(memory, "other-1-abc")
    counts.open_folder()
    assert not left.exists()
    assert set(memory.iterdir()) == {other, Path(os.environ[counts.VARIABLE])}


def test_what_a_running_server_has_stays(memory: Path) -> None:
    folder = make(memory, "holdfast-1-abc")
    running = os.open(folder, os.O_RDONLY)
    fcntl.flock(running, fcntl.LOCK_SH)
    counts.open_folder()
    os.close(running)
    assert list(folder.iterdir())


def test_a_folder_is_held_from_its_start(memory: Path) -> None:
    counts.open_folder()
    folder = os.environ.pop(counts.VARIABLE)
    counts.open_folder()
    assert Path(folder).is_dir()
    assert os.environ[counts.VARIABLE] != folder
