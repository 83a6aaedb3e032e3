"""What a disk refuses, as sentences: it is full, or nothing may be written there."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.errors import StorageError

FULL = "cannot be written: the disk is full. What was there before is kept; free some room, and do it again."
READ_ONLY = (
    "cannot be written: nothing may be written there. Make the folder writable, or copy it to another place."
)
# SQLite says no more than that, where a file had to be opened as it stands (see `ingest.library.schema.open_file`).
EITHER = (
    "cannot be written: the disk is full, or nothing may be written there. Free some room, make the folder writable, "
    "or copy it to another place."
)

# A quota and a limit on the size of files are full disks to whoever meets them.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
# Failures to read are damage, and no matter of room.
_SQLITE_READING = frozenset(
    {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
)


def refusal(what: str, error: OSError | sqlite3.Error) -> StorageError | None:
    """That ``what`` cannot be written, and what to do; ``None`` where SQLite means something else than the disk."""
    why = _of_sqlite(error) if isinstance(error, sqlite3.Error) else _of_system(error)
    return StorageError(f"{what} {why}") if why else None


def _of_system(error: OSError) -> str:
    if error.errno in _FULL:
        return FULL
    if error.errno in _READ_ONLY:
        return READ_ONLY
    return f"cannot be written: {error.strerror or error}. What was there before is kept."


def _of_sqlite(error: sqlite3.Error) -> str | None:
    code = getattr(error, "sqlite_errorcode", 0)  # an error of Python's own module has none
    kind = code & 0xFF
    if kind == sqlite3.SQLITE_FULL:
        return FULL
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return EITHER
    if kind == sqlite3.SQLITE_CANTOPEN:
        return f"cannot be opened ({error}). Check that its folder may be read and written."
    if kind == sqlite3.SQLITE_IOERR and code not in _SQLITE_READING:
        return f"cannot be written: {error}. What was there before is kept; is there room left on the disk?"
    return None


@contextmanager
def storing(what: str) -> Iterator[None]:
    """Turn a disk's refusal to take ``what`` into a `StorageError`; everything else passes through."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        refused = refusal(what, error)
        if refused is None:
            raise
        raise refused from error


def fsync(path: Path) -> None:
    """Have what was written to this file or folder be on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
