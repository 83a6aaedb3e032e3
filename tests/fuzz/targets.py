"""What is fuzzed, and the laws that must hold whatever goes in: shared by Hypothesis (short) and atheris (long).

A target takes bytes and returns nothing. It raises only where a law is broken: what a reader may raise is a
`ReadError`, what a question may raise is a `UsageError` (see `tests.fuzz.asking`), and every chunk is a slice of
its document.
"""

from __future__ import annotations

import functools
import io
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ingest.chunker import MAX_CHUNK_CHARACTERS, Chunker
from ingest.errors import ReadError
from ingest.readers.pdf import scans
from ingest.readers.pdf.recognition import Recognized
from ingest.readers.pdf.runs import PageText, Run
from ingest.readers.process.wire import BrokenFrameError, from_wire, to_wire
from ingest.readers.registry import FORMATS, read_documents
from ingest.readers.source import Limits
from ingest.records import Document, Heading
from tests.fakes import whitespace_tokenizer
from tests.fuzz import model_folders
from tests.fuzz.asking import ask
from tests.fuzz.model_folders import open_folder
from tests.integration.ingest.readers import awkward_formats
from tests.integration.ingest.readers.awkward import CASES

# Small, because a fuzzer wants many small files rather than a few large ones.
LIMITS = Limits(
    max_bytes=2_000_000,
    max_characters=200_000,
    max_pages=50,
    max_unpacked_bytes=20_000_000,
    max_page_seconds=2.0,
)
LARGEST_SEED = 60_000  # bytes
PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="second-look-fuzz-")


@functools.cache
def _chunker() -> Chunker:
    return Chunker(whitespace_tokenizer(), 24)


def read(suffix: str, data: bytes) -> None:
    """A file of these bytes: documents that keep their laws, or a sentence."""
    path = Path(_folder().name) / f"a{suffix}"
    path.write_bytes(data)
    try:
        # What is recognized in a picture is its engine's affair, and takes seconds: here it is its size.
        with mock.patch.object(scans, "recognize", _size_of):
            for document in read_documents(path, name=path.name, key="k", limits=LIMITS, passwords=["u"]):
                if isinstance(document, Document):
                    check_document(document)
                elif not document.reason.endswith("."):
                    raise AssertionError(f"no sentence about a file within: {document.reason}")
    except ReadError as error:
        sentence = str(error)
        if not (path.name in sentence and sentence.endswith(".")):
            raise AssertionError(f"no sentence about the file: {sentence}") from error


def _size_of(image: NDArray[np.uint8], points_per_pixel: float) -> Recognized:
    height, width, _ = image.shape
    run = Run(f"{width} by {height}", 0.0, width * points_per_pixel, 0.0, 10.0, False, False, 0)
    return Recognized(PageText([[run]]), ())


def check_document(document: Document) -> None:
    """A document survives the wire and is cut into slices of itself that lose nothing."""
    text = document.text
    text.encode("utf-8")
    if "\x00" in text or not text.strip():
        raise AssertionError("a text that cannot be stored, or nothing at all")
    if from_wire(to_wire(document)) != document:
        raise AssertionError("a document that the wire changes")
    position = 0
    for chunk in _chunker().chunks(document):
        if chunk.text != text[chunk.start : chunk.end] or len(chunk.text) > MAX_CHUNK_CHARACTERS:
            raise AssertionError(f"no slice of its document: {chunk.start}–{chunk.end}")
        if chunk.start < position or text[position : chunk.start].strip():
            raise AssertionError(f"text lost or doubled before {chunk.start}")
        position = chunk.end
    if text[position:].strip():
        raise AssertionError("text lost at the end")


def cut(data: bytes) -> None:
    """Any text, with headings wherever a line begins with their mark."""
    text = data.decode("utf-8", "replace").replace("\x00", " ")
    if text.strip():
        headings = tuple(
            Heading(1 + match.end() % 4, match.start(), "") for match in re.finditer("^#", text, re.M)
        )
        check_document(Document("k", "t", "p", "text", text, headings=headings))


def hear(data: bytes) -> None:
    """What a reading process may say: a document, or nonsense that is told as such."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(values, dict):
        try:
            check_types(from_wire(values))
        except BrokenFrameError:
            return


def check_types(document: Document) -> None:
    """The fields are of the kinds that they are declared as."""
    if not (
        isinstance(document.text, str) and isinstance(document.key, str) and isinstance(document.title, str)
    ):
        raise AssertionError("a document of other kinds")


# Of a format with many suffixes the first few: all of source code is read alike.
FUZZED = sorted(suffix for format in FORMATS for suffix in format.suffixes[:5])
TARGETS: dict[str, Callable[[bytes], None]] = {
    **{suffix: functools.partial(read, suffix) for suffix in FUZZED},
    "cut": cut,
    "ask": ask,
    "hear": hear,
    "model": open_folder,
}


def load(target: str) -> None:
    """Import what the target would import at its first input: a fuzzer sees only what it was shown before."""
    for kind in FORMATS:
        if target in kind.suffixes:
            _ = kind.read
    if target == "ask":
        ask(b"crane")


def seeds(target: str) -> Iterator[bytes]:
    """Small awkward files to begin with, made by the tests' own generators."""
    for case in (*CASES, *awkward_formats.CASES):
        if callable(case.content) or len(case.data) > LARGEST_SEED:
            continue
        if target in ("cut", "ask") or Path(case.name).suffix == target:
            yield case.data
    if kind := PICTURES.get(target):
        for mode in ("1", "L", "P", "RGBA", "CMYK"):
            file = io.BytesIO()
            with suppress(OSError):  # not every kind has every mode
                Image.new(mode, (24, 16)).save(file, kind)
                yield file.getvalue()
    if target == "model":
        yield from model_folders.seeds()
    if target == "hear":
        page, heading = {"number": 1, "start": 0, "end": 2}, {"level": 1, "start": 0, "text": "a"}
        document = {"key": "k", "title": "t", "path": "p", "format": "pdf", "text": "ab", "source_id": None}
        document |= {"pages": [page], "headings": [heading], "pages_without_text": [1]}
        document |= {"blocks": [], "pages_by_ocr": [1], "remarks": ["b"]}
        yield json.dumps(document).encode()
