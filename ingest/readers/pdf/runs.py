"""A page's characters, as pdfium places them → runs: pieces of a line, with their place, size and style.

Coordinates are in points, x to the right and y upwards, and such that the text of a run is upright. Not taken: what is
drawn twice in one place, what lies outside of the page's crop box, and characters that say nothing.
"""

from __future__ import annotations

import ctypes
import math
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pypdfium2 as pdfium
from pypdfium2 import raw

# In shares of the size of the letters.
_SPACE = 0.18  # a gap as wide as this parts words where the file has no space
_CELL = 1.2  # a wider gap parts runs: columns, cells
_RAISED = 0.55  # letters higher or lower than this are on another line
_TWICE = 0.12  # a letter that is drawn again as near as this is drawn twice
# Of a page's letters this share may be unknown; beyond it the page cannot be read.
_UNKNOWN_SHARE = 0.3
# Where a font does not say what its letters are, pdfium takes their codes for letters. That is right where what comes
# out is of letters, and of vowels among them, as words are; of the other fonts it is rubbish.
_LETTERS_SHARE, _VOWELS_SHARE = 0.5, 0.2
_VOWELS = frozenset("aeiouyäöüåæøéèêáàâíóôúAEIOUYÄÖÜÅÆØÉ")
_BOLD = re.compile(r"bold|black|heavy|demi|(?<![a-z])[A-Z]{2,3}BX\d|^(?:[A-Z]{6}\+)?CMBX|SFBX", re.I)
_MONO = re.compile(r"mono|courier|consol|typewriter|CMTT|SFTT|LMMono|menlo|inconsolata", re.I)
# Letters between two looks at the clock.
_ASK_EVERY = 256
_FIXED_PITCH, _FORCE_BOLD = 1, 1 << 18
# Symbols of Word and its kin, whose fonts have codes of their own: bullets, ticks, arrows.
_SYMBOLS = {
    0xF0B7: "•",
    0xF0A7: "▪",
    0xF0D8: "➢",
    0xF0FC: "✓",
    0xF0E0: "→",
    0xF076: "❖",
    0xF0A8: "▫",
    0xF06F: "□",
}
_LIGATURES = {
    0xFB00: "ff",
    0xFB01: "fi",
    0xFB02: "fl",
    0xFB03: "ffi",
    0xFB04: "ffl",
    0xFB05: "st",
    0xFB06: "st",
}
_HYPHENS = {0x02, 0xFFFE}  # how pdfium writes a hyphen at which a word is broken
_NOTHING = {0x200B, 0xFEFF, 0x200E, 0x200F}


@dataclass(frozen=True, slots=True)
class Style:
    """How letters are set: ``size`` in points; ``turn`` in quarters against the clock, ``None`` where askew."""

    size: float
    bold: bool
    mono: bool
    turn: int | None
    font: str


@dataclass(slots=True)
class Run:
    """Letters beside each other on one baseline ``y``. ``order`` counts in the order in which the file draws."""

    text: str
    left: float
    right: float
    y: float
    size: float
    bold: bool
    mono: bool
    order: int


@dataclass(slots=True)
class PageText:
    """What is written on a page, by the directions in which it is; the one with the most letters comes first."""

    directions: list[list[Run]] = field(default_factory=list)
    bottom: float = 0.0
    top: float = 0.0
    unreadable: bool = False  # there is text, and its letters cannot be known


@dataclass(slots=True)
class _Letter:
    text: str
    x: float
    y: float
    left: float
    right: float
    style: Style
    space: bool  # whether a space stands before it
    breaks: bool  # whether pdfium sees a new line begin with it
    part: int | None  # the piece of the page that it was drawn with
    guessed: bool  # whether the font does not say which letter it is


class SlowPageError(Exception):
    """A page took longer than its limit."""


def page_text(page: pdfium.PdfPage, seconds: float = math.inf) -> PageText:
    """The text of a page. Raises `SlowPageError`, and what pdfium raises on a page that is damaged."""
    deadline = time.monotonic() + seconds
    textpage = page.get_textpage()
    try:
        letters = list(_without_doubles(_letters(textpage, _crop_box(page), deadline)))
    finally:
        textpage.close()
    count = len(letters)
    letters = list(_without_rubbish(letters))
    result = PageText(unreadable=count - len(letters) > _UNKNOWN_SHARE * count)
    if result.unreadable:
        return result
    turns: Counter[int | None] = Counter(letter.style.turn for letter in letters)
    for turn, _ in turns.most_common():
        own = [letter for letter in letters if letter.style.turn == turn]
        result.directions.append(list(_runs(own)))
    left, bottom, right, top = _crop_box(page)
    main = turns.most_common(1)[0][0] if turns else 0
    result.bottom, result.top = sorted(_turned(*corner, main)[1] for corner in ((left, bottom), (right, top)))
    return result


