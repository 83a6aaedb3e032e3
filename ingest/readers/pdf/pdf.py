"""PDF: running text with exact page offsets as blocks, titles, outlines, and typed refusals."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pypdfium2 as pdfium
from pypdfium2 import raw

from ingest.errors import DamagedFileError, NoTextError, OcrNeededError, TooLargeError
from ingest.readers.blocks import Blocks
from ingest.readers.extras import ocr_is_installed
from ingest.readers.furniture import EdgeLine, furniture
from ingest.readers.pdf.around import add_fields_and_notes, attachments, pdf_metadata
from ingest.readers.pdf.flow import NUMBERED_HEADING, flow
from ingest.readers.pdf.headings import LARGER, Entry, body_size, heading_levels, outline_entries
from ingest.readers.pdf.layout import Line, lines_of
from ingest.readers.pdf.opening import ADVICE, OpenPdf, open_pdf
from ingest.readers.pdf.recognition import DOTS_PER_INCH, LONGEST_SIDE
from ingest.readers.pdf.runs import PageText, page_text
from ingest.readers.pdf.scans import Picture, Scans, recognize_pages
from ingest.readers.source import Source, explain
from ingest.readers.titles import sensible_title, title_line
from ingest.records import Document, Page, Unread, format_pages

logger = logging.getLogger(__name__)


def read_pdf(source: Source) -> Iterator[Document | Source | Unread]:
    """Yield the file as one document with its pages, then the files that are attached to it.

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
        pages = _read_pages(source, opened.pages)
        scans = recognize_pages(
            source, pages.lines, sorted(pages.pictures), lambda index: _picture(opened.pages, index)
        )
        add_fields_and_notes(opened.around, pages.lines)
        if not any(pages.lines):
            _refuse_textless(source, pages)
        lines = _without_furniture(pages.lines)
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
            pages_by_ocr=scans.pages,
            remarks=[*scans.remarks(), *_unread(pages, scans)],
            metadata=pdf_metadata(opened.around),
        )
        yield from _attached(source, opened)


@dataclass(slots=True)
class _Pages:
    """The lines of every page, none for one that fails or has none; ``pictures`` are indices of pages to recognize."""

    lines: list[list[Line]] = field(default_factory=list)
    pictures: set[int] = field(default_factory=set)
    unreadable: list[int] = field(default_factory=list)
    failure: tuple[int, Exception] | None = None


def _read_pages(source: Source, document: pdfium.PdfDocument) -> _Pages:
    pages = _Pages()
    characters = 0
    for index in range(len(document)):
        lines: list[Line] = []
        try:
            text = _text_of(document, index, source.limits.max_page_seconds)
            lines = lines_of(text)
            if text.unreadable:
                pages.unreadable.append(index + 1)
            count = sum(len(line.text) for line in lines)
            share = _LARGE if count else _SMALL
            if text.unreadable or (count < _FEW and _has_picture(document, index, share)):
                pages.pictures.add(index)
        except MemoryError:
            raise
        except Exception as error:  # one bad page must not take the others along
            logger.debug("page %d of %s gives no text", index + 1, source.name, exc_info=error)
            pages.failure = pages.failure or (index + 1, error)
        characters += sum(len(line.text) for line in lines)
        source.check_characters(characters)
        pages.lines.append(lines)
    return pages


# A page with fewer characters and a large picture is a scan with a stamp or a number on it.
_FEW = 40
# The share of a page that a large picture covers, and one that may hold a line of text; and how many pieces of a page
# are looked at for it.
_LARGE, _SMALL = 0.3, 0.01
_MOST_PIECES = 200


def _has_picture(document: pdfium.PdfDocument, index: int, share: float) -> bool:
    """Whether that share of the page is a picture, or it is drawn in strips or strokes as some scans are."""
    page = document[index]
    try:
        width, height = page.get_size()
        covered = strokes = 0.0
        for piece in islice(page.get_objects(max_depth=3), _MOST_PIECES):
            if piece.type == raw.FPDF_PAGEOBJ_IMAGE:
                left, bottom, right, top = piece.get_bounds()
                covered += (right - left) * (top - bottom)
            strokes += piece.type == raw.FPDF_PAGEOBJ_PATH
        return covered > share * width * height or strokes > _MOST_PIECES / 2
    finally:
        page.close()


def _picture(document: pdfium.PdfDocument, index: int) -> Picture:
    """The page as it is drawn, with its fields and notes left out."""
    page = document[index]
    try:
        scale = min(DOTS_PER_INCH / 72, LONGEST_SIDE / max(*page.get_size(), 1.0))
        bitmap = page.render(scale=scale, may_draw_forms=False)
        image = bitmap.to_numpy()
        colours = image[:, :, :3] if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
        return np.ascontiguousarray(colours), 1 / scale
    finally:
        page.close()


def _unread(pages: _Pages, scans: Scans) -> list[str]:
    """A sentence on the pages whose letters cannot be known, and were not recognized either."""
    numbers = [number for number in pages.unreadable if number not in scans.pages]
    if not numbers:
        return []
    plural = "s" if len(numbers) > 1 else ""
    return [f"Page{plural} {format_pages(numbers)}: the fonts do not tell which letters they draw."]


def _attached(source: Source, opened: OpenPdf) -> Iterator[Source | Unread]:
    files = []
    for name, content in attachments(opened.around):
        if content is None:
            path = f"{source.name}/{name}"
            yield Unread(path, f"{path} cannot be taken out of the PDF; save it from a viewer, and add that.")
        else:
            files.append((name, content))
    yield from source.attachments(files)


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


def _refuse_textless(source: Source, pages: _Pages) -> None:
    """Raise what says why no page has text.

    Raises:
        DamagedFileError: a page failed, or there is none.
        OcrNeededError: recognition would find some, and is not installed.
        NoTextError: none is to be found.
    """
    count = len(pages.lines)
    if pages.failure:
        number, error = pages.failure
        raise DamagedFileError(
            f"{source.name}, page {number}, seems to be damaged: its parser stopped with {explain(error)}, "
            f"and no other page has text; {ADVICE}"
        )
    if not count:
        raise DamagedFileError(f"{source.name} has no pages, so it seems to be damaged; {ADVICE}")
    held = "page holds" if count == 1 else f"{count:,} pages hold"
    if not pages.pictures:
        raise NoTextError(
            f"{source.name} has no text: its {held} neither letters nor pictures that can be drawn; {ADVICE}"
        )
    why = (
        f"{source.name} has no text that can be known: its fonts do not tell which letters they draw"
        if pages.unreadable
        else f"{source.name} has no text: its {held} only pictures, so it is probably a scan"
    )
    if not ocr_is_installed():
        raise OcrNeededError(f"{why}, and text recognition (OCR) is not installed here.")
    raise NoTextError(f"{why}, and text recognition (OCR) found none either; nothing to index.")


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
