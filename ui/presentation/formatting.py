"""Numbers, places and movements as people read them: plain words, three significant digits at most."""

from __future__ import annotations

import math
import textwrap

from ingest.models.spec import ResolvedModel
from ingest.records import Chunk, FileReport
from ui.presentation.payload import Direction

# Rerankers whose own names say little, by what they are asked for with.
TITLES = {"maxsim": "late interaction", "automatic": "automatic"}


def reranker_title(name: str) -> str:
    """A reranker in a word or two: what stands behind the last slash of its name."""
    return TITLES.get(name, name.rstrip("/").rsplit("/", 1)[-1])


def model_title(model: ResolvedModel) -> str:
    """The same of a loaded model; what late interaction shares with the bi-encoder is a name, and no more."""
    late = model.spec.architecture == "late-interaction"
    return reranker_title("maxsim" if late else model.name)


def location(chunk: Chunk) -> str:
    """A passage's place in its document: "p. 4", "pp. 4–5", "Care › Feeding", or nothing.

    It says, too, whether its text was recognized in a picture. A heading path that begins with the document's title
    does not say it again.
    """
    return f"{_place(chunk)}, read by OCR" if chunk.by_ocr else _place(chunk)


def _place(chunk: Chunk) -> str:
    if chunk.page is None:
        repeats = chunk.heading[:1] == (chunk.title,)
        return " › ".join(chunk.heading[1:] if repeats else chunk.heading)
    if chunk.page_end is None or chunk.page_end == chunk.page:
        return f"p. {chunk.page}"
    return f"pp. {chunk.page}–{chunk.page_end}"


def direction(movement: int) -> Direction:
    """Riser, faller or same, from the places gained."""
    return "riser" if movement > 0 else "faller" if movement < 0 else "same"


def movement_badge(movement: int) -> str:
    """The movement for the eye: "▲ 12", "▼ 3", "="."""
    return f"▲ {movement}" if movement > 0 else f"▼ {-movement}" if movement < 0 else "="


def movement_spoken(movement: int, came_from: int) -> str:
    """The movement for the ear: "up 12 places, from 13", or "unchanged"."""
    if not movement:
        return "unchanged"
    return f"{'up' if movement > 0 else 'down'} {count_of(abs(movement), 'place')}, from {came_from}"


def three_digits(value: float) -> str:
    """A number in at most three significant digits and three decimals, with a true minus sign."""
    if not math.isfinite(value):
        return "none"
    size = abs(value)
    decimals = 3 if size < 0.9995 else 2 if size < 9.995 else 1 if size < 99.95 else 0
    text = f"{size:.{decimals}f}"
    return f"−{text}" if value < 0 and float(text) else text


def relevance_text(relevance: float) -> str:
    """A relevance, never rounded to a certainty that the model did not express."""
    if 0 < relevance < 0.0005:
        return "< 0.001"
    return "> 0.999" if 0.9995 <= relevance < 1 else three_digits(relevance)


def duration(ms: float) -> str:
    """Milliseconds as people read them, at most three significant digits: "0.4 ms", "14 ms", "1.2 s"."""
    if ms < 1:
        return f"{ms:.1f} ms"
    return f"{ms:.0f} ms" if ms < 999.5 else f"{ms / 1000:.1f} s" if ms < 99_950 else f"{ms / 1000:.0f} s"


def shortened(text: str, width: int, placeholder: str = "…") -> str:
    """``text`` on one line of at most ``width`` characters, cut at the end of a word.

    Where a word is longer than half of the line, as all are in scripts without spaces, within it: else nothing of
    the text might be left.
    """
    cut = textwrap.shorten(text, width, placeholder=placeholder)
    line = " ".join(text.split())
    if len(line) <= width or len(cut) > width // 2:
        return cut
    return line[: width - len(placeholder)].rstrip() + placeholder


def count_of(number: int, noun: str) -> str:
    """A number with its noun: "1 place", "12 places"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def ocr_help(report: FileReport) -> str:
    """What would help a file that has pages without text, where text recognition is not installed; else nothing."""
    return (
        "Text recognition reads it: pip install “second-look[ocr]”, then add it again."
        if report.needs_ocr
        else ""
    )
