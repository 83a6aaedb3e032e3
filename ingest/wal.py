"""Is SQLite's write-ahead log whole? SQLite passes over a damaged log in silence, and over the commits in it.

The log's form: https://www.sqlite.org/fileformat2.html#the_write_ahead_log. Each frame continues the checksum of
those before it, so that SQLite takes the first one that does not agree for the log's end.
"""

from __future__ import annotations

import struct
from pathlib import Path

HEADER, FRAME_HEADER = 32, 24
MAGIC = 0x377F0682
MASK = 0xFFFFFFFF


def lost_commits(log: Path) -> int:
    """Commits in the log that SQLite does not reach, because a frame before or in them is damaged.

    What a process that died had not committed is not counted: its frames have no mark of a commit. A damaged head
    counts as one more. A log that was cut off between two commits looks like one that never held more.
    """
    raw = log.read_bytes() if log.is_file() else b""
    if len(raw) < HEADER:
        return 0
    magic, _, page, _, *_ = struct.unpack_from(">4I", raw)
    order = ">" if magic & 1 else "<"
    sums = _checksum(raw[: HEADER - 8], (0, 0), order)
    whole = magic | 1 == MAGIC | 1 and sums == struct.unpack_from(">2I", raw, HEADER - 8)
    salt = raw[16:24] if whole else raw[HEADER + 8 : HEADER + 16]
    lost = int(not whole)
    for start in range(HEADER, len(raw) - FRAME_HEADER - page + 1, FRAME_HEADER + page):
        head, content = (
            raw[start : start + FRAME_HEADER],
            raw[start + FRAME_HEADER : start + FRAME_HEADER + page],
        )
        if whole:
            sums = _checksum(head[:8] + content, sums, order)
            whole = head[8:16] == salt and sums == struct.unpack_from(">2I", head, 16)
        is_commit = head[8:16] == salt and head[4:8] != b"\0\0\0\0"
        lost += not whole and is_commit
    return lost


def _checksum(raw: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """SQLite's: two sums of 32 bits, each fed by the other."""
    first, second = sums
    words = struct.unpack(f"{order}{len(raw) // 4}I", raw)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & MASK
        second = (second + odd + first) & MASK
    return first, second
