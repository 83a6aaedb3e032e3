"""Document → Chunks: pure, exact offsets, sizes in the encoder's own tokens.

The cutting is semantic-text-splitter's: it fills a chunk up to its size and cuts at the largest boundary
that fits (heading, paragraph, sentence, word, and only then inside a word).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from semantic_text_splitter import MarkdownSplitter, TextSplitter
from tokenizers import Tokenizer

from ingest.records import Chunk, Document, Heading, Page

# Tokens a chunk. Chosen by measuring, see docs/decisions.md ("Chunk size") and
# tests/benchmarks/chunk_size.py, which gives the table that the choice was read from.
DEFAULT_CHUNK_TOKENS = 160
MIN_CHUNK_TOKENS = 16
# A title goes in front of each of its passages; a longer one would push the passage out of the model.
MAX_TITLE_CHARACTERS = 160
# Raise it when the cutting changes: a library remembers what cut its chunks.
CHUNKER_VERSION = 1


@dataclass(frozen=True, slots=True)
class Chunker:
    """Cuts documents into chunks of at most ``tokens`` tokens, counted by ``tokenizer``.

    The tokenizer must not truncate or pad (see `ingest.encoder.counting_tokenizer`).
    """

    tokenizer: Tokenizer
    tokens: int = DEFAULT_CHUNK_TOKENS

    def __post_init__(self) -> None:
        if self.tokens < MIN_CHUNK_TOKENS:
            raise ValueError(
                f"a chunk of {self.tokens} tokens holds no sentence; the least is {MIN_CHUNK_TOKENS}"
            )

    def spans(self, text: str, *, markdown: bool = False) -> list[tuple[int, int]]:
        """Character spans ``[start, end)`` of the chunks of ``text``, in order, without white space around."""
        splitter_class = MarkdownSplitter if markdown else TextSplitter
        splitter = splitter_class.from_huggingface_tokenizer(self.tokenizer, self.tokens)
        # Control characters that Python counts as white space and the splitter does not would make empty chunks.
        return [(start, start + len(chunk)) for start, chunk in splitter.chunk_indices(text) if chunk.strip()]

    def chunks(self, document: Document) -> list[Chunk]:
        """The document's chunks, not yet numbered (id -1), each with its place in the document."""
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
            for start, end in self.spans(document.text, markdown=document.format == "markdown")
        ]


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