def _crop_box(page: pdfium.PdfPage) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of what a viewer shows, with a little around it."""
    rect = raw.FS_RECTF()
    if not raw.FPDF_GetPageBoundingBox(page.raw, rect):
        left, bottom, right, top = page.get_mediabox()
        return left, bottom, right, top
    return rect.left - 1, rect.bottom - 1, rect.right + 1, rect.top + 1


def _letters(
    textpage: pdfium.PdfTextPage, box: tuple[float, float, float, float], deadline: float
) -> Iterator[_Letter]:
    """The letters in pdfium's order; the text of one that cannot be known is empty."""
    page = textpage.raw
    styles: dict[int | None, Style] = {}
    x, y, rect = ctypes.c_double(), ctypes.c_double(), raw.FS_RECTF()
    space = breaks = False
    high = 0
    for index in range(raw.FPDFText_CountChars(page)):
        if index % _ASK_EVERY == 0 and time.monotonic() > deadline:
            raise SlowPageError("it took longer than its limit")
        code = raw.FPDFText_GetUnicode(page, index)
        if code in (10, 13):
            breaks = True
            continue
        if code in (32, 9, 0xA0) or 0x2000 <= code <= 0x200A or code in (0x202F, 0x3000):
            space = True
            continue
        if 0xD800 <= code < 0xDC00:  # the first half of a character beyond U+FFFF
            high = code
            continue
        if high and 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00)
        high = 0
        is_hyphen = code in _HYPHENS
        text = "-" if is_hyphen else _clean(code)
        if not text and (code in _NOTHING or raw.FPDFText_IsGenerated(page, index)):
            continue
        raw.FPDFText_GetCharOrigin(page, index, x, y)
        if not (box[0] <= x.value <= box[2] and box[1] <= y.value <= box[3]):
            continue
        pointer = ctypes.cast(raw.FPDFText_GetTextObject(page, index), ctypes.c_void_p).value
        style = styles.get(pointer)
        if style is None:
            style = styles[pointer] = _style(page, index)
        raw.FPDFText_GetLooseCharBox(page, index, rect)
        ends = ((rect.left, rect.bottom), (rect.right, rect.top))
        (left, _), (right, _) = (_turned(*end, style.turn) for end in ends)
        origin = _turned(x.value, y.value, style.turn)
        yield _Letter(
            text,
            origin[0],
            origin[1],
            min(left, right),
            right=max(left, right),
            style=style,
            space=space,
            breaks=breaks,
            part=pointer,
            guessed=not is_hyphen and raw.FPDFText_HasUnicodeMapError(page, index) == 1,
        )
        space = breaks = False


_FEWEST_GUESSES = 4  # fewer letters of a font tell nothing


def _without_rubbish(letters: list[_Letter]) -> Iterator[_Letter]:
    """The letters that can be known, or that were guessed so that words came out."""
    guesses: dict[str, str] = {}
    for letter in letters:
        if letter.guessed:
            guesses[letter.style.font] = guesses.get(letter.style.font, "") + letter.text
    rubbish = {
        font for font, text in guesses.items() if len(text) >= _FEWEST_GUESSES and not _are_words(text)
    }
    for letter in letters:
        if letter.text and not (letter.guessed and letter.style.font in rubbish):
            yield letter


def _are_words(text: str) -> bool:
    """Whether letters that were guessed from codes look like those of words."""
    letters = [sign for sign in text if sign.isalpha()]
    vowels = sum(sign in _VOWELS for sign in letters)
    return len(letters) > _LETTERS_SHARE * len(text) and vowels > _VOWELS_SHARE * len(letters)


def _clean(code: int) -> str:
    """The character as it is searched for; "" where it says nothing."""
    if code in _SYMBOLS:
        return _SYMBOLS[code]
    if 0x80 <= code < 0xA0:  # Windows' own quotes and dashes, by a font that names no encoding
        return bytes([code]).decode("cp1252", "ignore")
    if code in _LIGATURES:
        return _LIGATURES[code]
    if (
        code < 32
        or 0x7F <= code < 0xA0
        or 0xD800 <= code < 0xF900
        or code >= 0xF0000
        or code in _NOTHING
        or code == 0xFFFD
    ):
        return ""
    return chr(code)


def _turned(x: float, y: float, turn: int | None) -> tuple[float, float]:
    """The place, with the page turned so that text of this direction is upright."""
    if turn == 1:
        return y, -x
    if turn == 2:
        return -x, -y
    if turn == 3:
        return -y, x
    return x, y


