"""Document → Chunks: pure, exact offsets, sizes in the encoder's own tokens.

A document is cut at its headings first (`ingest.sections`), and each section by semantic-text-splitter: it fills a
chunk up to its size and cuts at the largest boundary that fits (paragraph, sentence, word, and only then inside a
word). It cannot be interrupted, so texts of strangers are cut in a process of its own
(`ingest.readers.process.cutting`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from semantic_text_splitter import TextSplitter
from tokenizers import Tokenizer

from ingest.records import BlockKind, Chunk, Document, Heading, Page, is_by_ocr
from ingest.sections import Section, sections

# Tokens a chunk. Chosen by measuring, see docs/decisions.md ("Chunk size") and
# tests/benchmarks/chunk_size.py, which gives the table that the choice was read from.
DEFAULT_CHUNK_TOKENS = 160
MIN_CHUNK_TOKENS = 16
# What goes in front of a passage for the models: its title, the headings above it and the row that names a table's
# columns. A longer head would push the passage's end out of an encoder of 256 tokens, of which the special ones take 3.
MAX_HEAD_TOKENS = 256 - 3 - DEFAULT_CHUNK_TOKENS
MAX_TITLE_TOKENS = 32
MAX_COLUMNS_TOKENS = 36
# However few tokens they have: a word of over 100 characters is one to WordPiece.
MAX_TITLE_CHARACTERS = 160
MAX_TRAIL_CHARACTERS = 160
MAX_COLUMNS_CHARACTERS = 200
# The splitter's time a character grows with the length of a line in which it finds no boundary (300,000 Chinese
# characters without a stop took seven minutes). So a line that is longer than any real paragraph is cut by itself, in
# pieces of at most MAX_CHUNK_CHARACTERS.
LONGEST_LINE = 20_000
# A word of over 100 characters is one token to WordPiece, so that tokens alone do not bound a chunk.
MAX_CHUNK_CHARACTERS = 4_000
# Raise it when the cutting changes: a library remembers what cut its chunks. Version 1 did not cut at headings, and its
# passages were read without those above them.
CHUNKER_VERSION = 2


# Shares of a chunk that are left beside headings; each costs a splitter where it is needed.
_SHARES = 0.9, 0.75, 0.5


@dataclass(frozen=True, slots=True)
class Chunker:
    """Cuts documents into chunks of at most ``tokens`` tokens, counted by ``tokenizer``.

    The tokenizer must not truncate or pad (see `ingest.encoders.base.counting_tokenizer`).
    """

    tokenizer: Tokenizer
    tokens: int = DEFAULT_CHUNK_TOKENS
    _splitters: dict[int, TextSplitter] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.tokens < MIN_CHUNK_TOKENS:
            raise ValueError(
                f"a chunk of {self.tokens} tokens holds no sentence; the least is {MIN_CHUNK_TOKENS}"
            )

    def spans(self, text: str, headings: Sequence[Heading] = ()) -> list[tuple[int, int]]:
        """Character spans ``[start, end)`` of the chunks of ``text``, in order, without white space around.

        None reaches over from one section into another but where both are small. None is longer than
        `MAX_CHUNK_CHARACTERS`, and a line of more than `LONGEST_LINE` shares none with its neighbours.
        """
        spans = (
            span
            for section in sections(text, headings, self.tokens, self._count)
            for span in _whole_marks(text, self._section_spans(text, section))
        )
        bounded = (span for start, end in spans for span in _bounded(text, start, end))
        return [(start, end) for start, end in bounded if not text[start:end].isspace()]

    def chunks(self, document: Document) -> list[Chunk]:
        """The document's chunks, not yet numbered (id -1), each with its place in the document."""
        return chunks_of(document, self.spans(document.text, document.headings), self.tokenizer)

    def _section_spans(self, text: str, section: Section) -> list[tuple[int, int]]:
        spans = self._cut(text, section.start, section.end)
        alone = [span for span in spans if span[1] <= section.body]
        if not alone or len(alone) == len(spans):
            return spans
        head_tokens = self._count(text[section.start : section.body])
        if head_tokens > self.tokens * (1 - _SHARES[-1]):
            return spans
        # The headings were cut off from what they are over: they take the beginning of it that fits beside them.
        body = self._cut(text, section.body, section.end)
        if not body:  # control characters alone
            return spans
        first = body[0]
        beside = next(share for share in _SHARES if head_tokens <= self.tokens * (1 - share))
        short = self._splitter(int(self.tokens * beside)).chunk_indices(text[first[0] : first[1]])
        opening = next((first[0] + at + len(piece) for at, piece in short if piece.strip()), first[1])
        return [(alone[0][0], opening), *self._cut(text, opening, section.end)]

    def _cut(self, text: str, start: int, end: int) -> list[tuple[int, int]]:
        """Spans of ``text[start:end]``, whatever headings are in it."""
        return [
            (first + at, first + at + len(piece))
            for first, last in _lines_apart(text, start, end)
            for at, piece in self._splitter(self.tokens).chunk_indices(text[first:last])
            if piece.strip()  # control characters that Python alone counts as white space
        ]

    def _splitter(self, tokens: int) -> TextSplitter:
        """Made once each: it copies the tokenizer's vocabulary, which takes longer than cutting a small file."""
        if tokens not in self._splitters:
            self._splitters[tokens] = TextSplitter.from_huggingface_tokenizer(self.tokenizer, tokens)
        return self._splitters[tokens]

    def _count(self, text: str) -> int:
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)


