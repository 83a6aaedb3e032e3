"""What every reader is handed (a file, its name, the limits), and the checks they share."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import BinaryIO, Protocol

from ingest.errors import DamagedFileError, EmptyFileError, ReadError, TooLargeError, UnreachableError
from ingest.readers.titles import clean_characters, clean_title
from ingest.records import NO_METADATA, Block, Document, Heading, Metadata, Page, Unread

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a single file may cost. Over any of them it is refused with a ``TooLargeError``.

    They keep one careless or hostile file from taking the machine's memory; ordinary books stay far below.

    - ``max_bytes``: the file on disk, held in memory whole by every parser but JSONL's, which goes
      line by line and so applies it to each line. 200 MB is a scanned book of a thousand pages.
    - ``max_characters``: the text of one document. 20 million is six times “War and Peace”, and at
      about 1,000 characters a passage already 20,000 passages to embed.
    - ``max_pages``: pages of a PDF; 10,000 is beyond the longest statutes and manuals.
    - ``max_unpacked_bytes``: what a ZIP archive, or a DOCX, which is one, may unpack to, with what lies within it.
      500 MB, because pictures inside hardly shrink: the archive itself is already held to ``max_bytes``.
    - ``max_members``: files within one file, with those within these; mails of a mailbox are not counted.
    - ``max_depth``: how deep files may lie within files: a PDF in an archive that a mail of a mailbox carries is at 3.
    - ``max_page_seconds``: one page of a PDF; drawings with millions of strokes can take minutes and
      hold no text. Such a page counts as one without text.
    - ``max_seconds``: until the first document of a file, and from one to the next in a corpus. A PDF of
      10,000 pages takes 50 to 100 seconds.
    - ``max_ocr_seconds``: recognizing the text of one document's pages, at one to five seconds each; what is left then
      counts as without text. Each page may take ``max_seconds``.
    - ``max_memory_bytes``: what reading may hold at once. HTML takes some twenty times its size. Both of
      these hold where a file is read in a process of its own (`ingest.readers.process.client`).
    """

    max_bytes: int = 200_000_000
    max_characters: int = 20_000_000
    max_pages: int = 10_000
    max_unpacked_bytes: int = 500_000_000
    max_members: int = 20_000
    max_depth: int = 6
    max_page_seconds: float = 30.0
    max_seconds: float = 600.0
    max_memory_bytes: int = 2_000_000_000
    max_ocr_seconds: float = 3600.0