def _style(page: Any, index: int) -> Style:
    matrix = raw.FS_MATRIX()
    size = raw.FPDFText_GetFontSize(page, index)
    turn: int | None = 0
    if raw.FPDFText_GetMatrix(page, index, matrix):
        size *= math.hypot(matrix.c, matrix.d)
        quarters = math.atan2(matrix.b, matrix.a) / (math.pi / 2)
        turn = round(quarters) % 4 if abs(quarters - round(quarters)) < 0.05 else None
    flags, buffer = ctypes.c_int(0), ctypes.create_string_buffer(128)
    raw.FPDFText_GetFontInfo(page, index, buffer, 128, flags)
    name = buffer.value.decode("utf-8", "replace")
    bold = bool(_BOLD.search(name)) or bool(flags.value & _FORCE_BOLD)
    mono = bool(_MONO.search(name)) or bool(flags.value & _FIXED_PITCH)
    return Style(max(abs(size), 0.5), bold, mono, turn, name)


def _without_doubles(letters: Iterator[_Letter]) -> Iterator[_Letter]:
    """Letters less those drawn again in (nearly) the same place, as for a shadow or to look bold.

    Those of one ligature are in one place, too, and drawn at once.
    """
    places: dict[tuple[str, int, int], int | None] = {}
    owed = False
    for letter in letters:
        cell = _TWICE * letter.style.size
        column, row = letter.x / cell, letter.y / cell
        corners = [(letter.text, c, r) for c in (math.floor(column - 0.5), math.floor(column + 0.5))
                   for r in (math.floor(row - 0.5), math.floor(row + 0.5))]  # fmt: skip
        if any(places.get(corner, letter.part) != letter.part for corner in corners):
            owed = owed or letter.breaks
            continue
        places[letter.text, math.floor(column), math.floor(row)] = letter.part
        letter.breaks, owed = letter.breaks or owed, False
        yield letter


def _runs(letters: list[_Letter]) -> Iterator[Run]:
    """Letters that follow each other on one baseline, put together."""
    run: list[_Letter] = []
    for letter in letters:
        if run and not _goes_on(run, letter):
            yield _run(run)
            run = []
        run.append(letter)
    if run:
        yield _run(run)


def _goes_on(run: list[_Letter], letter: _Letter) -> bool:
    last = run[-1]
    size = max(last.style.size, letter.style.size)
    if abs(letter.y - last.y) > _RAISED * size:
        return False
    if _is_right_to_left(letter.text) or _is_right_to_left(last.text):
        return not letter.breaks and abs(letter.left - last.left) < 3 * size
    gap = letter.left - last.right
    return -0.5 * size < gap < _CELL * size and letter.left > run[0].left - 0.5 * size


def _is_right_to_left(text: str) -> bool:
    return text[0] > "\u0590" and unicodedata.bidirectional(text[0]) in ("R", "AL")


def _in_reading_order(letters: list[_Letter]) -> list[_Letter]:
    """Letters of a script from right to left that are drawn from the left: turned round, but for numbers in them."""
    right_to_left = sum(_is_right_to_left(letter.text) for letter in letters)
    if right_to_left * 2 <= len(letters) or letters[-1].left <= letters[0].left:
        return letters
    words: list[list[_Letter]] = []
    for letter in letters:
        if words and letter.text.isdigit() and words[-1][-1].text.isdigit():
            words[-1].append(letter)
        else:
            words.append([letter])
    result = [letter for word in reversed(words) for letter in word]
    spaces = {id(letters[index]) for index in range(len(letters) - 1) if letters[index + 1].space}
    for letter in result:
        letter.space = id(letter) in spaces
    return result


def _run(letters: list[_Letter]) -> Run:
    letters = _in_reading_order(letters)
    parts = [letters[0].text]
    for last, letter in pairwise(letters):
        gap = max(letter.left - last.right, last.left - letter.right)
        # pdfium's own spaces are taken where there is room for them: it sees them where a font is wide, too.
        if letter.space or gap > _SPACE * letter.style.size:
            parts.append(" ")
        parts.append(letter.text)
    sizes: Counter[Style] = Counter()
    for letter in letters:
        sizes[letter.style] += len(letter.text)
    style = max(sizes, key=lambda one: (sizes[one], one.size))
    baseline = next(letter.y for letter in letters if letter.style == style)
    return Run(
        text="".join(parts),
        left=min(letter.left for letter in letters), right=max(letter.right for letter in letters),
        y=baseline, size=style.size, bold=all(letter.style.bold for letter in letters),
        mono=all(letter.style.mono for letter in letters),
        order=0,
    )  # fmt: skip
