"""Which library reads the words of PDFs: the share of known words, and the time a page, of each over the same files.

    python -m tests.benchmarks.pdf_text FOLDER_OR_FILE... [--pages N]

A word is known where the bundled encoder's vocabulary has it whole: words that are glued, split, or of wrong letters
are not. ``lost`` are known words that another reader found and this one did not, as a share of the most that any found.
The first pages of each file are read (30, unless ``--pages`` says otherwise), by each reader in turn, in this process.
Readers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pypdf import PdfReader, PdfWriter

from ingest.encoders.onnx import open_encoder
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.readers.registry import read_documents
from tests.benchmarks.machine import machine

WORD = re.compile(r"[A-Za-z]{2,}")


def by_us(path: Path) -> str:
    return "\n".join(document.text for document in read_documents(path))


def by_pypdf(path: Path) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(path).pages)


def by_pypdfium2(path: Path) -> str:
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        return "\n".join(page.get_textpage().get_text_range() for page in document)


def by_pdf_oxide(path: Path) -> str:
    import pdf_oxide

    document = pdf_oxide.PdfDocument(str(path))
    return "\n".join(document.extract_text(number) for number in range(document.page_count()))


def by_pdfplumber(path: Path) -> str:
    import pdfplumber

    with pdfplumber.open(path) as document:
        return "\n".join(page.extract_text() or "" for page in document.pages)


READERS: dict[str, Callable[[Path], str]] = {
    "second-look": by_us,
    "pypdf": by_pypdf,
    "pypdfium2": by_pypdfium2,
    "pdf_oxide": by_pdf_oxide,
    "pdfplumber": by_pdfplumber,
}


@dataclass
class Sum:
    """What one reader made of all files."""

    words: int = 0
    known: int = 0
    lost: int = 0
    seconds: float = 0.0
    failures: int = 0
    worst: int = 0  # files on which it is two points or more below the best


def files(places: list[Path]) -> Iterator[Path]:
    for place in places:
        yield from sorted(place.glob("*.pdf")) if place.is_dir() else [place]


def shortened(path: Path, pages: int, folder: Path) -> tuple[Path, int]:
    """The file, or its first pages as a file; and how many they are."""
    try:
        reader = PdfReader(path)
        if len(reader.pages) <= pages:
            return path, len(reader.pages)
        writer = PdfWriter()
        for page in reader.pages[:pages]:
            writer.add_page(page)
        writer.write(folder / path.name)
    except Exception:  # damaged, or behind a password: as it is
        return path, 1
    return folder / path.name, pages


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("places", nargs="+", type=Path)
    parser.add_argument("--pages", type=int, default=30)
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)
    encoder = open_encoder(resolve_encoder("bundled", Hub(allow_downloads=False)))
    vocabulary = {word for word in encoder.tokenizer.get_vocab() if word.isalpha()}
    readers = {name: read for name, read in READERS.items()
               if name == "second-look" or importlib.util.find_spec(name)}  # fmt: skip
    sums = {name: Sum() for name in readers}
    pages = count = 0
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for file in files(arguments.places):
            path, number = shortened(file, arguments.pages, Path(folder))
            counts: dict[str, tuple[int, int]] = {}
            for name, read in readers.items():
                started = time.perf_counter()
                try:
                    words = WORD.findall(read(path))
                except Exception:
                    words = []
                    sums[name].failures += 1
                sums[name].seconds += time.perf_counter() - started
                counts[name] = len(words), sum(word.lower() in vocabulary for word in words)
            most = max(known for _, known in counts.values())
            if not most:
                continue
            count, pages = count + 1, pages + number
            best = max(known / (words or 1) for words, known in counts.values())
            for name, (words, known) in counts.items():
                own = sums[name]
                own.words, own.known, own.lost = own.words + words, own.known + known, own.lost + most - known
                own.worst += known / (words or 1) < best - 0.02
            shares = ", ".join(f"{name} {known / (words or 1):.3f} of {words}"
                               for name, (words, known) in counts.items())  # fmt: skip
            print(f"  {file.name} ({number} pages): {shares}", flush=True)
    print(f"{count} files with text, {pages} pages")
    for name, own in sums.items():
        total = own.known + own.lost or 1
        print(
            f"{name:12} known {own.known / (own.words or 1):.4f} of {own.words:,} words, lost {own.lost / total:.4f}, "
            f"{own.worst} files two points below the best, {own.failures} not read, "
            f"{1000 * own.seconds / (pages or 1):.0f} ms a page"
        )


if __name__ == "__main__":
    main()
