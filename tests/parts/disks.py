"""A small disk for one test, to be filled or locked; where none can be mounted, the test is skipped."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

BLOCK = 4096


class Disk:
    """A file system in memory, mounted for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Take all the room that is left."""
        with self._filler.open("ab", buffering=0) as handle, suppress(OSError):
            while handle.write(b"x" * BLOCK):
                pass

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nothing can be written on it meanwhile."""
        _mount("-o", "remount,ro", str(self.folder))
        try:
            yield
        finally:
            _mount("-o", "remount,rw", str(self.folder))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Eight megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    refused = _mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder))
    if refused:
        pytest.skip(f"no disk of its own can be mounted here: {refused}")
    yield Disk(folder)
    subprocess.run(["umount", str(folder)], check=True)


def _mount(*arguments: str) -> str:
    """Why it was refused; empty where it was not."""
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no command called mount"
    return "" if done.returncode == 0 else done.stderr.strip() or f"mount ended with {done.returncode}"
