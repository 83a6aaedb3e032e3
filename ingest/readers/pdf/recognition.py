"""Text recognition (OCR) of pictures of pages, offline, by RapidOCR, whose models come with it. It is an extra.

What comes out are runs with their places, as from a page with letters, so that columns and tables are told alike.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.readers.pdf.runs import PageText, Run

# A page is drawn at this many dots an inch, and no side longer than this in pixels: what is longer is shrunk anyway.
DOTS_PER_INCH = 200
LONGEST_SIDE = 2_000
# A line recognized with less confidence is left out, as most of it is noise; a word with less is named as doubtful.
_LEAST_CONFIDENCE = 0.5
_DOUBTFUL = 0.8
# The height of a box around a line, in sizes of its letters.
_HEIGHT = 1.35
_SHORTEST_DOUBT = 2  # letters


@dataclass(frozen=True, slots=True)
class Recognized:
    """A page as it was recognized: its text, and the words that may be others."""

    text: PageText
    doubtful: tuple[str, ...]


@functools.cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(params={"Global.log_level": "critical", "Global.text_score": _LEAST_CONFIDENCE})


def recognize(image: NDArray[np.uint8], points_per_pixel: float) -> Recognized:
    """The text of a picture, height × width × 3 in the order of OpenCV (blue first)."""
    result = _engine()(image, return_word_box=True)
    runs: list[Run] = []
    doubtful: list[str] = []
    height = image.shape[0]
    for text, score, box in zip(result.txts or (), result.scores or (), _boxes(result), strict=False):
        xs, ys = [point[0] for point in box], [point[1] for point in box]
        size = (max(ys) - min(ys)) * points_per_pixel / _HEIGHT
        baseline = (height - max(ys)) * points_per_pixel + 0.25 * size
        words = " ".join(unicodedata.normalize("NFKC", text).split())
        if words:
            runs.append(Run(words, min(xs) * points_per_pixel, max(xs) * points_per_pixel, baseline,
                            size=round(max(size, 1.0)), bold=False, mono=False, order=len(runs)))  # fmt: skip
            doubtful += [] if score >= 0.98 else _doubtful(words, score)
    for line in result.word_results or ():
        for word in _words(line):
            if word[1] < _DOUBTFUL and sum(map(str.isalnum, word[0])) >= _SHORTEST_DOUBT:
                doubtful.append(word[0])
    page = PageText([runs] if runs else [], 0.0, height * points_per_pixel)
    return Recognized(page, tuple(dict.fromkeys(doubtful)))


def _boxes(result: Any) -> Any:
    return result.boxes if result.boxes is not None else ()


def _doubtful(text: str, score: float) -> list[str]:
    """All words of a line that as a whole is doubtful."""
    return text.split() if score < _DOUBTFUL else []


def _words(line: Any) -> list[tuple[str, float]]:
    """The words of a line with their confidence, of whatever form the engine gives them in."""
    words = (
        line if isinstance(line, (list, tuple)) and line and isinstance(line[0], (list, tuple)) else [line]
    )
    return [
        (str(word[0]), float(word[1])) for word in words if isinstance(word, (list, tuple)) and len(word) > 1
    ]