def chunks_of(document: Document, spans: Sequence[tuple[int, int]], tokenizer: Tokenizer) -> list[Chunk]:
    """The document's chunks where it is cut at ``spans``, not yet numbered (id -1), each with its place.

    Title and context have at most `MAX_HEAD_TOKENS` together.
    """
    page_starts = [page.start for page in document.pages]
    head = _Head(document, tokenizer)
    return [
        Chunk(
            id=-1,
            document_id=document.id,
            title=head.title,
            path=document.path,
            page=_page_at(document.pages, page_starts, start),
            page_end=_page_at(document.pages, page_starts, end - 1),
            heading=head.trail.at(start),
            start=start,
            end=end,
            text=document.text[start:end],
            context=head.context_at(start),
            by_ocr=is_by_ocr(
                document.pages_by_ocr,
                _page_at(document.pages, page_starts, start),
                _page_at(document.pages, page_starts, end - 1),
            ),
        )
        for start, end in spans
    ]


_LONG_LINE = re.compile(rf"[^\n]{{{LONGEST_LINE + 1},}}")


def _lines_apart(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """``[start, end)`` with its long lines apart from the rest, in pieces."""
    for line in _LONG_LINE.finditer(text, start, end):
        if start < line.start():
            yield start, line.start()
        yield from _bounded(text, line.start(), line.end())
        start = line.end()
    if start < end:
        yield start, end


# A mark of citation or a short note in brackets, which a sentence must not be cut in two by.
_MARK = re.compile(r"\[[^\[\]\n]{1,12}\]")
_LONGEST_MARK = 14


def _whole_marks(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans with each mark in brackets that two of them share given to the first."""
    for index in range(len(spans) - 1):
        (start, end), (after, last) = spans[index], spans[index + 1]
        around = max(start, end - _LONGEST_MARK)
        for mark in _MARK.finditer(text, around, min(len(text), after + _LONGEST_MARK)):
            if mark.start() < end < mark.end() < last:
                rest = text[mark.end() : last]
                spans[index] = start, mark.end()
                spans[index + 1] = mark.end() + len(rest) - len(rest.lstrip()), last
    return spans


def _bounded(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """``[start, end)`` as spans of at most `MAX_CHUNK_CHARACTERS`, parted at a space where one is near."""
    while end - start > MAX_CHUNK_CHARACTERS:
        last = start + MAX_CHUNK_CHARACTERS
        space = text.rfind(" ", start + MAX_CHUNK_CHARACTERS // 2, last)
        cut = last if space < 0 else space + 1
        yield start, cut
        start = cut
    yield start, end


def _page_at(pages: Sequence[Page], starts: Sequence[int], position: int) -> int | None:
    """Number of the page that holds the character, or ``None`` where there are no pages."""
    if not pages:
        return None
    return pages[max(bisect_right(starts, position) - 1, 0)].number


class _Head:
    """What stands in front of a document's passages for the models, within `MAX_HEAD_TOKENS`."""

    def __init__(self, document: Document, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._full_title = tokenizer, document.title
        self.title = self._beginning(document.title[:MAX_TITLE_CHARACTERS], MAX_TITLE_TOKENS)
        self.trail, self._tables = _HeadingTrail(document.headings), _Tables(document)
        self._room = MAX_HEAD_TOKENS - self._count(self.title)

    def context_at(self, position: int) -> str:
        """The headings above a position, of which the innermost are kept, and the names of its table's columns."""
        columns = self._beginning(self._tables.names_at(position), MAX_COLUMNS_TOKENS)
        room = self._room - self._count(columns)
        above = self.trail.above(position, self._full_title)
        while len(above) > 1 and self._count(_joined(above)) > room:
            above = above[1:]
        trail = self._beginning(_joined(above), room)
        return "\n".join(filter(None, (trail, columns)))

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids) if text else 0

    def _beginning(self, text: str, most: int) -> str:
        """As much of the text as has at most so many tokens."""
        if not text:
            return ""
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return text if len(offsets) <= most else text[: offsets[most][0]].rstrip()


def _joined(headings: Sequence[str]) -> str:
    return " › ".join(headings)[:MAX_TRAIL_CHARACTERS]


class _Tables:
    """The rows that name the columns of a document's tables."""

    def __init__(self, document: Document) -> None:
        self._names: dict[int, str] = {}  # start of a row below → the row that names its columns
        self._starts: list[int] = []
        self._ends: list[int] = []
        names = ""
        for block in document.blocks:
            if block.kind is not BlockKind.TABLE_ROW:
                names = ""
            elif block.level:
                names = document.text[block.start : block.end][:MAX_COLUMNS_CHARACTERS]
            elif names:
                self._starts.append(block.start)
                self._ends.append(block.end)
                self._names[block.start] = names

    def names_at(self, position: int) -> str:
        """The names of the columns of the table within whose rows the position is; empty elsewhere."""
        index = bisect_right(self._starts, position) - 1
        return self._names[self._starts[index]] if index >= 0 and position < self._ends[index] else ""


class _HeadingTrail:
    """The path of headings above a position, outermost first."""

    def __init__(self, headings: Sequence[Heading]) -> None:
        self._starts = [heading.start for heading in headings]
        self._trails: list[tuple[Heading, ...]] = []
        path: list[Heading] = []
        for heading in headings:
            while path and path[-1].level >= heading.level:
                path.pop()
            path.append(heading)
            self._trails.append(tuple(path))

    def at(self, position: int) -> tuple[str, ...]:
        """The headings of the section that the position is in."""
        return tuple(heading.text for heading in self._path(position))

    def above(self, position: int, title: str) -> list[str]:
        """Those that stand before the position; not those that repeat the title.

        The innermost are kept where a line of all would be longer than `MAX_TRAIL_CHARACTERS`.
        """
        texts = [heading.text for heading in self._path(position) if heading.start < position]
        texts = [text for text in texts if text.casefold() != title.casefold()]
        while len(texts) > 1 and len(" › ".join(texts)) > MAX_TRAIL_CHARACTERS:
            del texts[0]
        return texts

    def _path(self, position: int) -> tuple[Heading, ...]:
        index = bisect_right(self._starts, position) - 1
        return self._trails[index] if index >= 0 else ()
