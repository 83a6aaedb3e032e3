"""PDF, by pypdf: running text with exact page offsets, titles, outlines, and typed refusals."""

from __future__ import annotations

import io
import logging
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from pypdf import PageObject, PdfReader
from pypdf.generic import Destination

from ingest.errors import (
    DamagedFileError,
    EncryptedFileError,
    NoTextError,
    PasswordNeededError,
    TooLargeError,
)
from ingest.readers.pdf_lines import clean_lines, flow, without_furniture
from ingest.readers.source import Source, explain
from ingest.readers.titles import clean_title, sensible_title, title_line
from ingest.records import Document, Heading, Page

logger = logging.getLogger(__name__)

# A book of 1,000 pages has some hundreds of entries; beyond this an outline is an index or a fault.
_MOST_ENTRIES = 5_000


def outline_headings(reader: PdfReader, text: str, pages: Sequence[Page]) -> list[Heading]:
    """The outline's entries in the order of the text; none where the outline is missing or broken.

    An entry starts where its title stands on its page, looked for at line starts first, else where the
    page starts.
    """
    try:
        entries = list(_entries(reader))
    except Exception as error:  # the outline is a help: a broken one costs headings, no more
        logger.debug("the outline cannot be read", exc_info=error)
        return []
    headings = []
    after: dict[int, int] = {}
    for level, title, number in entries:
        if title and number < len(pages):
            page = pages[number]
            start = _place(title, text, after.get(number, page.start), page)
            after[number] = start
            headings.append(Heading(level=level, start=start, text=title))
    return sorted(headings, key=lambda heading: heading.start)


def _entries(reader: PdfReader) -> Iterator[tuple[int, str, int]]:
    """Level (from 1), title and index of the page (from 0) of each entry that leads to a page."""
    stack: list[Iterator[Any]] = [iter(reader.outline)]
    count = 0
    while stack and count < _MOST_ENTRIES:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
        elif isinstance(item, list):
            stack.append(iter(item))
        elif isinstance(item, Destination):
            count += 1
            number = reader.get_destination_page_number(item)
            if number is not None and number >= 0:
                yield len(stack), clean_title(str(item.title or "")), number


def _place(title: str, text: str, start: int, page: Page) -> int:
    """Where ``title`` stands in ``text`` from ``start`` to the page's end; the page's start if nowhere."""
    words = r"\s+".join(map(re.escape, title.split()))
    for pattern in (rf"^(?:[\dIVX.§]+\s+)?{words}", words):
        match = re.compile(pattern, re.I | re.M).search(text, start, page.end)
        if match:
            return match.start()
    return page.start


_ADVICE = "open it in a PDF viewer, print or export it to a new PDF, and add that."


