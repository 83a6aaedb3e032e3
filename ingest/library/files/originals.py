"""The files that documents were read from, kept in the library as they were: ``originals/``, each under its SHA-256.

A file is written under a temporary name, checked, fsynced and renamed before a row names it, and goes when no row does
any more. What lies in the folder and is no regular file of ours is neither read nor followed.

``originals`` has a row for each source, of the generation that it was read in, and ``replaced`` one for each upload
that another one of its name took the place of, so that this can be undone.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

from ingest.disk import fsync, storing
from ingest.errors import LibraryDamagedError, ReadError, StorageError
from ingest.notices import Help, Remedy

ORIGINALS = "originals"
# The library's note of whether they are kept; none means that nobody said, and then they are.
KEEPS_ORIGINALS = "originals"
UPLOAD = "upload:"  # how the keys of uploads begin
NAME = re.compile(r"[0-9a-f]{64}")
_OURS = re.compile(r"[0-9a-f]{64}|\.[0-9a-f]{64}\.tmp")
_PIECE = 1 << 20
# Where a link stands in place of a file, opening fails. Windows has no such flag, and links there need special rights.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Original:
    """A file that is kept: the key of its source, its SHA-256 (its name on disk), its size, and what people call it."""

    source: str
    sha256: str
    bytes: int
    name: str

    @property
    def file_name(self) -> str:
        """A name to save it under: the last part of what people call it."""
        return PurePath(self.name.replace("\\", "/")).name or self.sha256


def keep(
    library: Path, file: Path, sha256: str, name: str, between: Callable[[], None] = lambda: None
) -> int:
    """Copy ``file``, whose SHA-256 is known, into the library; its size. ``between`` may raise to stop that.

    Raises `ReadError` where it is not what was hashed any more, `StorageError` where the disk refuses.
    """
    folder = library / ORIGINALS
    target, temporary = folder / sha256, folder / f".{sha256}.tmp"
    with file.open("rb") as source, storing(f"The original of {name}"):
        if folder.is_symlink():
            raise StorageError(f"{folder} is a link, and nothing is kept behind one. Remove it.")
        folder.mkdir(exist_ok=True)
        size = _size(target)
        if size is not None and fault(library, sha256, size) == "":
            return size
        temporary.unlink(missing_ok=True)
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666)
            with os.fdopen(handle, "wb") as copy:
                state = hashlib.sha256()
                while piece := source.read(_PIECE):
                    state.update(piece)
                    copy.write(piece)
                    between()
                size = copy.tell()
                copy.flush()
                os.fsync(copy.fileno())
            if state.hexdigest() != sha256:
                raise ReadError(
                    f"{name} changed while it was being read; nothing of it was indexed. Add it again."
                )
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync(folder)
    return size


def opened(library: Path, original: Original) -> BinaryIO:
    """The kept file, to read. Raises `LibraryDamagedError` where it is not there or not what was kept."""
    problem = fault(library, original.sha256, original.bytes)
    if problem:
        raise LibraryDamagedError(
            f"The original of {original.name} cannot be opened: {problem}. The text is in the library as before. "
            "Repair it.",
            Help(Remedy.REPAIR, library),
        )
    return _open(library / ORIGINALS / original.sha256)


def fault(library: Path, sha256: str, size: int) -> str:
    """What is wrong with a kept file, in half a sentence, or ""."""
    try:
        with _open(library / ORIGINALS / sha256) as handle:
            if os.fstat(handle.fileno()).st_size != size:
                return "its file has another size than was stored"
            state = hashlib.sha256()
            while piece := handle.read(_PIECE):
                state.update(piece)
    except FileNotFoundError:
        return "its file is gone"
    except OSError as error:
        return f"its file cannot be read ({error.strerror or error})"
    return "" if state.hexdigest() == sha256 else "its file is not what was stored"


def _open(path: Path) -> BinaryIO:
    """A regular file, and never by way of a link."""
    if path.parent.is_symlink() or not stat.S_ISREG(os.lstat(path).st_mode):
        raise OSError(None, "it is a link or no file")
    return os.fdopen(os.open(path, os.O_RDONLY | _NO_LINK), "rb")


def _size(path: Path) -> int | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def orphans(library: Path, db: sqlite3.Connection) -> list[Path]:
    """Files of ours in the folder that no row names."""
    folder = library / ORIGINALS
    if folder.is_symlink() or not folder.is_dir():
        return []
    live = {row[0] for row in db.execute("SELECT sha256 FROM originals UNION SELECT sha256 FROM replaced")}
    ours = (path for path in folder.iterdir() if _OURS.fullmatch(path.name) and path.name not in live)
    return sorted(path for path in ours if _size(path) is not None)


def sweep(library: Path, db: sqlite3.Connection) -> None:
    """Remove the files that no row names. To be called by the only writer, and after its transaction."""
    for path in orphans(library, db):
        path.unlink(missing_ok=True)


def insert(db: sqlite3.Connection, born: int, original: Original) -> None:
    """Store that this file is kept of its source, in the generation ``born``."""
    values = (original.source, born, original.sha256, original.bytes, original.name)
    db.execute(
        "INSERT OR REPLACE INTO originals (source, born, sha256, bytes, name) VALUES (?, ?, ?, ?, ?)", values
    )


def settle(db: sqlite3.Connection, pending: int) -> None:
    """Let the rows of the ``pending`` generation take the place of earlier ones; of an upload, the earlier one stays.

    A file that was read anew and is not kept leaves none: the one from before is not what the text is of.
    """
    db.execute(
        "INSERT OR REPLACE INTO replaced (source, sha256, bytes, name) "
        "SELECT old.source, old.sha256, old.bytes, old.name FROM originals AS old JOIN sources AS new "
        "ON new.key = old.source AND new.born = ?1 WHERE old.born < ?1 AND new.file_hash <> old.sha256 "
        "AND substr(old.source, 1, ?2) = ?3",
        (pending, len(UPLOAD), UPLOAD),
    )
    db.execute(
        "DELETE FROM originals WHERE born < ?1 AND (source IN (SELECT source FROM originals WHERE born = ?1) "
        "OR EXISTS (SELECT 1 FROM sources WHERE key = source AND sources.born = ?1 AND file_hash <> sha256))",
        (pending,),
    )
    forget_gone(db)


def forget_gone(db: sqlite3.Connection) -> None:
    """Forget the originals, and the former names, of sources that no document is of."""
    for table in ("originals", "replaced", "identities"):
        db.execute(f"DELETE FROM {table} WHERE source NOT IN (SELECT source FROM documents)")
