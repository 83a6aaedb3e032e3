"""Lines of PDF pages → running text: page furniture out, hard line ends and hyphens undone.

A PDF knows glyphs and places, not paragraphs. What is a paragraph is judged here from the lines alone:
a line that fills the page's width goes on in the next, one that stops short ends something.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from ingest.records import Page

# Shorter than this share of a page's full lines, a line ends by choice rather than for want of room.
_FULL = 0.75
# Three columns on a page give lines of some 30 characters; a page of shorter ones is a list or a table.
_NARROWEST = 30
# A running header or footer stands on this share of the pages, and on three at the least.
_FURNITURE_SHARE = 1 / 3
_FEWEST_REPEATS = 3

_HYPHENS = "-\u2010\u00ad"
_LETTER = r"[^\W\d_]"
_HYPHENATED = re.compile(rf"({_LETTER}+)([{_HYPHENS}])$")
_WORD_START = re.compile(rf"{_LETTER}+")
# What compounds begin with that need not stand alone anywhere in a document.
_FIRST_PARTS = frozenset(
    ("well", "self", "ill", "half", "cross", "high", "low", "long", "short", "full", "part")
)
_SENTENCE_END = re.compile(r"[.!?:;…。！？]['\"”’»)\]]*$")
_NUMBERED_HEADING = re.compile(r"(\d+(\.\d+)*\.?|[IVX]+\.|§ ?\d+)\s+[A-ZÀ-Þ]")
_BULLET = re.compile(r"([•‣◦▪●○■□*·]|\([a-z\d]{1,2}\)|[a-z]\))\s")
# Ligatures are typesetting: no one types ﬁ into a search.
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})


def clean_lines(text: str) -> list[str]:
    """A page's lines without ligatures, outer and repeated spaces; blank ones are kept between others."""
    return [" ".join(line.split()) for line in text.translate(_LIGATURES).strip().splitlines()]


