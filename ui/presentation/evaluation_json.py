"""The JSON of `secondlook evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank.evaluation.comparison import Comparison, Contrast, Row
from rerank.evaluation.systems import System
from rerank.judged.records import Difference, Evaluation
from rerank.records import Models
from ui.presentation.remedies import notice_text


def evaluation_report(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as the JSON that `secondlook evaluate --json` promises."""
    return {
        "dataset": evaluation.judged.name,
        "queries": len(evaluation.runs),
        "documents": evaluation.documents,
        "before": evaluation.mean_before,
        "after": evaluation.mean_after,
        "difference": {name: _difference(found) for name, found in evaluation.differences.items()},
        "verdict": str(evaluation.verdict),
        "latency_ms": _latency(evaluation.latency),
        "models": _models(evaluation.models),
    }


def comparison_report(comparison: Comparison) -> dict[str, Any]:
    """Several systems as JSON: what `evaluation_report` says of the first one's deepest list, and all of them.

    ``p_holm`` is corrected for the number of systems (or pairs), and verdicts go by it. ``per_query`` has a system's
    figures by query id. What is not known of
    runs that others made is ``null``.
    """
    main = comparison.main
    latency = main.system.latency if main else None
    models = next(iter(comparison.models.values()), None)
    rows = zip((comparison.before, *comparison.rows), comparison.front, strict=True)
    return {
        "dataset": comparison.name,
        "queries": comparison.queries,
        "documents": comparison.documents,
        "before": comparison.before.means,
        "after": main.means if main else None,
        **_contrast(main.contrast if main else None),
        "latency_ms": _latency(latency) if latency else None,
        "models": _models(models) if models else None,
        "systems": [_system(row, comparison.models, on_front=on_front) for row, on_front in rows],
        "pairs": [
            {"earlier": _place(pair.earlier), "later": _place(pair.later), **_contrast(pair.contrast)}
            for pair in comparison.pairs
        ],
        "notices": [notice_text(notice) for notice in comparison.notices],
    }


def _system(row: Row, models: Mapping[str, Models], *, on_front: bool) -> dict[str, Any]:
    used, latency = models.get(row.system.name), row.system.latency
    return {
        "name": row.system.title,
        "depth": row.system.depth,
        "candidates_from": str(row.system.source) if latency else None,
        "combination": str(row.system.combination) if used else None,
        "weight": row.system.weight,
        "figures": row.means,
        "per_query": _per_query(row),
        **_contrast(row.contrast),
        "latency_ms": _latency(latency) if latency else None,
        "front": on_front if latency else None,
        "models": _models(used) if used else None,
    }


def _per_query(row: Row) -> dict[str, dict[str, float]]:
    queries = next(iter(row.figures.values()), {})
    return {query: {name: values[query] for name, values in row.figures.items()} for query in queries}


def _contrast(found: Contrast | None) -> dict[str, Any]:
    if found is None:
        return {"difference": None, "verdict": None}
    rows = {
        name: {**_difference(row), "p_holm": found.adjusted[name]} for name, row in found.differences.items()
    }
    return {"difference": rows, "verdict": str(found.verdict)}


def _place(system: System) -> dict[str, Any]:
    return {"name": system.title, "depth": system.depth}


def _difference(found: Difference) -> dict[str, Any]:
    return {"mean": found.mean, "ci95": [found.low, found.high], "p": found.p}


def _latency(latency: tuple[float, float]) -> dict[str, float]:
    median, slow = latency
    return {"p50": round(median, 2), "p95": round(slow, 2)}


def _models(models: Models) -> dict[str, str | None]:
    encoder, reranker = models.encoder, models.reranker
    return {
        "encoder": encoder.name,
        "encoder_revision": encoder.spec.revision,
        "reranker": reranker.name if reranker else None,
        "reranker_revision": reranker.spec.revision if reranker else None,
    }
