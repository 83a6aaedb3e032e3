"""What int8 costs: the bundled reranker against the fp32 weights that it was made of, on the same candidates.

    .venv/bin/python -m tests.benchmarks.quality DATASET… --fp32 DIR [--reranker bundled] [--candidates 100]
        [--queries N] [--held-out] [--documents N] [--work DIR]

Quality itself is `secondlook evaluate`'s to say. This scores the queries as that does, and with the same cache under
``--work``: it may be stopped and run again, and several processes may share the folder. DIR is the folder of a training
run; its scores are not kept. --held-out and --documents are those of `tests.benchmarks.anytime`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import kendalltau

from ingest.encoders.onnx import open_encoder
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from rerank.evaluation.corpus import fill_library
from rerank.evaluation.scoring import ScoredQuery, score_queries
from rerank.evaluation.systems import orders_by
from rerank.factory import ModelChoice, open_searcher, resolve_models
from rerank.judged.measures import measure
from rerank.judged.records import VERDICT_MEASURE, JudgedSet
from rerank.judged.significance import difference
from rerank.request import SearchRequest
from rerank.search import Searcher
from rerank.training.model import load_base, score_pairs
from retrieval.fusion import mixed
from retrieval.records import Candidate
from tests.benchmarks.anytime import choose_queries, reduced

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

LENGTH, BATCH = 320, 16


def in_fp32(model: CrossEncoder, query: str, candidates: Sequence[Candidate]) -> np.ndarray:
    """The logits of the training run's weights, in batches of like length."""
    import torch

    passages = [candidate.chunk.passage for candidate in candidates]
    logits = np.empty(len(passages), dtype=np.float32)
    with torch.no_grad():
        for rows in np.array_split(
            np.argsort([len(text) for text in passages]), max(1, len(passages) // BATCH)
        ):
            pairs = [(query, passages[row]) for row in rows]
            logits[rows] = score_pairs(model, pairs, LENGTH).numpy()
    return logits


def report(judged: JudgedSet, int8: Mapping[str, ScoredQuery], searcher: Searcher, fp32: Path) -> None:
    """Print nDCG@10 of both, their difference with interval and p, and how far the orders agree."""
    assert searcher.spec is not None
    assert searcher.scorer is not None
    model, weight = load_base(fp32, LENGTH), searcher.spec.bi_weight
    depth = max(len(query.logits) for query in int8.values())
    whole = {
        name: replace(
            query,
            logits=in_fp32(
                model,
                judged.queries[name],
                searcher.first_look(SearchRequest(judged.queries[name], depth)).before,
            ),
        )
        for name, query in int8.items()
    }

    def combine(logits: np.ndarray, cosines: np.ndarray) -> np.ndarray:
        return mixed(logits, cosines, weight)

    before, after = (
        list(measure(judged.qrels, orders_by(found, depth, combine))[VERDICT_MEASURE].values())
        for found in (whole, int8)
    )
    taus = []
    for name, found in int8.items():
        cosines = found.cosines[: len(found.logits)]  # behind them stand documents that are only listed
        rows = (combine(whole[name].logits, cosines), combine(found.logits, cosines))
        taus.append(float(kendalltau(*rows).statistic))
    moved = difference(before, after)
    print(
        f"{judged.name}, split {judged.split}, {len(taus)} queries, {searcher.scorer.engine}\n"
        f"  nDCG@10 {np.mean(before):.4f} (fp32 in torch) and {np.mean(after):.4f} (as the product runs it), "
        f"{moved.mean:+.4f} [{moved.low:+.4f}, {moved.high:+.4f}], p = {moved.p:.4f}\n"
        f"  Kendall's tau of the candidates {np.mean(taus):.4f} (lowest {np.min(taus):.4f})",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--fp32", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--reranker", default="bundled")
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--queries", type=int, default=0, help="at most so many, drawn by seed 0")
    parser.add_argument("--documents", type=int, default=0, help="at most so many of the corpus")
    parser.add_argument("--held-out", action="store_true", help="only queries that training holds out")
    parser.add_argument("--work", type=Path, help="keep the libraries and scores here")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="second-look-quality-"))
    encoder = open_encoder(resolve_encoder("bundled", Hub(allow_downloads=False)))
    for folder in options.sets:
        judged = reduced(choose_queries(folder, options), options.documents)
        library, _ = fill_library(judged, work / judged.name, encoder)
        choice = ModelChoice("bundled", options.reranker, allow_downloads=False)
        searcher = open_searcher(library, resolve_models(choice, library, encoder), keep_scores=False)
        scored = score_queries(judged.queries, library, searcher, options.candidates)
        report(judged, scored, searcher, options.fp32)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
