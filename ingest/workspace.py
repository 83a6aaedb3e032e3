"""Private folders in which something is made, or kept for a while; what a process that died left in them is removed.

A lock file lies beside each, held for as long as its process lives, so that the next who works at the same place tells
what was left behind from what somebody is at. What has no such lock file is never ours to remove.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

ALIVE = ".alive"
MAKING, CALIBRATING = ".making-", ".calibration-"
IMPORTING, EXPORTING, SAVING = ".importing-", ".exporting-", ".saving-"
TEMPORARY = "second-look-"  # in the folder that the system has for such
_NAME = re.compile("|".join(map(re.escape, (MAKING, CALIBRATING, IMPORTING, EXPORTING, SAVING, TEMPORARY))))


class Workspace:
    """A new folder in ``parent`` that only its owner may read, until it is closed, let go of, or its process ends.

    What was left behind in ``parent`` before is removed. Raises `OSError` where it cannot be made.
    """

    def __init__(self, parent: Path, prefix: str) -> None:
        """``prefix`` is one of those above; the folder's name begins with it."""
        sweep(parent)
        whole, lock = _made(parent, prefix)
        self.close = weakref.finalize(self, _remove, whole, lock)
        self.folder = whole / "work"
        self.folder.mkdir(mode=0o700)

    @classmethod
    def temporary(cls) -> Workspace:
        """One in the system's folder for temporary files."""
        return cls(Path(tempfile.gettempdir()).resolve(), TEMPORARY)

    def __enter__(self) -> Path:
        """The folder."""
        return self.folder

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it."""
        self.close()


def sweep(parent: Path) -> None:
    """Remove the workspaces in ``parent`` whose processes are gone, as far as that is allowed."""
    for folder in _workspaces(parent):
        if (lock := _lock_of_dead(folder)) is not None:
            _remove(folder, lock)


def abandoned(parent: Path) -> list[Path]:
    """The workspaces in ``parent`` whose processes are gone."""
    folders = []
    for folder in _workspaces(parent):
        if (lock := _lock_of_dead(folder)) is not None:
            lock.release()
            folders.append(folder)
    return folders


def _made(parent: Path, prefix: str) -> tuple[Path, FileLock]:
    while True:
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))  # mode 0700
        lock = FileLock(folder / ALIVE, thread_local=False)
        try:
            lock.acquire()
        except FileNotFoundError:  # as below, while we waited for the lock that the other one held
            continue
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if (folder / ALIVE).exists():  # else somebody who swept came between, and took it for one of the dead
            return folder, lock
        lock.release()


def _workspaces(parent: Path) -> list[Path]:
    with suppress(OSError), os.scandir(parent) as entries:
        ours = [entry for entry in entries if _NAME.match(entry.name) and entry.is_dir(follow_symlinks=False)]
        return sorted(Path(entry.path) for entry in ours)
    return []


def _lock_of_dead(folder: Path) -> FileLock | None:
    """The lock of a workspace that nobody holds, held now; ``None`` for any other folder, or one of another user's."""
    try:
        if not (folder / ALIVE).is_file():
            return None
        lock = FileLock(folder / ALIVE, timeout=0, thread_local=False)
        lock.acquire()
    except (Timeout, OSError, NotImplementedError):
        return None
    return lock


def _remove(folder: Path, lock: FileLock) -> None:
    if os.name == "nt":  # where a file that is open cannot be removed
        lock.release()
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
