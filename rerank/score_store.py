"""Entries of scores by key: in memory, and in one SQLite file of the user's (see `rerank.score_file`)."""

from __future__ import annotations

import math
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ingest.cache_folder import writable_cache
from rerank.score_file import DISK_ENTRIES, Key, ScoreFile

# In memory: an entry is 230 bytes of Python objects, so 5 MB; 200 questions of 100 passages.
MEMORY_ENTRIES = 20_000
# float32 logit, tokens, truncated, the window's start and end (-1 for none), and a checksum of these and the key,
# because SQLite does not notice a changed byte.
_ENTRY = struct.Struct("<fI?iiI")
_NO_WINDOW = (-1, -1)


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
            found = {key: self._memory[key] for key in keys if key in self._memory}
            for key in found:
                self._memory.move_to_end(key)
        if self._disk is not None and len(found) < len(keys):
            more = self._disk.get([key for key in dict.fromkeys(keys) if key not in found])
            self._remember(more)
            found |= more
        entries = {key: unpacked(key, data) for key, data in found.items()}
        return {key: entry for key, entry in entries.items() if entry is not None}

    def put(self, entries: Mapping[Key, Entry]) -> None:
        """Keep these; one whose logit is no number is not kept: it may go well next time."""
        kept = {key: packed(key, entry) for key, entry in entries.items() if math.isfinite(entry.logit)}
        self._remember(kept)
        if self._disk is not None and kept:
            self._disk.put(kept)

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
