"""Pages without text that can be used → their text as it is recognized, one page after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ingest.errors import ReadError
from ingest.readers.extras import ocr_is_installed
from ingest.readers.pdf.layout import Line, lines_of
from ingest.readers.pdf.recognition import recognize
from ingest.readers.source import Source
from ingest.records import format_pages

logger = logging.getLogger(__name__)

# Of fewer characters nothing is a text: a speck or a rule was taken for a letter.
_FEWEST = 3
# Doubtful words that are named.
_WORDS_NAMED = 12

Picture = tuple[NDArray[np.uint8], float]  # as OpenCV has it (blue first), and points a pixel


@dataclass(slots=True)
class Scans:
    """What was recognized of a document: which pages, which were left as no time was, and words that may be others."""

    pages: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    doubtful: dict[str, None] = field(default_factory=dict)
    failure: Exception | None = None

    def remarks(self) -> list[str]:
        """What is to be said of it, as sentences."""
        sentences = []
        if self.pages:
            sentences.append(f"{_named(self.pages)}: read by OCR.")
        if self.doubtful:
            words = ", ".join(f"“{word}”" for word in islice(self.doubtful, _WORDS_NAMED))
            more = (
                f" and {len(self.doubtful) - _WORDS_NAMED} more" if len(self.doubtful) > _WORDS_NAMED else ""
            )
            sentences.append(f"Doubtful: {words}{more}.")
        if self.left:
            sentences.append(
                f"{_named(self.left)}: not recognized, as the time for a document was up; split it into smaller files."
            )
        return sentences


def recognize_pages(
    source: Source, lines: list[list[Line]], wanted: Sequence[int], picture: Callable[[int], Picture]
) -> Scans:
    """Put the text of the pages ``wanted`` (indices) into ``lines``, where it is longer than what is there.

    ``picture`` draws one. Nothing is done where recognition is not installed; what is left after
    ``Limits.max_ocr_seconds`` stays as it is.
    """
    scans = Scans()
    if not ocr_is_installed():
        return scans
    deadline = time.monotonic() + source.limits.max_ocr_seconds
    for index in wanted:
        if time.monotonic() > deadline:
            scans.left.append(index + 1)
            continue
        source.on_page(index + 1, len(lines))
        try:
            page = recognize(*picture(index))
        except (MemoryError, ReadError):
            raise
        except Exception as error:  # one bad picture must not take the others along
            logger.debug("page %d of %s is not recognized", index + 1, source.name, exc_info=error)
            scans.failure = scans.failure or error
            continue
        own = lines_of(page.text)
        length = sum(len(line.text) for line in own)
        if length >= _FEWEST and length > sum(len(line.text) for line in lines[index]):
            lines[index] = own
            scans.pages.append(index + 1)
            scans.doubtful |= dict.fromkeys(page.doubtful)
    return scans


def _named(pages: Sequence[int]) -> str:
    return f"Page{'s' if len(pages) > 1 else ''} {format_pages(pages)}"
