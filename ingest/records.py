"""The records that the ingest stage makes: files → Document → Chunk, and what it reports."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ingest.services.billing import Bill


def digest(*parts: str) -> str:
    """SHA-256 (hex) over the parts, each fenced by its length so that no two lists collide."""
    state = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        state.update(f"{len(raw)}:".encode())
        state.update(raw)
    return state.hexdigest()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a paged document: characters ``[start, end)`` of ``Document.text``; numbers from 1."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading that starts at character ``start`` of ``Document.text``; level 1 is the highest."""

    level: int
    start: int
    text: str


class BlockKind(StrEnum):
    """What a stretch of a document is."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list item"
    TABLE_ROW = "table row"
    CODE = "code"
    QUOTE = "quote"
    CAPTION = "caption"


@dataclass(frozen=True, slots=True)
class Block:
    """Characters ``[start, end)`` of ``Document.text`` that are one thing, so that it can be shown as that.

    ``level`` is a heading's, from 1, or how deep a list item is nested, from 1; of a row of a table, 1 where it names
    the columns and 0 elsewhere; 0 for the rest. Rows that follow each other are one table, until one names columns
    again.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a file says of itself; "" and () where it does not.

    ``created`` and ``modified`` are dates in ISO 8601, ``language`` a BCP 47 tag (en, pt-BR), ``tags`` words that
    people gave it.
    """

    author: str = ""
    language: str = ""
    created: str = ""
    modified: str = ""
    tags: tuple[str, ...] = ()


NO_METADATA = Metadata()


@dataclass(frozen=True, slots=True)
class Document:
    """A document as text, with what is needed to cite a place in it.

    ``key`` is its identity within a library (a resolved path, an uploaded name, ``path#_id`` for an entry of a JSONL
    corpus, or ``path/name`` for a file within a file); ``path`` is what people see. ``pages`` is empty for
    formats without pages. ``blocks`` are in order and apart, and empty for formats that do not tell them.
    ``pages_by_ocr`` are those whose text was recognized in a picture. ``remarks`` are sentences on what was not read,
    or may be wrong, for the report of its file; a library does not keep them. ``metadata`` is no part of what makes it
    the same document. All offsets count characters (code points) of ``text``.
    """

    key: str
    title: str
    path: str
    format: str
    text: str
    pages: tuple[Page, ...] = ()
    headings: tuple[Heading, ...] = ()
    pages_without_text: tuple[int, ...] = ()
    source_id: str | None = None
    blocks: tuple[Block, ...] = ()
    metadata: Metadata = NO_METADATA
    pages_by_ocr: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        previous = 0
        for page in self.pages:
            if not previous <= page.start <= page.end <= len(self.text):
                raise ValueError(f"page {page.number} of {self.path} lies outside its text")
            previous = page.end
        if any(not 0 <= heading.start <= len(self.text) for heading in self.headings):
            raise ValueError(f"a heading of {self.path} lies outside its text")
        previous = 0
        for block in self.blocks:
            if not previous <= block.start <= block.end <= len(self.text):
                raise ValueError(f"a {block.kind} of {self.path} lies outside its text")
            previous = block.end

    @property
    def id(self) -> str:
        """Short, stable name of the document: the first 12 hex digits of its key's SHA-256."""
        return digest(self.key)[:12]

    @property
    def content_hash(self) -> str:
        """What makes two documents duplicates of each other: their title and their text."""
        return digest(self.title, self.text)

    @property
    def page_count(self) -> int:
        """Pages, those without text included; 0 for formats without pages."""
        return len(self.pages)


