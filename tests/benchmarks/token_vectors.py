"""Late interaction with and without stored token vectors, and the forms in which they could be stored.

    .venv/bin/python -m tests.benchmarks.token_vectors [--queries N]

On the sample library, with the bundled encoder and the questions of the training half. First, forms of token vectors
against fp32: Kendall's τ of the orders of 100 passages, the largest difference of a score, nDCG@10 of the documents,
bytes. Then searches of 100 candidates with and without the store, in turn, each question once each way; no score is
taken from the cache of scores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, norm

from ingest.encoders.onnx import open_encoder
from ingest.library.library import Library, Manifest
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.pipeline import ingest
from ingest.sources import walk
from rerank.evaluation.scoring import best_passages
from rerank.factory import ModelChoice, open_searcher, resolve_models
from rerank.judged.dataset import document_id, read_judged_set
from rerank.judged.measures import measure
from rerank.judged.records import JudgedSet
from rerank.records import FirstLook
from rerank.registry import resolve_reranker
from rerank.request import SearchRequest
from rerank.scorers.late_interaction import LateInteractionScorer
from rerank.scorers.maxsim import compress, expand, maxsim
from rerank.search import Searcher
from rerank.token_vectors import store_token_vectors
from tests.benchmarks.machine import machine
from ui.settings import SAMPLE

DEPTH = 100
# Centroids of the residual forms: as many as the tokens of the sample can train, some 37 for each.
CENTROIDS = 1024
Vectors = NDArray[np.float32]
Form = Callable[[Vectors], Vectors]


@dataclass(frozen=True, slots=True)
class Exact:
    """Every passage's vectors in fp32, joined, and where each passage's are; the query's by query id."""

    tokens: Vectors
    spans: Mapping[str, slice]
    queries: Mapping[str, Vectors]


def int8(vectors: Vectors) -> Vectors:
    """What `rerank.scorers.maxsim` stores, read back."""
    read = expand(compress(vectors, 0))
    if read is None:
        raise ValueError("what was written cannot be read")
    return read[0]


def four_bits(block: int) -> Form:
    """Four bits a number, with one fp16 scale for each ``block`` numbers."""

    def form(vectors: Vectors) -> Vectors:
        parts = vectors.reshape(len(vectors), -1, block)
        scale = (np.abs(parts).max(axis=2, keepdims=True) / 7).astype(np.float16).astype(np.float32)
        coarse = np.clip(np.rint(parts / scale), -7, 7) * scale
        return np.asarray(coarse.reshape(vectors.shape), dtype=np.float32)

    return form


def rotated(vectors: Vectors) -> Vectors:
    """Four bits after a random rotation, at the best levels for a normal distribution, with one fp16 scale a token."""
    dim = vectors.shape[1]
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((dim, dim)))[0]
    levels = normal_levels(16)
    turned = vectors @ turn.T * np.sqrt(dim)
    coarse = levels[np.digitize(turned, (levels[1:] + levels[:-1]) / 2)]
    scale = (turned * coarse).sum(1, keepdims=True) / (coarse * coarse).sum(1, keepdims=True)
    return np.asarray(coarse * scale.astype(np.float16) / np.sqrt(dim) @ turn, dtype=np.float32)


def normal_levels(count: int) -> NDArray[np.float64]:
    """The levels that lose least of a normal distribution: each the mean of what is nearest to it (Max 1960)."""
    levels = np.asarray(norm.ppf((np.arange(count) + 0.5) / count))
    for _ in range(200):
        edges = np.concatenate([[-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]])
        levels = -np.diff(norm.pdf(edges)) / np.diff(norm.cdf(edges))
    return levels


def residuals(bits: int) -> Form:
    """The nearest of k-means' centroids and ``bits`` a number of what is left (Santhanam et al. 2022, § 3.3)."""

    def form(vectors: Vectors) -> Vectors:
        means = faiss.Kmeans(vectors.shape[1], CENTROIDS, niter=8, spherical=True, seed=1)
        means.train(vectors)
        nearest = np.asarray(means.centroids)[means.index.search(SearchRequest(vectors, 1))[1][:, 0]]
        left, steps = vectors - nearest, 2**bits
        cuts = np.quantile(left, np.arange(1, steps) / steps)
        values = np.quantile(left, (np.arange(steps) + 0.5) / steps)
        found = nearest + values[np.digitize(left, cuts)]
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)

    return form


def forms(dim: int) -> list[tuple[str, float, Form]]:
    """Name, bytes a token and what is left of the vectors, of every form that is compared."""
    return [
        ("fp32", 4 * dim, lambda vectors: vectors),
        ("fp16", 2 * dim, lambda vectors: vectors.astype(np.float16).astype(np.float32)),
        ("int8, a scale a token", dim + 2, int8),
        ("4 bits, a scale a token", dim / 2 + 2, four_bits(dim)),
        ("4 bits, a scale for 32", dim / 2 + dim / 16, four_bits(32)),
        ("4 bits, rotated", dim / 2 + 2, rotated),
        ("residuals of 4 bits", dim / 2 + 4, residuals(4)),
        ("residuals of 2 bits", dim / 4 + 4, residuals(2)),
    ]


