"""Entries of scores by key: in memory, and in one SQLite file of the user's.

The file is begun anew where anything is wrong with it, and done without where the disk refuses: no search fails for it.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import struct
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ingest.cache_folder import writable_cache

log = logging.getLogger(__name__)

Key = bytes
# Raise it when scores are made or stored otherwise: a file of another version is begun anew.
VERSION = 4
# On disk: an entry is 53 bytes, so 11 MB; 2,000 questions of 100 passages.
DISK_ENTRIES = 200_000
# In memory: an entry is 230 bytes of Python objects, so 5 MB; 200 questions of 100 passages.
MEMORY_ENTRIES = 20_000
# Whether the file is full is asked after so many new entries, because asking reads all of it; then so large a share
# goes at once that some of these have room.
ASKED_EVERY, EVICTED_SHARE = 4_000, 0.04
# Another process writes for milliseconds; whoever waits longer does without.
WAIT_S = 0.5
# A disk that failed is let alone for so long.
REST_S = 60.0
# SQLite takes at most 32,766 parameters since 3.32, and 999 before.
KEYS_A_QUERY = 900
# When an entry was used is noted by the day, so that reading seldom writes.
DAY_S = 86_400
# float32 logit, tokens, truncated, the window's start and end (-1 for none), and a checksum of these and the key,
# because SQLite does not notice a changed byte.
_ENTRY = struct.Struct("<fI?iiI")
_NO_WINDOW = (-1, -1)
_HELD = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
# What the disk says, and not the file: another file there would fare no better.
_REFUSED = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One passage's score for one query, as `Scores` has it."""

    logit: float
    tokens: int
    truncated: bool
    window: tuple[int, int] | None = None


@cache
def user_store() -> ScoreStore:
    """The one store of this process, its file in the user's cache folder."""
    return ScoreStore(writable_cache() / "scores.sqlite")


class ScoreStore:
    """The least recently used entries go first. For any number of threads, and of processes on one file."""

    def __init__(
        self, path: Path | None, memory_entries: int = MEMORY_ENTRIES, disk_entries: int = DISK_ENTRIES
    ) -> None:
        """Nothing is opened yet. ``path`` is ``None`` for a store in memory alone."""
        self._memory: OrderedDict[Key, bytes] = OrderedDict()
        self._most = memory_entries
        self._lock = threading.Lock()
        self._disk = None if path is None else ScoreFile(path, disk_entries)

    def get(self, keys: Sequence[Key]) -> dict[Key, Entry]:
        """The entries of those keys that there are."""
        with self._lock:
            data = {key: self._memory[key] for key in keys if key in self._memory}
            for key in data:
                self._memory.move_to_end(key)
        if self._disk is not None and len(data) < len(keys):
            more = self._disk.get([key for key in dict.fromkeys(keys) if key not in data])
            self._remember(more)
            data |= more
        entries = {key: unpacked(key, packed) for key, packed in data.items()}
        return {key: entry for key, entry in entries.items() if entry is not None}

    def put(self, entries: Mapping[Key, Entry]) -> None:
        """Keep these; one whose logit is no number is not kept: it may go well next time."""
        data = {key: packed(key, entry) for key, entry in entries.items() if math.isfinite(entry.logit)}
        self._remember(data)
        if self._disk is not None and data:
            self._disk.put(data)

    def close(self) -> None:
        """Let go of the file, if it was opened; the next use opens it again."""
        if self._disk is not None:
            self._disk.close()

    def _remember(self, entries: Mapping[Key, bytes]) -> None:
        with self._lock:
            self._memory.update(entries)
            while len(self._memory) > self._most:
                self._memory.popitem(last=False)


def packed(key: Key, entry: Entry) -> bytes:
    """An entry as it is stored, 21 bytes; float32 logits come back bit for bit."""
    data = _ENTRY.pack(entry.logit, entry.tokens, entry.truncated, *(entry.window or _NO_WINDOW), 0)[:-4]
    return data + zlib.crc32(key + data).to_bytes(4, "little")


def unpacked(key: Key, data: bytes) -> Entry | None:
    """The entry that was stored under ``key``; ``None`` where these are not its bytes."""
    if len(data) != _ENTRY.size or zlib.crc32(key + data[:-4]) != int.from_bytes(data[-4:], "little"):
        return None
    logit, tokens, truncated, start, end, _ = _ENTRY.unpack(data)
    return Entry(logit, tokens, truncated, None if (start, end) == _NO_WINDOW else (start, end))