@dataclass(slots=True)
class Unpacked:
    """What was unpacked so far of a file and of those within it: bytes, and files."""

    size: int = 0
    members: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read: where it lies, what people call it, its identity in the library, and passwords to try.

    ``on_page`` is told, by a reader that takes seconds a page, which page of how many is read next. A file within a
    file has its bytes in ``content``, and lies at a ``depth`` of 1 or more.
    """

    path: Path
    name: str
    key: str
    limits: Limits
    passwords: Sequence[str] = field(default=(), repr=False)
    on_page: Callable[[int, int], None] = field(default=lambda page, pages: None, repr=False, compare=False)
    content: bytes | None = field(default=None, repr=False)
    depth: int = 0
    unpacked: Unpacked = field(default_factory=Unpacked, repr=False, compare=False)

    def member(self, name: str, content: bytes) -> Source:
        """A file within this one; ``name`` is its name or path there.

        Raises:
            TooLargeError: there are more of them than ``limits.max_members``.
        """
        self.unpacked.members += 1
        if self.unpacked.members > self.limits.max_members:
            raise TooLargeError(
                f"{self.name} holds more files than are read of one, {self.limits.max_members:,}; unpack it and "
                "add the files themselves."
            )
        return self.part(name, content)

    def attachments(self, files: Iterable[tuple[str, bytes]]) -> Iterator[Source]:
        """As `member`, of files that may be empty, which are left out, or have a name twice, which gets a number."""
        names = set[str]()
        for number, (name, content) in enumerate(files, start=1):
            unique = name if name not in names else f"{number}-{name}"
            names.add(unique)
            if content:
                yield self.member(unique, content)

    def part(self, name: str, content: bytes) -> Source:
        """As `member`, of a file that is nothing but such parts, as a mailbox is; they are not counted."""
        return replace(
            self,
            name=f"{self.name}/{name}",
            key=f"{self.key}/{name}",
            content=content,
            depth=self.depth + 1,
        )

    @property
    def suffix(self) -> str:
        """The name's suffix in lower case, with its dot; "" where it has none."""
        return PurePath(self.name).suffix.lower()

    @property
    def stem(self) -> str:
        """The name without folders and suffix: the title of last resort."""
        return clean_title(PurePath(self.name).stem) or self.name

    def size(self) -> int:
        """Bytes on disk, at least one.

        Raises:
            EmptyFileError: it has none.
            ReadError: it is a folder, is not there, or may not be read.
        """
        if self.content is not None:
            size = len(self.content)
        elif self.path.is_dir():
            raise ReadError(f"{self.name} is a folder, not a file; give the files in it instead.")
        else:
            with self.opening():
                size = self.path.stat().st_size
        if size == 0:
            raise EmptyFileError(
                f"{self.name} is empty (0 bytes); save it again from the program that made it."
            )
        return size

    def head(self, count: int) -> bytes:
        """The first ``count`` bytes, or all there are."""
        with self.open() as file:
            return file.read(count)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The file, to be read piece by piece. Raises as `opening`."""
        if self.content is not None:
            yield io.BytesIO(self.content)
            return
        with self.opening(), self.path.open("rb") as file:
            yield file

    def data(self) -> bytes:
        """The whole file.

        Raises:
            TooLargeError: over ``limits.max_bytes``.
            EmptyFileError, ReadError: as for ``size``.
        """
        self.check_bytes(self.size(), self.limits.max_bytes, self.name)
        with self.open() as file:
            return file.read()

    def check_bytes(self, size: int, limit: int, what: str) -> None:
        """Raise a ``TooLargeError`` about ``what`` if ``size`` is over ``limit`` (both in bytes)."""
        if size > limit:
            raise TooLargeError(
                f"{what} is too large: {format_size(size)}, and the limit is {format_size(limit)}; "
                "split it into smaller files."
            )

    def check_characters(self, count: int, place: str = "") -> None:
        """Raise a ``TooLargeError`` if a text of ``count`` characters, at ``place`` in the file, is over the limit."""
        if count > self.limits.max_characters:
            raise TooLargeError(
                f"{self.name}{place} holds too much text: {count:,} characters or more, and the limit is "
                f"{self.limits.max_characters:,}; split it into smaller files."
            )

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Turn the operating system's refusals into an ``UnreachableError`` that says which."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UnreachableError(
                f"{self.name} cannot be opened ({reason}); check that it is there and may be read."
            ) from error

    @contextmanager
    def parsing(self, what: str, advice: str) -> Iterator[None]:
        """Turn whatever a third-party parser raises into a ``DamagedFileError``; ours pass through.

        ``what`` names the place ("page 3"), or is "" for the file as a whole.
        """
        try:
            yield
        except (ReadError, MemoryError):
            raise
        except Exception as error:  # parsers raise anything at all on damaged input
            logger.debug("the parser gave up on %s", self.name, exc_info=error)
            place = f", {what}," if what else ""
            raise DamagedFileError(
                f"{self.name}{place} seems to be damaged: its parser stopped with {explain(error)}; {advice}"
            ) from error

    def document(  # noqa: PLR0913 (what a document is made of, each by its name)
        self,
        format: str,
        title: str,
        text: str,
        *,
        pages: Sequence[Page] = (),
        headings: Sequence[Heading] = (),
        pages_without_text: Sequence[int] = (),
        blocks: Sequence[Block] = (),
        pages_by_ocr: Sequence[int] = (),
        remarks: Sequence[str] = (),
        metadata: Metadata = NO_METADATA,
    ) -> Document:
        """The finished document; ``text`` has its unusable characters replaced, one for one.

        Raises:
            EmptyFileError: nothing but white space.
            TooLargeError: over ``limits.max_characters``.
        """
        self.check_characters(len(text))
        if not text or text.isspace():
            raise EmptyFileError(
                f"{self.name} holds no text, only white space or marks of layout; nothing to index."
            )
        return Document(
            key=self.key,
            title=clean_title(title) or self.stem,
            path=self.name,
            format=format,
            text=clean_characters(text),
            pages=tuple(pages),
            headings=tuple(headings),
            pages_without_text=tuple(pages_without_text),
            blocks=tuple(blocks),
            pages_by_ocr=tuple(pages_by_ocr),
            remarks=tuple(remarks),
            metadata=metadata,
        )


Part = Document | Unread | Source


class Reader(Protocol):
    """Reads one format: yields the documents of a file, one, except for a corpus; and the files within it."""

    def __call__(self, source: Source) -> Iterator[Part]:
        """Yield the documents of ``source``, the files within it, which are read in turn, and what of it is not read.

        Raises:
            ReadError: or one of its kinds, with a sentence that names the file and what to do.
        """


def format_size(size: int) -> str:
    """Bytes as people write them, in powers of ten: ``1_200_000`` → ``"1.2 MB"``."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size} bytes"


def explain(error: BaseException) -> str:
    """A parser's own words in one short line: the kind of its error and the start of its message."""
    words = " ".join(str(error).split())[:120].rstrip(" .")
    return f"“{type(error).__name__}: {words}”" if words else f"“{type(error).__name__}”"
