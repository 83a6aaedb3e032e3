"""The JSON of `secondlook evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerank.evaluation.comparison import Comparison, Contrast, Row
from rerank.evaluation.systems import System
from rerank.judged.records import Difference
from rerank.records import Models
from ui.presentation.remedies import notice_text


def evaluation_report(comparison: Comparison, *, systems: bool = True) -> dict[str, Any]:
    """A comparison as the JSON of `secondlook evaluate --json`: its main row, then all ``systems`` and pairs of them.

    ``p_holm`` is corrected for the number of systems (or pairs), and verdicts go by it; it is told beside ``systems``
    alone. ``per_query`` has a system's figures by query id. What is not known of runs that others made is ``null``.
    """
    main = comparison.main
    models = next(iter(comparison.models.values()), None)
    report = {
        "dataset": comparison.name,
        "queries": comparison.queries,
        "documents": comparison.documents,
        "before": comparison.before.means,
        "after": main.means if main else None,
        **_contrast(main.contrast if main else None, holm=systems),
        "latency_ms": _latency(main.system.latency if main else None),
        "models": _models(models),
    }
    if not systems:
        return report
    rows = zip((comparison.before, *comparison.rows), comparison.front, strict=True)
    return report | {
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
        "latency_ms": _latency(latency),
        "front": on_front if latency else None,
        "models": _models(used),
    }


def _per_query(row: Row) -> dict[str, dict[str, float]]:
    queries = next(iter(row.figures.values()), {})
    return {query: {name: values[query] for name, values in row.figures.items()} for query in queries}


def _contrast(contrast: Contrast | None, *, holm: bool = True) -> dict[str, Any]:
    if contrast is None:
        return {"difference": None, "verdict": None}
    rows = {
        name: _difference(row) | ({"p_holm": contrast.adjusted[name]} if holm else {})
        for name, row in contrast.differences.items()
    }
    return {"difference": rows, "verdict": str(contrast.verdict)}


def _place(system: System) -> dict[str, Any]:
    return {"name": system.title, "depth": system.depth}


def _difference(row: Difference) -> dict[str, Any]:
    return {"mean": row.mean, "ci95": [row.low, row.high], "p": row.p}


def _latency(latency: tuple[float, float] | None) -> dict[str, float] | None:
    if latency is None:
        return None
    median, slow = latency
    return {"p50": round(median, 2), "p95": round(slow, 2)}


def _models(models: Models | None) -> dict[str, str | None] | None:
    if models is None:
        return None
    encoder, reranker = models.encoder, models.reranker
    return {
        "encoder": encoder.name,
        "encoder_revision": encoder.spec.revision,
        "reranker": reranker.name if reranker else None,
        "reranker_revision": reranker.spec.revision if reranker else None,
    }