class ScoreFile:
    """Bytes by key, in a file. Nothing that happens to it raises: what cannot be read was not there, and is logged."""

    def __init__(self, path: Path, most: int) -> None:
        """``most`` entries, and up to `ASKED_EVERY` more a process, are kept. Nothing is opened yet."""
        self._path = path
        self._most = most
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        self._unasked = ASKED_EVERY  # new entries since the file's size was last asked for; at first, unknown
        self._rest_until = 0.0

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """The entries of those keys that there are."""
        entries: dict[Key, bytes] = {}
        self._use(lambda db: entries.update(_read(db, keys)))
        return entries

    def put(self, entries: Mapping[Key, bytes]) -> None:
        """Keep these, in one transaction."""
        self._use(lambda db: self._write(db, entries))

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._lock:
            self._forget_connection()

    def _use(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Work on the open file, unless a disk that failed is let alone."""
        with self._lock:
            if time.monotonic() < self._rest_until:
                return
            try:
                work(self._connection())
            except (sqlite3.Error, OSError) as error:
                self._failed(error)

    def _write(self, db: sqlite3.Connection, entries: Mapping[Key, bytes]) -> None:
        rows = [(key, entry, _today()) for key, entry in entries.items()]
        with db:
            db.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?, ?)", rows)
            self._unasked += len(entries)
            if self._unasked >= ASKED_EVERY:
                self._evict(db)
                self._unasked = 0

    def _evict(self, db: sqlite3.Connection) -> None:
        """Where there are too many entries, drop the longest unused, and some more."""
        (count,) = db.execute("SELECT count(*) FROM scores").fetchone()
        if count > self._most:
            surplus = count - int(self._most * (1 - EVICTED_SHARE))
            db.execute(
                "DELETE FROM scores WHERE key IN (SELECT key FROM scores ORDER BY used LIMIT ?)", (surplus,)
            )

    def _connection(self) -> sqlite3.Connection:
        """The open file, opened again if it was deleted or replaced."""
        if self._db is not None and self._inode_now() != self._inode:
            self._forget_connection()
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.with_suffix(".damaged").unlink(missing_ok=True)  # earlier versions put it there
            self._inode = self._inode_now()  # of a file that cannot be opened, to remove no other
            self._db = _connect(self._path)
            self._inode = self._inode_now()
            self._unasked = ASKED_EVERY
        return self._db

    def _inode_now(self) -> int:
        try:
            return self._path.stat().st_ino
        except FileNotFoundError:
            return -1

    def _forget_connection(self) -> None:
        if self._db is not None:
            with closing(self._db):
                self._db = None

    def _failed(self, error: sqlite3.Error | OSError) -> None:
        """Do without a file that another process holds, let a disk that refuses rest, begin any other file anew."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # an error of Python's own module has none
        if code in _HELD:
            log.info("the score cache %s is held by another process: %s", self._path, error)
            return
        if isinstance(error, sqlite3.Error) and code not in _REFUSED:
            log.warning("the score cache %s is of no use (%s); it is begun anew", self._path, error)
            try:
                self._remove()
                return
            except OSError as refusal:
                error = refusal
        self._forget_connection()
        self._rest_until = time.monotonic() + REST_S
        log.warning("the score cache %s rests for %.0f s, only memory is used: %s", self._path, REST_S, error)

    def _remove(self) -> None:
        self._forget_connection()
        if self._inode_now() != self._inode:
            return  # another process has begun it anew
        for end in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)


def _read(db: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, bytes]:
    """The entries of those keys that there are; that they were used today is noted."""
    rows: list[tuple[Key, bytes, int]] = []
    for start in range(0, len(keys), KEYS_A_QUERY):
        some = keys[start : start + KEYS_A_QUERY]
        marks = ",".join("?" * len(some))
        rows += db.execute(f"SELECT key, entry, used FROM scores WHERE key IN ({marks})", some).fetchall()
    unnoted = [(_today(), key) for key, _, used in rows if used != _today()]
    if unnoted:
        with db:
            db.executemany("UPDATE scores SET used = ? WHERE key = ?", unnoted)
    return {key: entry for key, entry, _ in rows}


def _today() -> int:
    return int(time.time()) // DAY_S


def _connect(path: Path) -> sqlite3.Connection:
    """The file, made where there is none. Raises `sqlite3.Error`, for a file of another version, too."""
    db = sqlite3.connect(path, timeout=WAIT_S, check_same_thread=False)  # ScoreFile's lock lets one thread in
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if _version(db) != VERSION:
            _make(db)
    except BaseException:
        with closing(db):
            raise
    return db


def _make(db: sqlite3.Connection) -> None:
    """The table, in a file that has none yet, once though several processes open it at a time."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        version, (tables,) = _version(db), db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version != VERSION and (version or tables):
            raise sqlite3.DatabaseError(f"it is of version {version}, and this is version {VERSION}")
        if version != VERSION:
            db.execute(
                "CREATE TABLE scores (key BLOB PRIMARY KEY, entry BLOB NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID"
            )
            db.execute(f"PRAGMA user_version = {VERSION}")


def _version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)
