"""Pictures of text (PNG, JPEG, TIFF) as documents: what is recognized in them, a page for each picture in the file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ingest.errors import DamagedFileError, NoTextError, OcrNeededError, TooLargeError
from ingest.readers.blocks import Blocks
from ingest.readers.extras import ocr_is_installed
from ingest.readers.pdf.flow import flow
from ingest.readers.pdf.layout import Line
from ingest.readers.pdf.recognition import LONGEST_SIDE
from ingest.readers.pdf.scans import Picture, recognize_pages
from ingest.readers.source import Source
from ingest.records import Document

if TYPE_CHECKING:
    from PIL import Image

# Four pages of A4 at 600 dots an inch; a picture unpacks to three bytes a pixel.
MOST_PIXELS = 140_000_000
_POINTS_A_PIXEL = 72 / 200
_ADVICE = "open it in a program for pictures, save it again, and add that."


def read_picture(source: Source) -> Iterator[Document]:
    """Yield the picture as one document, titled by its name.

    Raises:
        OcrNeededError: text recognition is not installed.
        NoTextError: no text is recognized in it.
        DamagedFileError, TooLargeError, EmptyFileError, ReadError: see ``Source``.
    """
    if not ocr_is_installed():
        raise OcrNeededError(f"{source.name} is a picture, and text recognition is not installed here.")
    with _opened(source) as image, source.parsing("", _ADVICE):
        count = getattr(image, "n_frames", 1)
        if count > source.limits.max_pages:
            raise TooLargeError(
                f"{source.name} has too many pages: more than the limit of {source.limits.max_pages:,}; "
                "split it into smaller files."
            )
        lines: list[list[Line]] = [[] for _ in range(count)]
        scans = recognize_pages(source, lines, range(count), lambda index: _frame(source, image, index))
    blocks = Blocks(source)
    places = flow(lines, blocks)
    if not blocks.text.strip():
        if scans.failure is not None:
            with source.parsing("", _ADVICE):
                raise scans.failure
        raise NoTextError(f"{source.name} is a picture in which no text was recognized; nothing to index.")
    yield source.document(
        "picture", "", blocks.text, pages=places, headings=blocks.headings, blocks=blocks.blocks,
        pages_without_text=[page.number for page in places if page.start == page.end],
        pages_by_ocr=scans.pages, remarks=scans.remarks(),
    )  # fmt: skip


def _opened(source: Source) -> Image.Image:
    """The picture, of which nothing but the head is read yet."""
    from PIL import Image, UnidentifiedImageError

    with source.parsing("", _ADVICE):
        try:
            return Image.open(io.BytesIO(source.data()), formats=("PNG", "JPEG", "TIFF"))
        except UnidentifiedImageError as error:  # its words name an object of Python
            raise DamagedFileError(
                f"{source.name} seems to be damaged: no picture can be made out in it; {_ADVICE}"
            ) from error


def _frame(source: Source, image: Image.Image, index: int) -> Picture:
    from PIL import ImageOps

    image.seek(index)
    if image.width * image.height > MOST_PIXELS:
        raise TooLargeError(
            f"{source.name} is too large: {image.width:,} × {image.height:,} pixels, and the limit is "
            f"{MOST_PIXELS // 1_000_000} million; make it smaller."
        )
    upright = ImageOps.exif_transpose(image)
    if "A" in upright.getbands() or "transparency" in upright.info:
        from PIL import Image

        paper = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(paper, upright.convert("RGBA"))
    colours = upright.convert("RGB")
    if max(colours.size) > 2 * LONGEST_SIDE:
        colours.thumbnail((2 * LONGEST_SIDE, 2 * LONGEST_SIDE))
    return np.ascontiguousarray(np.asarray(colours)[:, :, ::-1]), _POINTS_A_PIXEL
