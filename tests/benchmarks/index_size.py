"""The first look's index by size: recall@100, milliseconds, build, memory and file, at 10⁵ and 10⁶ vectors of 384.

    python -m tests.benchmarks.index_size [--sizes 100000 1000000] [--texts DIR…] [--hnsw] [--random]

No library of a million passages is at hand, so real embeddings are grown. Seeds are embeddings by the bundled
encoder of the sample library's passages (and of each DIR's corpus.jsonl, BEIR layout); a vector is a seed plus four
differences between its 32 nearest seeds, each weighted from -0.5 to 0.5, plus a fifth of isotropic noise, which keeps
the directions in which real passages differ. Queries are embeddings of real questions, which no index was tuned on.
`random` vectors lie evenly on the sphere, have no structure to index, and are the hardest case.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from ingest.encoders.onnx import open_encoder
from ingest.library import vector_index
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.readers.registry import read_documents
from ingest.sources import walk
from rerank.judged.beir import read_rows
from retrieval import dense
from tests.benchmarks.machine import machine
from ui.settings import SAMPLE

DIM, K, TIMED, NEIGHBOURS, SEED = 384, 100, 100, 32, 7
QUESTIONS = SAMPLE / "queries.jsonl"
NOBODY = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class InMemory:
    """Vectors in an array, as a source of an index; their ids are their places."""

    array: NDArray[np.float32]

    @property
    def dim(self) -> int:
        return int(self.array.shape[1])

    @property
    def ids(self) -> NDArray[np.int64]:
        return np.arange(len(self.array), dtype=np.int64)

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.array[ids]


def embed(texts: list[Path], most: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Seeds and questions: the sample library's, and up to ``most`` of each folder's."""
    encoder = open_encoder(resolve_encoder("bundled", Hub(allow_downloads=False)))
    passages = [
        document.text[start : start + 400]
        for source in walk([SAMPLE / "documents"])
        for document in read_documents(source.path)
        for start in range(0, len(document.text), 400)
    ]
    questions = [row["text"] for row in read_rows(QUESTIONS)]
    draw = np.random.default_rng(SEED)
    for folder in texts:
        for name, found, number in (("corpus", passages, most), ("queries", questions, 200)):
            rows = list(read_rows(folder / f"{name}.jsonl"))
            chosen = draw.choice(len(rows), min(number, len(rows)), replace=False)
            found += [rows[place]["text"][:400] for place in chosen]
    return encoder.encode_passages(passages), np.stack([encoder.encode_query(text) for text in questions])


def grow(seeds: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """``size`` unit vectors that lie about the seeds as near passages lie about each other."""
    draw = np.random.default_rng(SEED)
    near = faiss.knn(seeds, seeds, NEIGHBOURS + 1, metric=faiss.METRIC_INNER_PRODUCT)[1][:, 1:]
    grown = np.empty((size, seeds.shape[1]), dtype=np.float32)
    for start in range(0, size, 50_000):
        part = grown[start : start + 50_000]
        at = draw.integers(len(seeds), size=len(part))
        part[:] = seeds[at]
        for _ in range(4):
            one, other = (near[at, draw.integers(NEIGHBOURS, size=len(part))] for _ in range(2))
            part += draw.uniform(-0.5, 0.5, (len(part), 1)).astype(np.float32) * (seeds[one] - seeds[other])
        part += 0.2 / np.sqrt(seeds.shape[1]) * draw.standard_normal(part.shape, dtype=np.float32)
        faiss.normalize_L2(part)
    return grown


def on_sphere(size: int, seed: int = SEED) -> NDArray[np.float32]:
    """``size`` unit vectors without any structure."""
    drawn = np.random.default_rng(seed).standard_normal((size, DIM), dtype=np.float32)
    faiss.normalize_L2(drawn)
    return drawn


def milliseconds(work: Callable[[NDArray[np.float32]], object], queries: NDArray[np.float32]) -> str:
    """Median and 95th percentile over some queries, one at a time, after one that is not counted."""
    work(queries[0])
    times = []
    for query in queries[:TIMED]:
        started = time.perf_counter()
        work(query)
        times.append((time.perf_counter() - started) * 1e3)
    return f"median {statistics.median(times):6.1f} ms, p95 {sorted(times)[int(0.95 * len(times))]:6.1f} ms"


def compare(name: str, array: NDArray[np.float32], queries: NDArray[np.float32], hnsw: bool) -> None:
    """Exact search, the index that the product would choose, and HNSW, on the same vectors and questions."""
    source = InMemory(array)
    truth = faiss.knn(queries, array, K, metric=faiss.METRIC_INNER_PRODUCT)[1]
    print(f"\n{name}: {len(array):,} vectors, {len(queries)} queries", flush=True)
    limit = vector_index.EXACT_LIMIT
    kinds: dict[str, Callable[[], vector_index.BuiltIndex]] = {"exact": lambda: vector_index.build(source)}
    kinds["lists"] = kinds["exact"]
    if hnsw:
        kinds["HNSW"] = lambda: vector_index.BuiltIndex(_hnsw(array), 0.0)
    for kind, make in kinds.items():
        vector_index.EXACT_LIMIT = 0 if kind == "lists" else 10**9
        started = time.perf_counter()
        built = make()
        seconds = time.perf_counter() - started
        _report(kind, built, seconds, array, queries, truth)
        del built
    vector_index.EXACT_LIMIT = limit


def _hnsw(array: NDArray[np.float32]) -> faiss.Index:
    index = faiss.IndexHNSWFlat(DIM, 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 80, 200
    index.add(array)
    return index


def _report(
    kind: str,
    built: vector_index.BuiltIndex,
    seconds: float,
    array: NDArray[np.float32],
    queries: NDArray[np.float32],
    truth: NDArray[np.int64],
) -> None:
    index = built.index

    def ask(query: NDArray[np.float32]) -> NDArray[np.int64]:
        return dense.search(index, query, K, NOBODY, lambda ids: array[ids])[0]

    found = [ask(query) for query in queries]
    recall = sum(len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True)) / truth.size
    file = faiss.serialize_index(index).nbytes / 2**20
    how = ""
    if vector_index.is_quantised(index):
        how = f"; {index.nlist} lists, {index.nprobe} probed, own sample {built.recall:.4f}"
    elif kind == "lists":
        how = "; lists do not reach the recall, so it stays exact"
    print(
        f"  {kind:<6} recall@100 {recall:.4f}  {milliseconds(ask, queries)}  build {seconds:6.1f} s  "
        f"file and memory {file:5.0f} MB{how}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--texts", type=Path, nargs="*", default=[])
    parser.add_argument("--texts-each", type=int, default=1000, metavar="N")
    parser.add_argument(
        "--hnsw", action="store_true", help="also HNSW (32 links, efSearch 200): slow to build"
    )
    parser.add_argument("--random", action="store_true", help="also vectors without structure")
    arguments = parser.parse_args()
    print(f"{machine()}\n{faiss.omp_get_max_threads()} thread(s) to build with, one to search with")
    seeds, questions = embed(arguments.texts, arguments.texts_each)
    print(f"{len(seeds)} seeds, {len(questions)} questions", flush=True)
    for size in arguments.sizes:
        compare("grown from real embeddings", grow(seeds, size), questions, arguments.hnsw)
        if arguments.random:
            compare("random", on_sphere(size), on_sphere(TIMED, SEED + 1), arguments.hnsw)


if __name__ == "__main__":
    main()
