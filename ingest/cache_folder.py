"""Where what can be made again is kept: in the user's cache folder; where nothing may be written there, elsewhere."""

from __future__ import annotations

import atexit
import errno
import logging
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import platformdirs

log = logging.getLogger(__name__)

LEAST_ROOM = 256 << 20  # bytes, two bundled graphs: each command would make in vain what does not fit


def kept_in_cache(*parts: str) -> Path:
    """The place of a file or folder that was kept before, or may be now."""
    own = _users() / Path(*parts)
    return own if os.path.exists(own) else writable_cache() / Path(*parts)


def writable_cache() -> Path:
    """The user's cache folder; a folder among the temporary files, and a warning, where it is full or locked.

    Without it a graph would be made again, or torch be waited for, by each command.
    """
    return _writable(_users())


@cache
def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < LEAST_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        try:
            instead = _temporary()
        except OSError:
            return folder  # whoever writes there says why it cannot be
        log.warning(
            "nothing can be kept in the cache folder %s (%s); %s is used instead, which the system may empty. Make the "
            "cache folder writable, or free some room there.", folder, error.strerror or error, instead,
        )  # fmt: skip
        return instead


def _users() -> Path:
    return Path(platformdirs.user_cache_dir("second-look"))


def _temporary() -> Path:
    """A folder that nobody else can write to: the same for each process of a user, or one of this process alone."""
    if hasattr(os, "geteuid"):
        shared = Path(tempfile.gettempdir()) / f"second-look-{os.geteuid()}"
        with suppress(FileExistsError):
            shared.mkdir(mode=0o700)
        status = shared.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077:
            return shared
    own = tempfile.TemporaryDirectory(prefix="second-look-", ignore_cleanup_errors=True)
    atexit.register(own.cleanup)
    return Path(own.name)
