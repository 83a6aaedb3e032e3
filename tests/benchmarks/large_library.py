"""Encode + retrieve in a library of 100,000 passages, through the product's own writer and retriever.

    python -m tests.benchmarks.large_library [PASSAGES]

Vectors are grown from real embeddings, as index_size.py says; texts are some 80 words each; questions are the
sample library's, embedded by the bundled encoder as a search does.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.encoders.base import Encoder
from ingest.encoders.onnx import open_encoder
from ingest.library.library import Library, Manifest
from ingest.library.writer import writing
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.records import Chunk, Document
from rerank.judged.beir import read_rows
from retrieval.retriever import Retriever
from tests.benchmarks.index_size import QUESTIONS, K, embed, grow
from tests.benchmarks.machine import machine
from tests.benchmarks.search_stages import peak_megabytes

A_DOCUMENT = 100


def document_of(first: int) -> tuple[Document, list[Chunk]]:
    """A document of 100 passages, numbered from ``first``."""
    texts = [f"Passage {number}. " + "Some words of it. " * 20 for number in range(first, first + A_DOCUMENT)]
    document = Document(f"d{first}", f"Document {first}", f"d{first}.txt", "text", "".join(texts))
    chunks, at = [], 0
    for text in texts:
        end = at + len(text)
        chunks.append(Chunk(-1, document.id, document.title, document.path, None, None, (), at, end, text))
        at = end
    return document, chunks


def fill(library: Library, array: NDArray[np.float32]) -> float:
    """Store these vectors with passages of their own; the seconds that publishing took."""
    with writing(library) as writer:
        for first in range(0, len(array), A_DOCUMENT):
            document, chunks = document_of(first)
            writer.put_vectors({chunk.passage_hash: array[first + i] for i, chunk in enumerate(chunks)})
            writer.stage(document.key, document, chunks)
        started = time.perf_counter()
        writer.publish()
        return time.perf_counter() - started


def ask(retriever: Retriever, questions: list[str], state: str) -> None:
    """Median and 95th percentile of each stage over the questions."""
    found = [retriever.retrieve(question, K) for question in questions]
    stages = {
        "encode": [one.encode_ms for one in found],
        "retrieve": [one.retrieve_ms for one in found],
        "both": [one.encode_ms + one.retrieve_ms for one in found],
    }
    for name, times in stages.items():
        late = sorted(times)[int(0.95 * len(times))]
        print(
            f"{state:<17}{name:<9} median {statistics.median(times):6.1f} ms   p95 {late:6.1f} ms", flush=True
        )


def delete_one(library: Library, retriever: Retriever, question: str) -> float:
    """Delete the document of the best passage; milliseconds. Raises `RuntimeError` if a search still shows it."""
    (best,) = retriever.retrieve(question, 1).candidates
    started = time.perf_counter()
    with writing(library) as writer:
        writer.delete([best.chunk.document_id])
    took = (time.perf_counter() - started) * 1e3
    if any(c.chunk.document_id == best.chunk.document_id for c in retriever.retrieve(question, K).candidates):
        raise RuntimeError(f"The deleted document {best.chunk.path} is still found.")
    return took


def measure(encoder: Encoder, array: NDArray[np.float32], questions: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        library = Library.create(Path(name), Manifest.of(encoder.model.spec))
        print(f"{len(array):,} passages, published in {fill(library, array):.1f} s")
        index = library.generation().index
        if index is None:
            raise RuntimeError("The library was published without an index.")
        size = (library.folder / "vectors" / index.name).stat().st_size / 2**20
        print(f"index file {size:.0f} MB, recall@100 on the library's own sample {index.recall:.4f}")
        retriever = Retriever(library, encoder)
        started = time.perf_counter()
        retriever.retrieve(questions[0], K)
        print(
            f"first search, which opens and verifies the index: {(time.perf_counter() - started) * 1e3:.0f} ms"
        )
        ask(retriever, questions, "whole")
        print(f"a document deleted in {delete_one(library, retriever, questions[0]):.0f} ms")
        ask(retriever, questions, "after a deletion")
        print(f"peak memory with the vectors that were stored: {peak_megabytes():.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("passages", type=int, nargs="?", default=100_000)
    arguments = parser.parse_args()
    print(machine())
    encoder = open_encoder(resolve_encoder("bundled", Hub(allow_downloads=False)))
    questions = [row["text"] for row in read_rows(QUESTIONS)]
    measure(encoder, grow(embed([], 0)[0], arguments.passages), questions)


if __name__ == "__main__":
    main()