@dataclass(frozen=True, slots=True)
class Unread:
    """A file within a file (a member of an archive, an attachment) that is not read; the rest is.

    ``path`` is what people see, as a document's is, and ``reason`` the sentence that says why.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: characters ``[start, end)`` of its document, exactly.

    ``id`` is its number in the library (-1 before it is stored). ``page`` is the page on which it
    starts and ``page_end`` the one on which it ends, both ``None`` for formats without pages;
    ``heading`` is the path of headings above it, outermost first. ``context`` is what the models read between the title
    and the text: the headings that stand before it, in one line, then the row that names the columns where it begins
    within a table. ``by_ocr``: it is, in whole or in part, of pages whose text was recognized in a picture.
    """

    id: int
    document_id: str
    title: str
    path: str
    page: int | None
    page_end: int | None
    heading: tuple[str, ...]
    start: int
    end: int
    text: str
    context: str = ""
    by_ocr: bool = False

    def __post_init__(self) -> None:
        if self.end - self.start != len(self.text):
            raise ValueError(
                f"chunk {self.start}–{self.end} of {self.path} holds {len(self.text)} characters"
            )

    @property
    def passage(self) -> str:
        """What the models read: the title, the context, then the text."""
        return passage_of(self.title, self.text, self.context)

    @property
    def passage_hash(self) -> str:
        """Key of the passage in the store of vectors and of labels."""
        return passage_hash(self.title, self.text, self.context)


class FileStatus(StrEnum):
    """How a file ended.

    ``REPLACED`` is indexed, in the place of what the same path or name held before. ``RENAMED`` is in the library
    already, from a path where it is no more.
    """

    INDEXED = "indexed"
    REPLACED = "replaced"
    RENAMED = "renamed"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file. ``reason`` is a sentence, empty where there is nothing to say.

    ``needs_password``: it was refused, and would be read with its password. ``unreachable``: it was refused because it
    is no file, or the system does not let it be read. ``needs_ocr``: it has pages that text recognition would read,
    which is not installed here.
    """

    path: str
    status: FileStatus
    reason: str = ""
    chunks: int = 0
    pages: int = 0
    pages_without_text: tuple[int, ...] = ()
    needs_password: bool = False
    unreachable: bool = False
    needs_ocr: bool = False


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of every file of one call, how long it took (wall-clock seconds), and what services counted."""

    files: tuple[FileReport, ...]
    seconds: float
    cancelled: bool = False
    bill: Bill = field(default_factory=Bill)

    def count(self, status: FileStatus) -> int:
        """Files that ended with ``status``."""
        return sum(report.status is status for report in self.files)


class Stage(StrEnum):
    """Where a file is while it is being ingested."""

    READING = "reading"
    EMBEDDING = "embedding"
    PUBLISHING = "publishing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """A moment of an ingest: which file of how many, which stage, and passages embedded so far.

    ``rate`` is passages per second over this call, 0 before the first batch. With stage ``DONE`` the ``report`` of the
    file is there and is final. ``unembedded`` is the first file that passages wait of for their vectors, 0 where none
    do: the files from it on are in memory, and those before it, as far as they have no report, wait to be published.
    ``page`` of ``pages`` is at hand where a long file is read page by page.
    """

    path: str
    file: int
    files: int
    stage: Stage
    done: int = 0
    total: int = 0
    rate: float = 0.0
    report: FileReport | None = None
    unembedded: int = 0
    page: int = 0
    pages: int = 0


def format_pages(numbers: Sequence[int]) -> str:
    """Page numbers as people write them: ``[1, 2, 3, 7]`` → ``"1–3, 7"``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in runs)


def is_by_ocr(pages: Sequence[int], first: int | None, last: int | None) -> bool:
    """Whether any of ``pages``, whose text was recognized, is among those from ``first`` to ``last``."""
    return first is not None and any(first <= page <= (last or first) for page in pages)


def passage_of(title: str, text: str, context: str = "") -> str:
    """A passage as the models read it: title, context and text, a line each (BEIR's convention, with the context)."""
    return "\n".join((*filter(None, (title, context)), text))


def passage_hash(title: str, text: str, context: str = "") -> str:
    """The hash of a passage, by which vectors and labels are kept: SHA-256 of what the models read."""
    return digest(passage_of(title, text, context))


# Bytes of a file that are hashed at once.
_PIECE = 1 << 20


def sha256_of(path: Path, between: Callable[[], None] = lambda: None) -> str:
    """SHA-256 of a file's bytes, in hex. ``between`` is called while it is read, and may raise to stop that."""
    state = hashlib.sha256()
    with path.open("rb") as handle:
        while piece := handle.read(_PIECE):
            state.update(piece)
            between()
    return state.hexdigest()
