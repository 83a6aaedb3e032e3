"""Passages embedded per second: ours against plain `SentenceTransformer.encode`, same weights, same passages.

    python -m tests.benchmarks.ingest_rate

The rounds are taken in turn, so that a machine whose speed drifts is fair to both; the ratio is the median of
the rounds' ratios. The whole ingest (reading, cutting, embedding, SQLite, FAISS) is stated beside it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from sentence_transformers import SentenceTransformer

from ingest.chunker import Chunker
from ingest.encoders.onnx import open_encoder
from ingest.library.library import Library, Manifest
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.pipeline import ingest
from ingest.readers.registry import read_documents
from ingest.sources import walk
from tests.benchmarks.machine import machine
from ui.settings import SAMPLE

ROUNDS = 5


def passages(chunker: Chunker) -> list[str]:
    """The sample library's passages, in the order of its files."""
    found = []
    for source in walk([SAMPLE / "documents"]):
        for document in read_documents(source.path):
            found += [chunk.passage for chunk in chunker.chunks(document)]
    return found


def seconds(work: object) -> float:
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - started


def main() -> None:
    model = resolve_encoder("bundled", Hub(allow_downloads=False))
    ours = open_encoder(model)
    plain = SentenceTransformer(str(model.folder), local_files_only=True)
    texts = passages(Chunker(ours.tokenizer))
    ours.encode_passages(texts[:64])
    plain.encode(texts[:64])
    pairs = [
        (
            seconds(lambda: plain.encode(texts, show_progress_bar=False)),
            seconds(lambda: ours.encode_passages(texts)),
        )
        for _ in range(ROUNDS)
    ]
    rates = [len(texts) / statistics.median(times) for times in zip(*pairs, strict=True)]
    ratio = statistics.median(theirs / own for theirs, own in pairs)
    with tempfile.TemporaryDirectory() as folder:
        library = Library.create(Path(folder), Manifest.of(model.spec))
        sources = list(walk([SAMPLE / "documents"]))
        whole = seconds(lambda: ingest(sources, library, ours))
    print(machine())
    print(f"{len(texts)} passages, {ROUNDS} rounds in turn, medians")
    print(f"SentenceTransformer.encode  {rates[0]:7.1f} passages/s")
    print(f"ours                        {rates[1]:7.1f} passages/s   ratio {ratio:.2f}")
    print(f"whole ingest of {len(sources)} files   {len(texts) / whole:7.1f} passages/s")


if __name__ == "__main__":
    main()
