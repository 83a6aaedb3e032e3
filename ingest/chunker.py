"""Document → Chunks: pure, exact offsets, sizes in the encoder's own tokens.

The cutting is semantic-text-splitter's: it fills a chunk up to its size and cuts at the largest boundary
that fits (heading, paragraph, sentence, word, and only then inside a word). It cannot be interrupted, so texts of
strangers are cut in a process of its own (`ingest.readers.process.cutting`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from semantic_text_splitter import MarkdownSplitter, TextSplitter
from tokenizers import Tokenizer

from ingest.records import Chunk, Document, Heading, Page

# Tokens a chunk. Chosen by measuring, see docs/decisions.md ("Chunk size") and
# tests/benchmarks/chunk_size.py, which gives the table that the choice was read from.
DEFAULT_CHUNK_TOKENS = 160
MIN_CHUNK_TOKENS = 16
# A title goes in front of each of its passages; a longer one would push the passage out of the model.
MAX_TITLE_CHARACTERS = 160
# The splitter's time a character grows with the length of a line in which it finds no boundary (300,000 Chinese
# characters without a stop took seven minutes), and Markdown of thousands of ">" is quadratic. So a line that is
# longer than any real paragraph is cut by itself, in pieces of at most MAX_CHUNK_CHARACTERS.
LONGEST_LINE = 20_000
# The same where Markdown shows nothing at all for long, which link definitions do (127 kB of them took 15 s): a longer
# stretch is cut by itself, as plain text.
LONGEST_UNSEEN = 10_000
# A word of over 100 characters is one token to WordPiece, so that tokens alone do not bound a chunk.
MAX_CHUNK_CHARACTERS = 4_000
# Raise it when the cutting changes: a library remembers what cut its chunks. The bounds above did not raise it:
# they change only texts that no model could use as they were cut before, and long lists of links.
CHUNKER_VERSION = 1


@dataclass(frozen=True, slots=True)
class Chunker:
    """Cuts documents into chunks of at most ``tokens`` tokens, counted by ``tokenizer``.

    The tokenizer must not truncate or pad (see `ingest.encoders.base.counting_tokenizer`).
    """

    tokenizer: Tokenizer
    tokens: int = DEFAULT_CHUNK_TOKENS
    _plain: TextSplitter = field(init=False, repr=False, compare=False)
    _markdown: MarkdownSplitter = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.tokens < MIN_CHUNK_TOKENS:
            raise ValueError(
                f"a chunk of {self.tokens} tokens holds no sentence; the least is {MIN_CHUNK_TOKENS}"
            )
        # Made once: a splitter copies the tokenizer's vocabulary, which takes longer than cutting a small file.
        for name, splitter in (("_plain", TextSplitter), ("_markdown", MarkdownSplitter)):
            object.__setattr__(self, name, splitter.from_huggingface_tokenizer(self.tokenizer, self.tokens))

    def spans(self, text: str, *, markdown: bool = False) -> list[tuple[int, int]]:
        """Character spans ``[start, end)`` of the chunks of ``text``, in order, without white space around.

        None is longer than `MAX_CHUNK_CHARACTERS`, and a line of more than `LONGEST_LINE` shares none with its
        neighbours.
        """
        pieces: list[tuple[int, int]] = []
        for start, end, as_markdown in _parts(text, markdown and not _TOO_DEEP.search(text)):
            splitter = self._markdown if as_markdown else self._plain
            pieces += (
                (start + at, start + at + len(chunk))
                for at, chunk in splitter.chunk_indices(text[start:end])
                if chunk.strip()  # control characters that Python alone counts as white space
            )
        bounded = (span for start, end in pieces for span in _bounded(text, start, end))
        return [(start, end) for start, end in bounded if not text[start:end].isspace()]

    def chunks(self, document: Document) -> list[Chunk]:
        """The document's chunks, not yet numbered (id -1), each with its place in the document."""
        return chunks_of(document, self.spans(document.text, markdown=is_markdown(document)))


def is_markdown(document: Document) -> bool:
    """Whether the document is cut as Markdown."""
    return document.format == "markdown"


def chunks_of(document: Document, spans: Sequence[tuple[int, int]]) -> list[Chunk]:
    """The document's chunks where it is cut at ``spans``, not yet numbered (id -1), each with its place."""
    page_starts = [page.start for page in document.pages]
    trail = _HeadingTrail(document.headings)
    return [
        Chunk(
            id=-1,
            document_id=document.id,
            title=document.title[:MAX_TITLE_CHARACTERS],
            path=document.path,
            page=_page_at(document.pages, page_starts, start),
            page_end=_page_at(document.pages, page_starts, end - 1),
            heading=trail.at(start),
            start=start,
            end=end,
            text=document.text[start:end],
        )
        for start, end in spans
    ]


# Quotes and lists deeper than people nest them, by their markers or their indentation: the Markdown splitter's time
# grows with the square of the depth and more (a list 600 deep took half a minute). Such a text is cut as plain text.
_TOO_DEEP = re.compile(r"^(?:[ \t]{200,}\S|(?:[ \t]*(?:>|[*+-][ \t]|\d{1,9}[.)][ \t])){50,})", re.M)
_LONG_LINE = re.compile(rf"[^\n]{{{LONGEST_LINE + 1},}}")


def _parts(text: str, markdown: bool) -> Iterator[tuple[int, int, bool]]:
    """``text`` as ``[start, end)`` parts that are cut apart from each other, and whether each is cut as Markdown."""
    position = 0
    for start, end in [*(_unseen(text) if markdown else ()), (len(text), len(text))]:
        yield from _lines_apart(text, position, start, markdown)
        yield from _lines_apart(text, start, end, False)
        position = end


def _lines_apart(text: str, start: int, end: int, markdown: bool) -> Iterator[tuple[int, int, bool]]:
    """``[start, end)`` with its long lines apart from the rest, in pieces, as plain text."""
    for line in _LONG_LINE.finditer(text, start, end):
        if start < line.start():
            yield start, line.start(), markdown
        yield from ((*piece, False) for piece in _bounded(text, line.start(), line.end()))
        start = line.end()
    if start < end:
        yield start, end, markdown


def _unseen(text: str) -> Iterator[tuple[int, int]]:
    """The stretches of Markdown of over `LONGEST_UNSEEN` characters of which a page would show nothing."""
    if len(text) <= LONGEST_UNSEEN or "]:" not in text:  # only definitions are so long and show nothing
        return
    from markdown_it import MarkdownIt  # which no other text, and no command without texts, should wait for

    starts = [0, *(match.end() for match in re.finditer("\n", text)), len(text)]
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["block"])
    blocks = [token.map for token in parser.parse(text) if token.nesting == 0 and token.map]
    position = 0
    for first, after in [*blocks, [len(starts) - 1, len(starts) - 1]]:
        if starts[first] - position > LONGEST_UNSEEN:
            yield position, starts[first]
        position = max(position, starts[min(after, len(starts) - 1)])


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


class _HeadingTrail:
    """The path of headings above a position, outermost first."""

    def __init__(self, headings: Sequence[Heading]) -> None:
        self._starts = [heading.start for heading in headings]
        self._trails: list[tuple[str, ...]] = []
        open_headings: list[Heading] = []
        for heading in headings:
            while open_headings and open_headings[-1].level >= heading.level:
                open_headings.pop()
            open_headings.append(heading)
            self._trails.append(tuple(entry.text for entry in open_headings))

    def at(self, position: int) -> tuple[str, ...]:
        index = bisect_right(self._starts, position) - 1
        return self._trails[index] if index >= 0 else ()
