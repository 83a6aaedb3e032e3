"""Passages in parts: what is marked, what is not, and where an excerpt leaves something out.

The parts that are not an ellipsis, joined, are always exactly a slice of the passage: nothing is quoted
that the document does not say.
"""

from __future__ import annotations

import unicodedata
from typing import TypedDict

EXCERPT = 320  # characters: four to five lines of a card on a wide screen, enough for two sentences
LONGEST = 480  # a marked sentence longer than EXCERPT is shown whole up to here
SLACK = 40  # how far a cut may wander to find the end of a word


class Part(TypedDict):
    """A run of a passage's text; ``ellipsis`` parts say "…" and are not part of the quoted text."""

    text: str
    mark: bool
    ellipsis: bool


def valid_mark(text: str, mark: tuple[int, int] | None) -> tuple[int, int] | None:
    """The span, if it is a non-empty one inside the text; no highlight rather than a wrong one."""
    if mark is None:
        return None
    start, end = mark
    return (start, end) if 0 <= start < end <= len(text) else None


def whole(text: str, mark: tuple[int, int] | None) -> list[Part]:
    """The whole passage in parts, the marked sentence as one of them."""
    return _parts(text, 0, len(text), valid_mark(text, mark))


def excerpt(text: str, mark: tuple[int, int] | None) -> list[Part]:
    """About `EXCERPT` characters around the mark, or from the start where there is none.

    Cuts fall at ends of words where there are any, and an ellipsis part stands for what is left out.
    A text that is hardly longer than an excerpt is given whole.
    """
    span = valid_mark(text, mark)
    if len(text) <= EXCERPT + SLACK:
        return _parts(text, 0, len(text), span)
    start, end = _window(len(text), span)
    start, end = _cut_before(text, start), _cut_after(text, end)
    parts = _parts(text, start, end, span)
    gap = Part(text="…", mark=False, ellipsis=True)
    return [gap] * (start > 0) + parts + [gap] * (end < len(text))


def _window(length: int, span: tuple[int, int] | None) -> tuple[int, int]:
    """The span of the excerpt before its ends are moved to ends of words."""
    if span is None:
        return 0, EXCERPT
    marked = min(span[1] - span[0], LONGEST)
    room = max(EXCERPT - marked, 0)
    # A third of the room goes before the mark: what follows a sentence explains more than what leads to it.
    start = max(min(span[0] - room // 3, length - marked - room), 0)
    return start, min(start + marked + room, length)


def _cut_before(text: str, start: int) -> int:
    """The beginning of a word at or shortly before ``start``."""
    if start == 0:
        return 0
    for position in range(start, max(start - SLACK, 0), -1):
        if text[position - 1].isspace() and not text[position].isspace():
            return position
    return 0 if start <= SLACK else _whole_character(text, start, -1)


def _cut_after(text: str, end: int) -> int:
    """The end of a word at or shortly after ``end``."""
    for position in range(end, min(end + SLACK, len(text))):
        if text[position].isspace() and not text[position - 1].isspace():
            return position
    return len(text) if len(text) - end < SLACK else _whole_character(text, end, 1)


def _whole_character(text: str, position: int, step: int) -> int:
    """Away from combining marks and joiners, so that no cut takes a character apart (scripts without spaces)."""
    while 0 < position < len(text) and (
        unicodedata.category(text[position]).startswith("M") or "\u200d" in text[position - 1 : position + 1]
    ):
        position += step
    return position


def _parts(text: str, start: int, end: int, span: tuple[int, int] | None) -> list[Part]:
    """``text[start:end]`` split at the span's edges, empty runs left out."""
    low, high = (min(max(edge, start), end) for edge in span) if span else (end, end)
    runs = [(start, low, False), (low, high, True), (high, end, False)]
    return [Part(text=text[a:b], mark=mark, ellipsis=False) for a, b, mark in runs if a < b]
