"""Milliseconds of each stage of a search, and peak memory, on the sample library with the bundled pair.

python -m tests.benchmarks.search_stages
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
from pathlib import Path

from ingest.encoders.onnx import open_encoder
from ingest.library.library import Library, Manifest
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.pipeline import ingest
from ingest.sources import walk
from rerank.factory import ModelChoice, open_searcher, resolve_models
from rerank.judged.beir import read_rows
from rerank.request import SearchRequest
from tests.benchmarks.machine import machine
from ui.settings import SAMPLE


def peak_megabytes() -> float:
    """Largest resident set of this process so far (Linux gives kilobytes, macOS bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    questions = [row["text"] for row in read_rows(SAMPLE / "queries.jsonl")][::3]
    encoder = open_encoder(resolve_encoder("bundled", Hub(allow_downloads=False)))
    with tempfile.TemporaryDirectory() as folder:
        library = Library.create(Path(folder), Manifest.of(encoder.model.spec))
        ingest(list(walk([SAMPLE / "documents"])), library, encoder)
        after_ingest = peak_megabytes()
        searcher = open_searcher(
            library,
            resolve_models(ModelChoice(reranker="bundled", allow_downloads=False), library, encoder),
            keep_scores=False,
        )
        searcher.search(SearchRequest(questions[0]))
        results = [searcher.search(SearchRequest(question)) for question in questions]
    print(machine())
    print(
        f"{len(questions)} questions, {len(results[0].before)} candidates, reranker {searcher.models.reranker.name}"
    )  # type: ignore[union-attr]
    for stage in ("encode", "retrieve", "rerank", "total"):
        times = sorted(getattr(result.timings, stage) for result in results)
        print(
            f"{stage:<9} median {statistics.median(times):8.1f} ms   p95 {times[int(0.95 * len(times))]:8.1f} ms"
        )
    half = [result.cost_of(50) for result in results]
    print(f"rerank 50 median {statistics.median(half):8.1f} ms (share of the tokens of 100)")
    print(
        f"peak memory: {after_ingest:.0f} MB after the ingest, {peak_megabytes():.0f} MB after the searches"
    )


if __name__ == "__main__":
    main()
