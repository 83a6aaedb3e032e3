"""Headings → sections: where a document is cut before anything else, so that a heading stands with what it is over.

A heading opens the passage of its section, and stands in none alone: one without text of its own goes with the section
below it. Small sections join the next one, never one under a higher heading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ingest.records import Heading

# The line under a heading that Markdown draws with = or -.
_UNDERLINE = re.compile(r"[ \t]*(?:=+|-+)[ \t]*(?:\n|\Z)")
# A section of fewer characters than this many a token is counted; a longer one is never small.
_CHARACTERS_A_TOKEN = 12


@dataclass(frozen=True, slots=True)
class Section:
    """Characters ``[start, end)`` of a text: headings up to ``body``, then what they are over.

    ``level`` is that of its first heading, 0 for what stands before any. ``last_level`` is that of its last.
    """

    start: int
    body: int
    end: int
    level: int
    last_level: int

    def is_bare(self, text: str) -> bool:
        """Whether it is headings and nothing else."""
        return not text[self.body : self.end].strip()


def sections(
    text: str, headings: Sequence[Heading], tokens: int, count: Callable[[str], int]
) -> list[Section]:
    """The sections of ``text`` in order, apart, and together all of it.

    Bare ones and small ones are joined to the next; what is joined has at most ``tokens`` tokens by ``count``, or is
    bare up to a last section of any length. A bare one that a higher heading follows is joined to the one before.
    """
    joined: list[Section] = []
    for section in _plain_sections(text, headings):
        last = joined[-1] if joined else None
        if last is None or not _joins(text, last, section, tokens, count):
            if last is not None and last.is_bare(text) and len(joined) > 1:
                joined[-2:] = [replace(joined[-2], end=last.end)]
            joined.append(section)
            continue
        # Headings in a row are one head; text between them makes the later heading a part of the body.
        body = section.body if last.is_bare(text) else last.body
        joined[-1] = Section(last.start, body, section.end, last.level, section.level)
    if len(joined) > 1 and joined[-1].is_bare(text):
        joined[-2:] = [replace(joined[-2], end=joined[-1].end)]
    return joined


def _joins(text: str, section: Section, following: Section, tokens: int, count: Callable[[str], int]) -> bool:
    """Whether a section is joined to the one that follows it."""
    if following.level < section.last_level or following.level < section.level:
        return False
    if section.is_bare(text):
        return True
    if following.end - section.start > tokens * _CHARACTERS_A_TOKEN:
        return False
    small = count(text[section.start : section.end]) < tokens // SMALL_SHARE
    return small and count(text[section.start : following.end]) <= tokens


# A section is small that has less than this share of a passage's tokens: one over this number.
SMALL_SHARE = 5


def _plain_sections(text: str, headings: Sequence[Heading]) -> list[Section]:
    """A section for each heading, and one for the text before the first."""
    ordered = sorted(headings, key=lambda heading: heading.start)
    starts = [heading.start for heading in ordered] + [len(text)]
    parts = [Section(0, 0, starts[0], 0, 0)] if text[: starts[0]].strip() else []
    begin = starts[0] if parts else 0  # white space before the first heading is its section's
    for heading, end in zip(ordered, starts[1:], strict=True):
        if end > begin:
            body = min(heading_end(text, heading), end)
            parts.append(Section(begin, body, end, heading.level, heading.level))
        begin = end
    return parts


def heading_end(text: str, heading: Heading) -> int:
    """Where the line of a heading ends in ``text``; its start where the line there is no heading.

    A PDF's outline names places whose words may be others.
    """
    end = text.find("\n", heading.start)
    end = len(text) if end < 0 else end + 1
    if _letters(heading.text) not in _letters(text[heading.start : end]):
        return heading.start
    underline = _UNDERLINE.match(text, end)
    return underline.end() if underline else end


def _letters(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())
