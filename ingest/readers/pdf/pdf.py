"""PDF: running text with exact page offsets as blocks, titles, outlines, and typed refusals."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing

import pypdfium2 as pdfium

from ingest.errors import DamagedFileError, NoTextError, TooLargeError
from ingest.readers.blocks import Blocks
from ingest.readers.furniture import EdgeLine, furniture
from ingest.readers.pdf.flow import NUMBERED_HEADING, flow
from ingest.readers.pdf.headings import LARGER, Entry, body_size, heading_levels, outline_entries
from ingest.readers.pdf.layout import Line, lines_of
from ingest.readers.pdf.opening import ADVICE, OpenPdf, open_pdf
from ingest.readers.pdf.runs import PageText, page_text
from ingest.readers.source import Source, explain
from ingest.readers.titles import sensible_title, title_line
from ingest.records import Document, Page

logger = logging.getLogger(__name__)


def read_pdf(source: Source) -> Iterator[Document]:
    """Yield the file as one document with its pages.

    A page whose text cannot be extracted counts as one without text, as long as another page has some.

    Raises:
        PasswordNeededError: it opens only with a password that is not among ``source.passwords``.
        EncryptedFileError: it is encrypted in a way that is not known.
        NoTextError: no page has text, as in a scan, or none whose letters can be known.
        DamagedFileError, TooLargeError, EmptyFileError, ReadError: see ``Source``.
    """
    with closing(open_pdf(source)) as opened:
        count = len(opened.pages)
        if count > source.limits.max_pages:
            raise TooLargeError(
                f"{source.name} has too many pages: more than the limit of {source.limits.max_pages:,}; "
                "split it into smaller files."
            )
        lines = _without_furniture(_lines_of_pages(source, opened.pages))
        blocks = Blocks(source)
        entries = _entries(opened)
        places = flow(lines, blocks, heading_levels(lines, entries))
        yield source.document(
            "pdf",
            _metadata_title(opened) or _title_on_page(lines),
            blocks.text,
            pages=places,
            headings=blocks.headings,
            pages_without_text=_without_text(places),
            blocks=blocks.blocks,
        )


def _lines_of_pages(source: Source, document: pdfium.PdfDocument) -> list[list[Line]]:
    """The lines of every page, none for a page that fails.

    Raises:
        DamagedFileError: a page failed and no other has text.
        NoTextError: none failed, and none has text.
    """
    result: list[list[Line]] = []
    failure: tuple[int, Exception] | None = None
    unreadable = characters = 0
    for index in range(len(document)):
        text = PageText()
        lines: list[Line] = []
        try:
            text = _text_of(document, index, source.limits.max_page_seconds)
            lines = lines_of(text)
        except MemoryError:
            raise
        except Exception as error:  # one bad page must not take the others along
            logger.debug("page %d of %s gives no text", index + 1, source.name, exc_info=error)
            failure = failure or (index + 1, error)
        unreadable += text.unreadable
        characters += sum(len(line.text) for line in lines)
        source.check_characters(characters)
        result.append(lines)
    if not any(result):
        _refuse_textless(source, len(document), failure, unreadable)
    return result


# Places that are the same on two pages, in points.
_SAME_PLACE = 3.0


def _without_furniture(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """The pages without what repeats at their edges, whatever columns it is in."""
    ordered = [sorted(page, key=lambda line: -line.y) for page in pages]
    edges = [
        [EdgeLine(line.text, f"{round(line.left / _SAME_PLACE)} {round(line.y / _SAME_PLACE)} {line.size:.1f}")
         for line in page] for page in ordered
    ]  # fmt: skip
    removed, first = furniture(edges)
    for page, line in first:
        ordered[page][line].alone = True
    gone = {id(ordered[page][line]) for page, line in removed}
    return [[line for line in page if id(line) not in gone] for page in pages]


def _text_of(document: pdfium.PdfDocument, index: int, seconds: float) -> PageText:
    page = document[index]
    try:
        return page_text(page, seconds)
    finally:
        page.close()


def _refuse_textless(
    source: Source, count: int, failure: tuple[int, Exception] | None, unreadable: int
) -> None:
    if failure:
        number, error = failure
        raise DamagedFileError(
            f"{source.name}, page {number}, seems to be damaged: its parser stopped with {explain(error)}, "
            f"and no other page has text; {ADVICE}"
        )
    if not count:
        raise DamagedFileError(f"{source.name} has no pages, so it seems to be damaged; {ADVICE}")
    held = "page holds" if count == 1 else f"{count:,} pages hold"
    if unreadable:
        raise NoTextError(
            f"{source.name} has no text that can be known: its fonts do not tell which letters they draw. "
            "Text recognition (OCR) of all its pages makes it readable; ocrmypdf can do that, say. Add what it made."
        )
    raise NoTextError(
        f"{source.name} has no text: its {held} only pictures, so it is probably a scan. "
        "Text recognition (OCR) makes it readable: run “ocrmypdf in.pdf out.pdf”, then add out.pdf."
    )


def _without_text(places: Sequence[Page]) -> list[int]:
    return [page.number for page in places if page.start == page.end]


def _entries(opened: OpenPdf) -> list[Entry]:
    """The outline; nothing where it is missing or broken: that costs headings, no more."""
    try:
        return list(outline_entries(opened.around)) if opened.around is not None else []
    except Exception as error:
        logger.debug("the outline cannot be read", exc_info=error)
        return []


def _metadata_title(opened: OpenPdf) -> str:
    """The title that the file names; "" where it is missing or broken, or where a program wrote it."""
    try:
        metadata = opened.around.metadata if opened.around is not None else None
        return sensible_title(metadata.title if metadata else "")
    except Exception as error:
        logger.debug("the metadata cannot be read", exc_info=error)
        return ""


def _title_on_page(pages: Sequence[Sequence[Line]]) -> str:
    """What the first page with text is headed by in letters larger than its text; "" where nothing is.

    A first line of the text's own size is as often a date, a sender, or the head of a table.
    """
    page = next((page for page in pages if page), [])
    body = body_size(pages)
    if not page or body == 0:
        return ""
    size = max(line.size for line in page)
    start = next(index for index, line in enumerate(page) if line.size == size)
    lines = [line for line in page[start : start + 3] if line.size == size]
    if size < LARGER * body or any(line.table or line.leader for line in lines):
        return ""
    if NUMBERED_HEADING.match(lines[0].text):  # of a section
        return ""
    return title_line(" ".join(line.text for line in lines)) or title_line(lines[0].text)
