"""The measures of an order of documents, as trec_eval takes them.

`ir_measures` (MacAvaney et al., "Streamlining Evaluation with ir-measures", ECIR 2022) hands them to
trec_eval's own code, and MRR with a cut-off to MS MARCO's. Gains are the grades themselves; a document that
nobody judged counts as not relevant; a query without any relevant document counts as 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ir_measures
from ir_measures import RR, R, Success, nDCG

from rerank.judged.records import Figures

MEASURES: Mapping[str, ir_measures.Measure] = {
    "nDCG@10": nDCG @ 10,
    "MRR@10": RR @ 10,
    "recall@10": R @ 10,
    "recall@100": R @ 100,
    "success@1": Success @ 1,
}


def falling_scores(order: Sequence[str]) -> dict[str, float]:
    """A score for every document that keeps ``order``: trec_eval goes by scores alone, and breaks ties by id."""
    return {document: float(len(order) - place) for place, document in enumerate(order)}


def measure(
    qrels: Mapping[str, Mapping[str, int]],
    orders: Mapping[str, Sequence[str]],
    measures: Sequence[str] = tuple(MEASURES),
) -> Figures:
    """``measures`` of every query of ``qrels``, in its order; ``orders`` holds documents best first.

    A query without an order counts as 0, and one that is not in ``qrels`` does not count.
    """
    names = {MEASURES[name]: name for name in measures}
    figures: dict[str, dict[str, float]] = {name: dict.fromkeys(qrels, 0.0) for name in measures}
    run = {query: falling_scores(order) for query, order in orders.items()}
    for figure in ir_measures.iter_calc(list(names), {q: dict(g) for q, g in qrels.items()}, run):
        figures[names[figure.measure]][figure.query_id] = float(figure.value)
    return figures