def exact(scorer: LateInteractionScorer, judged: JudgedSet, looks: Mapping[str, FirstLook]) -> Exact:
    """Encode all candidates and questions once."""
    texts = sorted({candidate.chunk.passage for look in looks.values() for candidate in look.before})
    made = {
        texts[place]: one.vectors
        for places, batch in scorer.encode(texts)
        for place, one in zip(places, batch, strict=True)
    }
    ends = np.cumsum([len(made[text]) for text in texts]).tolist()
    spans = {text: slice(end - len(made[text]), end) for text, end in zip(texts, ends, strict=True)}
    queries = {name: scorer._wanted(judged.queries[name]) for name in looks}
    return Exact(np.concatenate([made[text] for text in texts]), spans, queries)


def compare_forms(judged: JudgedSet, looks: Mapping[str, FirstLook], found: Exact) -> None:
    """Print a line a form."""
    tokens, dim = found.tokens.shape
    a_passage = tokens / len(found.spans)
    print(
        f"{len(looks)} questions, {len(found.spans)} passages of {a_passage:.0f} tokens, {dim} numbers a token"
    )
    print(
        f"{'form':<24} {'B/token':>7} {'kB/passage':>10} {'tau':>7} {'least':>6} {'most off':>8} {'nDCG@10':>8}"
    )
    reference = scores(found, found.tokens, looks)
    for name, size, form in forms(dim):
        got = scores(found, form(found.tokens), looks)
        taus = [kendalltau(got[query], reference[query]).statistic for query in looks]
        off = max(float(np.abs(got[query] - reference[query]).max()) for query in looks)
        orders = {query: documents(looks[query], got[query]) for query in looks}
        (quality,) = measure({query: judged.qrels[query] for query in looks}, orders, ("nDCG@10",)).values()
        print(
            f"{name:<24} {size:>7.0f} {size * a_passage / 1000:>10.1f} {np.mean(taus):>7.4f} {min(taus):>6.3f} "
            f"{off:>8.4f} {np.mean(list(quality.values())):>8.4f}",
            flush=True,
        )


def scores(found: Exact, tokens: Vectors, looks: Mapping[str, FirstLook]) -> dict[str, Vectors]:
    """MaxSim of every question's candidates, in the first look's order, with these vectors."""
    return {
        query: maxsim(
            found.queries[query], [tokens[found.spans[candidate.chunk.passage]] for candidate in look.before]
        )
        for query, look in looks.items()
    }


def documents(look: FirstLook, logits: Vectors) -> tuple[str, ...]:
    """Documents by their best passage."""
    order = np.argsort(-logits, kind="stable").tolist()
    return best_passages(document_id(look.before[row].chunk.path) for row in order)


def time_searches(searchers: Mapping[str, Searcher], questions: Sequence[str]) -> None:
    """Print what each of them takes for every question, asked in turn."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in searchers}
    for searcher in searchers.values():
        searcher.search(SearchRequest("a question that is not counted", DEPTH))
    for number, question in enumerate(questions):
        for name in list(searchers)[:: 1 if number % 2 else -1]:
            timings = searchers[name].search(SearchRequest(question, DEPTH)).timings
            taken[name].append((timings.rerank, timings.total))
    print(f"\n{len(questions)} searches of {DEPTH} candidates, median seconds (least, most)")
    for name, times in taken.items():
        rerank, total = (sorted(column) for column in zip(*times, strict=True))
        print(
            f"{name:<24} second look {statistics.median(rerank) / 1000:6.3f} ({rerank[0] / 1000:.3f}, "
            f"{rerank[-1] / 1000:.3f})   whole search {statistics.median(total) / 1000:6.3f}"
        )
    without, stored = (statistics.median(one for one, _ in times) for times in taken.values())
    print(f"the second look is {without / stored:.0f} times as fast")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--queries", type=int, default=20, help="searches that are timed each way (default 20)"
    )
    parser.add_argument("--no-forms", action="store_true", help="time searches only")
    wanted = parser.parse_args()
    hub, choice = Hub(allow_downloads=False), ModelChoice(reranker="maxsim", allow_downloads=False)
    encoder = open_encoder(resolve_encoder("bundled", hub))
    judged = read_judged_set(SAMPLE, "train")
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        library = Library.create(Path(folder), Manifest.of(encoder.model.spec))
        ingest(list(walk([SAMPLE / "documents"])), library, encoder)
        without = open_searcher(library, resolve_models(choice, library, encoder), keep_scores=False)
        questions = [judged.queries[name] for name in judged.qrels]
        if not wanted.no_forms:
            looks = {
                name: without.first_look(SearchRequest(judged.queries[name], DEPTH)) for name in judged.qrels
            }
            scorer = LateInteractionScorer(resolve_reranker("maxsim", hub))
            compare_forms(judged, looks, exact(scorer, judged, looks))
        started = time.perf_counter()
        filled = store_token_vectors(library, "maxsim", hub)
        print(
            f"\nstored {filled.passages} passages in {time.perf_counter() - started:.1f} s (the model's loading "
            f"included), {filled.bytes / filled.passages / 1000:.1f} kB each"
        )
        stored = open_searcher(library, resolve_models(choice, library, encoder), keep_scores=False)
        time_searches({"computed at each question": without, "stored": stored}, questions[: wanted.queries])


if __name__ == "__main__":
    main()