class _ToOurLog(logging.Handler):
    """pypdf warns about every small fault it mended; that is for our debugging, not for people's screens."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.debug("pypdf: %s", record.getMessage())


logging.getLogger("pypdf").addHandler(_ToOurLog())
logging.getLogger("pypdf").propagate = False


class _SlowPageError(Exception):
    """A page took longer than its limit."""


def read_pdf(source: Source) -> Iterator[Document]:
    """Yield the file as one document with its pages.

    A page whose text cannot be extracted counts as one without text, as long as another page has some.

    Raises:
        PasswordNeededError: it opens only with a password that is not among ``source.passwords``.
        EncryptedFileError: it is encrypted in a way that pypdf does not know.
        NoTextError: no page has text, as in a scan.
        DamagedFileError, TooLargeError, EmptyFileError, ReadError: see ``Source``.
    """
    reader = _open(source)
    with source.parsing("", _ADVICE):
        pages = list(reader.pages[: source.limits.max_pages + 1])
    if len(pages) > source.limits.max_pages:
        raise TooLargeError(
            f"{source.name} has too many pages: more than the limit of {source.limits.max_pages:,}; "
            "split it into smaller files."
        )
    lines = without_furniture(_lines_of_pages(source, pages))
    text, places = flow(lines)
    yield source.document(
        "pdf",
        _metadata_title(reader) or _first_line(lines),
        text,
        pages=places,
        headings=outline_headings(reader, text, places),
        pages_without_text=_without_text(places),
    )


def _open(source: Source) -> PdfReader:
    data = source.data()
    with source.parsing("", _ADVICE):
        try:
            reader = PdfReader(io.BytesIO(data), strict=False)
        except NotImplementedError as error:  # of a handler that is not the standard's
            raise _unknown_encryption(source, error) from error
        encrypted = reader.is_encrypted
    if encrypted:
        _decrypt(source, reader)
    return reader


def _unknown_encryption(source: Source, error: Exception) -> EncryptedFileError:
    """What to raise; only the kind of ``error`` is told, because its message may quote a password."""
    return EncryptedFileError(
        f"{source.name} is encrypted in a way that cannot be opened here ({type(error).__name__}); open it in a PDF "
        "viewer, save a copy without a password, and add the copy."
    )


def _decrypt(source: Source, reader: PdfReader) -> None:
    """Try the empty password first: many PDFs are only guarded against printing and open so in any viewer."""
    try:
        opened = any(reader.decrypt(password) for password in ("", *source.passwords))
    except Exception as error:  # noqa: BLE001  (unknown handlers, broken dictionaries, passwords that cannot be)
        raise _unknown_encryption(source, error) from None
    if not opened:
        tried = "the one that was given does not open it" if source.passwords else "none was given"
        raise PasswordNeededError(
            f"{source.name} is protected by a password, and {tried}; give its password, or save a copy without one "
            "and add the copy."
        )


def _lines_of_pages(source: Source, pages: list[PageObject]) -> list[list[str]]:
    """The lines of every page, none for a page that fails.

    Raises:
        DamagedFileError: a page failed and no other has text.
        NoTextError: none failed, and none has text.
    """
    result: list[list[str]] = []
    failure: tuple[int, Exception] | None = None
    characters = 0
    for number, page in enumerate(pages, 1):
        try:
            text = _extract(page, source.limits.max_page_seconds)
        except Exception as error:  # one bad page must not take the others along
            logger.debug("page %d of %s gives no text", number, source.name, exc_info=error)
            failure = failure or (number, error)
            text = ""
        characters += len(text)
        source.check_characters(characters)
        result.append(clean_lines(text))
    if not any(result):
        _refuse_textless(source, len(pages), failure)
    return result


def _extract(page: PageObject, seconds: float) -> str:
    """The page's text as pypdf lays it out, given up after ``seconds``."""
    deadline = time.monotonic() + seconds

    def watch(*_: object) -> None:
        if time.monotonic() > deadline:
            raise _SlowPageError(f"it took longer than {seconds:g} seconds")

    text: str = page.extract_text(visitor_operand_before=watch)
    return text


def _refuse_textless(source: Source, count: int, failure: tuple[int, Exception] | None) -> None:
    if failure:
        number, error = failure
        raise DamagedFileError(
            f"{source.name}, page {number}, seems to be damaged: its parser stopped with {explain(error)}, "
            f"and no other page has text; {_ADVICE}"
        )
    if not count:
        raise DamagedFileError(f"{source.name} has no pages, so it seems to be damaged; {_ADVICE}")
    held = "page holds" if count == 1 else f"{count:,} pages hold"
    raise NoTextError(
        f"{source.name} has no text: its {held} only pictures, so it is probably a scan. "
        "Text recognition (OCR) makes it readable: run “ocrmypdf in.pdf out.pdf”, then add out.pdf."
    )


def _without_text(places: list[Page]) -> list[int]:
    return [page.number for page in places if page.start == page.end]


def _metadata_title(reader: PdfReader) -> str:
    try:
        return sensible_title(reader.metadata.title if reader.metadata else "")
    except Exception as error:  # a broken information dictionary costs the title, no more
        logger.debug("the metadata cannot be read", exc_info=error)
        return ""


def _first_line(pages: list[list[str]]) -> str:
    """The first line of the first page with text, if it reads like a title: apart from full lines of prose."""
    lines = next((page for page in pages if page), [""])
    longest = max(map(len, lines[1:]), default=0)
    return title_line(lines[0]) if len(lines) == 1 or len(lines[0]) < 0.9 * longest else ""
