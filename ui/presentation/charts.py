"""Pictures of scores as Vega-Lite specifications: how scores lie, and whether probabilities come true. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rerank.calibration.methods import Method
from rerank.calibration.quality import Quality
from rerank.calibration.reading import Reading
from rerank.records import SearchResult

Spec = dict[str, Any]

BINS = 20
HEIGHT = 200  # pixels, with the axis and its title
# Okabe and Ito's vermilion and blue, as in the comparison: told apart by all common kinds of colour vision.
BEFORE, AFTER, LINE = "#d55e00", "#3b8fc4", "#7f8891"
WHOLE = {"domain": [0, 1]}


def scores_charts(result: SearchResult, reading: Reading) -> tuple[Spec, Spec]:
    """Two histograms of the scored candidates: the model's own numbers, and what the reading makes of them.

    Before is the model's relevance where it has one and another reading is chosen, else the raw logit.
    """
    own = [hit.relevance for hit in result.after if hit.relevance is not None]
    if not own or reading.method is Method.SIGMOID:
        logits = [hit.logit for hit in result.after]
        before = _histogram(logits, "before: the reranker’s logit", BEFORE, whole=False)
    else:
        before = _histogram(own, "before: relevance as the model gives it", BEFORE)
    after = _histogram(reading.values.values(), f"after: {reading.method.in_words}", AFTER)
    return {"height": HEIGHT, **before}, {"height": HEIGHT, "layer": [after, *_edges(reading)]}


def _histogram(numbers: Iterable[float], title: str, colour: str, whole: bool = True) -> Spec:
    bins = {"step": 1 / BINS, "extent": [0, 1]} if whole else {"maxbins": BINS}
    across: Spec = {
        "field": "score",
        "type": "quantitative",
        "bin": bins,
        "title": title,
        "axis": {"tickCount": 5},
    }
    count: Spec = {
        "aggregate": "count",
        "type": "quantitative",
        "title": "passages",
        "axis": {"tickMinStep": 1},
    }
    return {
        "data": {"values": [{"score": number} for number in numbers]},
        "mark": {"type": "bar", "color": colour},
        "encoding": {
            "x": {**across, "scale": WHOLE} if whole else across,
            "y": count,
            "tooltip": [{**across, "title": "from, to"}, count],
        },
    }


def _edges(reading: Reading) -> list[Spec]:
    """Named dashed lines where the bands and the learnt threshold begin."""
    edges: list[tuple[float, str]] = []
    if reading.bands is not None:
        edges += [(reading.bands.possibly, "possibly"), (reading.bands.highly, "highly")]
    if reading.threshold is not None:
        edges.append((reading.threshold.value, "threshold"))
    data = {
        "values": [{"at": at, "name": name, "line": 2 + 12 * (name == "threshold")} for at, name in edges]
    }
    across = {"field": "at", "type": "quantitative"}
    words = {"field": "name", "type": "nominal"}
    height = {"field": "line", "type": "quantitative", "scale": None}
    text = {"type": "text", "align": "left", "baseline": "top", "dx": 4, "color": LINE}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "strokeDash": [4, 3], "color": LINE},
            "encoding": {"x": across},
        },
        {"data": data, "mark": text, "encoding": {"x": across, "y": height, "text": words}},
    ]


def reliability_chart(before: Quality | None, after: Quality) -> Spec:
    """Predicted probability against the observed share of relevant labels, a point a bin with its count.

    A reliability diagram, after Murphy and Winkler, "Reliability of Subjective Forecasts of Precipitation and
    Temperature" (Applied Statistics 1977).
    """
    qualities = {"before": before, "after": after}
    rows = [
        {
            "when": when, "predicted": row.predicted, "observed": row.observed, "low": row.low, "high": row.high,
            "labels": row.count,
        }
        for when, quality in qualities.items() if quality is not None
        for row in quality.reliability
    ]  # fmt: skip
    names = list(qualities)
    colour = {"field": "when", "type": "nominal", "scale": {"domain": names, "range": [BEFORE, AFTER]}}
    shape = {"field": "when", "type": "nominal", "scale": {"domain": names, "range": ["square", "circle"]}}
    across = _quantity("predicted", "predicted probability")
    share = _quantity("observed", "share that is relevant")
    point = {
        "x": across,
        "y": share,
        "color": {**colour, "title": None, "legend": {"orient": "top", "symbolOpacity": 1}},
    }
    tip = [{"field": field} for field in ("when", "predicted", "observed", "labels")]
    return {
        "height": 400,
        "data": {"values": rows},
        "layer": [
            {
                "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
                "mark": {"type": "line", "color": LINE, "strokeDash": [4, 3]},
                "encoding": {"x": _quantity("x"), "y": _quantity("y")},
            },
            {
                "mark": {"type": "rule", "opacity": 0.5},
                "encoding": {**point, "y": _quantity("low"), "y2": {"field": "high"}},
            },
            {"mark": {"type": "line", "opacity": 0.8}, "encoding": point},
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {**point, "shape": {**shape, "title": None}, "tooltip": tip},
            },
            {"mark": {"type": "text", "dx": 11, "dy": -9}, "encoding": {**point, "text": {"field": "labels"}}},
        ],
    }  # fmt: skip


def _quantity(field: str, title: str | None = None) -> Spec:
    title_option = {"title": title} if title else {}
    return {"field": field, "type": "quantitative", "scale": WHOLE, "axis": {"tickCount": 5}, **title_option}
