"""What reading in a process of its own costs an ingest: the same files read in it and without it, in turn.

    python -m tests.benchmarks.reading [ROUNDS]

Twice: the sample documents, and 200 files of one paragraph, where the share of reading is largest. The whole ingest
is timed (reading, cutting, embedding with the bundled encoder, SQLite, FAISS); the ratio is the median of the rounds'
ratios. The first round starts the process, the others find it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest import intake
from ingest.encoders.base import Encoder
from ingest.encoders.onnx import open_encoder
from ingest.library.library import Library, Manifest
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.pipeline import ingest
from ingest.readers.process.client import read_in_worker
from ingest.readers.registry import read_documents
from ingest.records import Document
from ingest.sources import Source, walk
from tests.benchmarks.machine import machine
from ui.settings import SAMPLE

SMALL = 200


def in_this_process(path: Path, **options: object) -> Iterator[Document]:
    """`read_documents`, called as `read_in_worker` is."""
    options.pop("cancelled")
    return read_documents(path, **options)  # type: ignore[arg-type]


def seconds(sources: Sequence[Source], encoder: Encoder, read: object) -> float:
    """How long an ingest into a new library takes, with this function to read files."""
    intake.read_in_worker = read  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        library = Library.create(Path(folder), Manifest.of(encoder.model.spec))
        started = time.perf_counter()
        ingest(sources, library, encoder)
        return time.perf_counter() - started


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    encoder = open_encoder(resolve_encoder("bundled", Hub(allow_downloads=False)))
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for number in range(SMALL):
            words = f"Note {number}. The common crane rests on mudflats and flies south in autumn: {number} of them."
            (Path(folder) / f"{number}.txt").write_text(words)
        for name, where in (
            ("sample documents", SAMPLE / "documents"),
            (f"{SMALL} small files", Path(folder)),
        ):
            sources = list(walk([where]))
            seconds(sources, encoder, in_this_process)  # imports the parsers
            pairs = [
                (seconds(sources, encoder, in_this_process), seconds(sources, encoder, read_in_worker))
                for _ in range(rounds)
            ]
            here, there = (statistics.median(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(own / plain for plain, own in pairs)
            print(
                f"{name}: {len(sources)} files; in this process {here:.2f} s, in its own {there:.2f} s; "
                f"{rounds} rounds in turn, ratio {ratio:.2f}"
            )


if __name__ == "__main__":
    main()