def without_furniture(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """The pages without page numbers, and without running headers and footers after their first page.

    No page loses its only line.
    """
    result = [list(page) for page in pages]
    for _ in range(2):  # a page's number often stands above or below a running title
        for place in (0, -1):
            _strip_edge(result, place)
    return result


def _strip_edge(pages: list[list[str]], place: int) -> None:
    """Take repeated first (``place`` 0) or last (-1) lines out of ``pages``."""
    keys = {
        number: _furniture_keys(page[place], number) for number, page in enumerate(pages, 1) if len(page) > 1
    }
    counts = Counter(key for own in keys.values() for key in own)
    least = max(_FEWEST_REPEATS, len(pages) * _FURNITURE_SHARE)
    met: set[str] = set()
    for number, own in keys.items():
        page = pages[number - 1]
        repeated = {key for key in own if counts[key] >= least}
        wordless = not any(map(str.isalpha, page[place]))
        own_number = page[place].strip("-–—[]() ") == str(number)
        if own_number or (repeated and (wordless or repeated & met)):
            del page[place]
            while page and not page[place]:
                del page[place]
        met |= repeated


def _furniture_keys(line: str, number: int) -> set[str]:
    """What ``line`` of page ``number`` would repeat as: itself, or with its first or last figure counted
    from the page's own, so that "7 of 9" and "8 of 9" agree but the totals of two invoices do not."""
    keys = {line} if any(map(str.isalpha, line)) else set()
    figures = list(re.finditer(r"\d{1,6}", line))
    for figure in {figures[0], figures[-1]} if figures else ():
        keys.add(f"{line[: figure.start()]}\0{int(figure[0]) - number:+d}\0{line[figure.end() :]}")
    return keys


def flow(pages: Sequence[Sequence[str]]) -> tuple[str, list[Page]]:
    """Join lines over all pages into running text, and say where each page lies in it.

    A sentence that runs over a page break reads on, with a space there (nothing, within a word); else a
    blank line parts the pages. What joins two pages belongs to neither. A page without lines is empty, at
    the place where it would be.
    """
    lines = [(number, line) for number, page in enumerate(pages, 1) for line in page]
    words = _vocabulary(pages)
    widths = {number: _full_width(page) for number, page in enumerate(pages, 1)}
    parts: list[str] = []
    spans: dict[int, tuple[int, int]] = {}
    length = 0
    for (number, line), (following, next_line) in zip(lines, [*lines[1:], (0, "")], strict=False):
        line_text, glue = _join(line, next_line, widths[number], words) if following else (line, "")
        start = spans.get(number, (length, 0))[0]
        spans[number] = (start, length + len(line_text))
        if following != number and glue and (glue != " " or _SENTENCE_END.search(line)):
            glue = "\n\n"
        parts += (line_text, glue)
        length += len(line_text) + len(glue)
    return "".join(parts), list(_pages(spans, len(pages)))


def _pages(spans: dict[int, tuple[int, int]], count: int) -> Iterator[Page]:
    end = 0
    for number in range(1, count + 1):
        start, end = spans.get(number, (end, end))
        yield Page(number=number, start=start, end=end)


def _full_width(page: Sequence[str]) -> int:
    """Characters in a full line of this page: its ninth decile, which a few long lines do not shift."""
    lengths = sorted(len(line) for line in page if line)
    return max(_NARROWEST, lengths[int(0.9 * (len(lengths) - 1))] if lengths else 0)


def _vocabulary(pages: Sequence[Sequence[str]]) -> set[str]:
    """Words, plain and hyphenated, that stand unbroken somewhere in the document."""
    pattern = re.compile(rf"{_LETTER}+(?:-{_LETTER}+)*(?!-$)\b(?!-)")
    return {word.lower() for page in pages for line in page for word in pattern.findall(line)}


def _join(line: str, following: str, width: int, words: set[str]) -> tuple[str, str]:
    """What stays of ``line``, and what joins ``following`` to it: "", " ", a line end or a blank line."""
    if not line or not following:
        return line, "\n"
    broken = _HYPHENATED.search(line)
    if broken and (rest := _WORD_START.match(following)):
        return _join_word(line, broken, rest[0], words), ""
    short = len(line) < _FULL * width
    ended = bool(_SENTENCE_END.search(line))
    if _starts_anew(following, width, ended):
        return line, "\n\n" if ended or not short else "\n"
    if short and not following[0].islower():
        return line, "\n\n" if ended else "\n"
    return line, "" if _unspaced(line[-1]) and _unspaced(following[0]) else " "


def _join_word(line: str, broken: re.Match[str], rest: str, words: set[str]) -> str:
    """``line`` without its last hyphen, unless it is the word's own: before a capital, met so elsewhere, or between
    two words that make none without it."""
    stem, hyphen = broken[1], broken[2]
    if hyphen == "\u00ad":
        return line[:-1]
    whole, compound = f"{stem}{rest}".lower(), f"{stem}-{rest}".lower()
    apart = rest.lower() in words and (stem.lower() in words or stem.lower() in _FIRST_PARTS)
    own = not rest[0].islower() or ((compound in words or apart) and whole not in words)
    return line if own else line[:-1]


def _starts_anew(line: str, width: int, after_sentence: bool) -> bool:
    """Whether ``line`` begins an item, or stands alone as a heading does.

    The last line of a paragraph is short too, but it ends a sentence; a heading does not.
    """
    if _BULLET.match(line):
        return True
    if len(line) >= _FULL * width or _SENTENCE_END.search(line):
        return False
    return bool(_NUMBERED_HEADING.match(line)) or (after_sentence and not line[0].islower())


def _unspaced(character: str) -> bool:
    """Of a script written without spaces between words: Chinese characters, kana and their punctuation."""
    return (
        "\u3000" <= character <= "\u9fff"
        or "\uf900" <= character <= "\ufaff"
        or "\uff00" <= character <= "\uffef"
    )
