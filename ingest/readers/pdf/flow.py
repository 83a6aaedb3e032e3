"""Lines of pages → blocks of running text: hard line ends and hyphens undone, with the place of every page.

What is a paragraph is judged from the lines' places and words: a line that fills its column goes on in the next, one
that stops short ends something, and white space parts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ingest.readers.blocks import Blocks, names_columns
from ingest.readers.pdf.layout import Line
from ingest.records import BlockKind, Page

# Filling less than this share of its column, a line ends by choice rather than for want of room.
_FULL = 0.75
# In sizes of the letters: more between two baselines than this, or than what is usual by this factor, parts blocks.
_APART = 1.75
_MORE_THAN_USUAL = 1.35
_INDENT = 0.8
# A change of size that parts.
_OTHER_SIZE = 0.12
# A line shorter than this, in characters, is no line of running text that a capital letter could go on with overleaf.
_NARROW = 40

_HYPHENS = "-\u2010\u00ad"
_LETTER = r"[^\W\d_]"
_HYPHENATED = re.compile(rf"({_LETTER}+)([{_HYPHENS}])$")
_WORD_START = re.compile(rf"{_LETTER}+")
# What compounds begin with that need not stand alone anywhere in a document.
_FIRST_PARTS = frozenset(
    ("well", "self", "ill", "half", "cross", "high", "low", "long", "short", "full", "part")
)
_SENTENCE_END = re.compile(r"[.!?:;…。！？]['\"”’»)\]]*$")
NUMBERED_HEADING = re.compile(r"(\d+(\.\d+)*\.?|[IVX]+\.|§ ?\d+)\s+[A-ZÀ-Þ]")
_BULLET = re.compile(
    r"([•‣◦▪▫●○■□❖➢✓*·–—]|\([a-z\d]{1,2}\)|[a-z]\)|\d{1,3}[.)](?=\s+\S)|\[\d{1,3}\](?=\s+[A-ZÀ-Þ]))\s"
)
_CAPTION = re.compile(
    r"(figure|fig\.|table|abbildung|tabelle|tableau|listing|chart|exhibit)\s+[\dIVXA-Z][\w.\-]*\s*[:.–—|]",
    re.I,
)


@dataclass(slots=True)
class Piece:
    """What is one block: its kind, its lines with their pages, and what follows each line."""

    kind: BlockKind
    level: int = 0
    lines: list[tuple[int, str, str]] = field(default_factory=list)
    tight: bool = False  # whether it follows the one before on the next line


def flow(
    pages: Sequence[Sequence[Line]], blocks: Blocks, levels: Mapping[int, int] | None = None
) -> list[Page]:
    """Put the lines of all pages into ``blocks``, and say where each page lies in their text.

    ``levels`` has the level of each line that is a heading, by its ``id``. A sentence that runs over a page break reads
    on, with a space there (nothing, within a word). What joins two pages belongs to neither. A page without lines is
    empty, at the place where it would be.
    """
    spans: dict[int, tuple[int, int]] = {}
    for piece in _pieces(pages, levels or {}):
        text = "".join(line + glue for _, line, glue in piece.lines)
        if not text.strip():
            continue
        blocks.add(text, piece.kind, separator="\n" if piece.tight else "\n\n", level=piece.level)
        position = blocks.blocks[-1].start
        for number, line, glue in piece.lines:
            start = spans.get(number, (position, 0))[0]
            spans[number] = (start, position + len(line))
            position += len(line) + len(glue)
    return list(_places(spans, len(pages)))


def _places(spans: dict[int, tuple[int, int]], count: int) -> Iterator[Page]:
    end = 0
    for number in range(1, count + 1):
        start, end = spans.get(number, (end, end))
        yield Page(number=number, start=start, end=end)


def _pieces(pages: Sequence[Sequence[Line]], levels: Mapping[int, int]) -> Iterator[Piece]:
    words = _vocabulary(pages)
    body_is_mono = _is_mono(pages)
    usual = _usual_gaps(pages)
    lines = [(number, line) for number, page in enumerate(pages, 1) for line in page]
    piece: Piece | None = None
    last: Line | None = None
    last_number = 0
    for number, line in lines:
        kind = _kind(line, levels, body_is_mono)
        glue = None
        if piece is not None and last is not None:
            glue = _glue(last, line, (piece.kind, kind), number == last_number, usual, levels)
        if glue is None or piece is None or last is None:
            if piece is not None:
                yield piece
            piece = _begin(line, kind, levels, piece, last, number == last_number)
        else:
            page, text, _ = piece.lines[-1]
            if glue == " ":
                text, glue = _joined(text, line.text, words)
            piece.lines[-1] = page, text, glue
        piece.lines.append(
            (number, " ".join(line.text.split()) if kind is not BlockKind.CODE else line.text, "")
        )
        last, last_number = line, number
    if piece is not None:
        yield piece


def _kind(line: Line, levels: Mapping[int, int], body_is_mono: bool) -> BlockKind:
    if line.table:
        return BlockKind.TABLE_ROW
    if id(line) in levels:
        return BlockKind.HEADING
    if _CAPTION.match(line.text):
        return BlockKind.CAPTION
    if line.mono and not body_is_mono:
        return BlockKind.CODE
    if _BULLET.match(line.text) and not line.leader:
        return BlockKind.LIST_ITEM
    return BlockKind.PARAGRAPH


def _begin(
    line: Line, kind: BlockKind, levels: Mapping[int, int], before: Piece | None, last: Line | None,
    same_page: bool,
) -> Piece:  # fmt: skip
    level = levels.get(id(line), 0) if kind is BlockKind.HEADING else 0
    tight = False
    if kind is BlockKind.LIST_ITEM:
        level = 1
        tight = before is not None and before.kind is BlockKind.LIST_ITEM
    elif kind is BlockKind.TABLE_ROW:
        tight = before is not None and last is not None and last.table == line.table and same_page
        if not tight:
            level = int(names_columns(line.cells))
        tight = tight or (before is not None and before.kind is BlockKind.CAPTION)
    elif line.leader:
        tight = last is not None and last.leader
    return Piece(kind, level, tight=tight)


def _glue(
    last: Line, line: Line, kinds: tuple[BlockKind, BlockKind], same_page: bool,
    usual: Mapping[float, float], levels: Mapping[int, int],
) -> str | None:  # fmt: skip
    """What joins ``line`` to ``last`` in one block: a space or a line end; ``None`` where it begins another."""
    kind, next_kind = kinds
    if BlockKind.TABLE_ROW in (kind, next_kind) or last.leader or line.leader or last.alone or line.alone:
        return None
    far = same_page and line.gap > _limit(line, usual)
    other_size = abs(line.size - last.size) > _OTHER_SIZE * max(line.size, last.size)
    if kind is BlockKind.HEADING or next_kind is BlockKind.HEADING:
        one = levels.get(id(line)) == levels.get(id(last)) and kind is next_kind and same_page
        goes_on = one and not far and not other_size and line.gap > 0 and last.fill > 0.5
        return " " if goes_on and not NUMBERED_HEADING.match(line.text) else None
    if kind is BlockKind.CODE or next_kind is BlockKind.CODE:
        return "\n" if kind is next_kind and not far else None
    if far or other_size or (next_kind in _OPENING and not _is_within(line, last, kind, next_kind)):
        return None
    if not same_page:
        return " " if _goes_on_overleaf(line, last) else None
    return None if _ends(line, last, kind) else " "


_OPENING = BlockKind.LIST_ITEM, BlockKind.CAPTION


def _is_within(line: Line, last: Line, kind: BlockKind, next_kind: BlockKind) -> bool:
    """Whether what looks like the number of an item is one that a sentence needs: “in May\n1945. Then”."""
    within = next_kind is BlockKind.LIST_ITEM and kind is BlockKind.PARAGRAPH and line.text[0].isdigit()
    return within and last.fill >= _FULL and not _SENTENCE_END.search(last.text)


def _goes_on_overleaf(line: Line, last: Line) -> bool:
    """Whether ``line``, the first of its page, goes on with the last one of the page before."""
    if _HYPHENATED.search(last.text):
        return True
    if _SENTENCE_END.search(last.text):
        return False
    is_running = last.fill >= _FULL and len(last.text) >= _NARROW and not line.text[0].isdigit()
    return line.text[0].islower() or is_running


def _ends(line: Line, last: Line, kind: BlockKind) -> bool:
    """Whether a paragraph ends with ``last``, the line above."""
    if _HYPHENATED.search(last.text):
        return False
    short = last.fill < _FULL and not line.text[0].islower()
    return short or _starts_anew(line, last, kind, bool(_SENTENCE_END.search(last.text)))


def _limit(line: Line, usual: Mapping[float, float]) -> float:
    size = round(line.size, 1)
    return max(
        _MORE_THAN_USUAL * usual.get(size, 0.0), _APART * line.size if size not in usual else 1.2 * line.size
    )


def _usual_gaps(pages: Sequence[Sequence[Line]]) -> dict[float, float]:
    """What most often lies between baselines of lines of a size, in points."""
    counts: dict[float, Counter[float]] = {}
    for page in pages:
        for line in page:
            if 0.8 * line.size < line.gap < 2.6 * line.size and not line.table:
                counts.setdefault(round(line.size, 1), Counter())[round(line.gap * 2) / 2] += 1
    return {
        size: min((gap for gap, count in own.items() if count >= 0.4 * max(own.values())))
        for size, own in counts.items()
        if own.total() >= 3
    }


def _is_mono(pages: Sequence[Sequence[Line]]) -> bool:
    """Whether most of the text is set as by a typewriter, so that this says nothing of a line."""
    mono = sum(len(line.text) for page in pages for line in page if line.mono)
    return mono > 0.5 * sum(len(line.text) for page in pages for line in page)


def _vocabulary(pages: Sequence[Sequence[Line]]) -> set[str]:
    """Words, plain and hyphenated, that stand unbroken somewhere in the document."""
    pattern = re.compile(rf"{_LETTER}+(?:-{_LETTER}+)*(?!-$)\b(?!-)")
    return {word.lower() for page in pages for line in page for word in pattern.findall(line.text)}


def _joined(line: str, following: str, words: set[str]) -> tuple[str, str]:
    """What stays of ``line``, and what joins ``following`` to it: a space, or nothing."""
    broken = _HYPHENATED.search(line)
    if broken and (rest := _WORD_START.match(following)):
        return _join_word(line, broken, rest[0], words), ""
    return line, "" if _unspaced(line[-1:]) and _unspaced(following[:1]) else " "


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


def _starts_anew(line: Line, last: Line, kind: BlockKind, after_sentence: bool) -> bool:
    """Whether ``line`` begins a paragraph, or stands alone as a heading does.

    The last line of a paragraph is short too, but it ends a sentence; a heading does not.
    """
    indented = line.indent - last.indent > _INDENT * line.size and kind is not BlockKind.LIST_ITEM
    if indented and after_sentence and line.gap:
        return True
    if line.fill >= _FULL or _SENTENCE_END.search(line.text):
        return False
    return bool(NUMBERED_HEADING.match(line.text)) or (after_sentence and not line.text[0].islower())


def _unspaced(character: str) -> bool:
    """Of a script written without spaces between words: Chinese characters, kana and their punctuation."""
    return (
        "\u3000" <= character <= "\u9fff"
        or "\uf900" <= character <= "\ufaff"
        or "\uff00" <= character <= "\uffef"
    )
