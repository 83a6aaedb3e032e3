"""From labels to a calibration: choose a method, fit it, and measure it on queries that it was not fitted to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ingest.models.spec import ModelSpec
from rerank.calibration.curves import fit
from rerank.calibration.labels import MIN_QUERIES, Labelled, Labels, require_both_kinds, shortage
from rerank.calibration.methods import Method
from rerank.calibration.quality import Quality, brier, measure_quality
from rerank.calibration.records import Calibration, Evidence, FittedFor, LibraryState, apply
from rerank.calibration.thresholds import (
    Sweep,
    Threshold,
    accuracy,
    learn_best,
    learn_precise,
    resample,
    separation,
)
from rerank.order import relevance
from retrieval.records import CandidateSource

FOLDS = 5
# Labels of the rarer kind that a method needs: ten for each of its parameters, after Peduzzi et al., "A Simulation
# Study of the Number of Events per Variable in Logistic Regression Analysis" (1996).
OF_EACH = {Method.TEMPERATURE: 10, Method.PLATT: 20, Method.ISOTONIC: 20}
# Isotonic overtakes Platt from about here: Niculescu-Mizil and Caruana, "Predicting Good Probabilities with
# Supervised Learning" (ICML 2005), figure 8.
ISOTONIC_LABELS = 1000


def calibrate(
    rows: Sequence[Labelled],
    reranker: ModelSpec,
    library: LibraryState,
    method: Method | None = None,
    precision: float | None = None,
    *,
    held_out: Sequence[Labelled] = (),
    candidates_from: CandidateSource = CandidateSource.VECTORS,
    window: int | None = None,
) -> Calibration:
    """Fit a curve to ``rows`` and learn thresholds from them.

    ``method`` of ``None`` takes the one with the lowest Brier score in cross-validation by query. Figures are of
    ``held_out``, whose queries must not be among ``rows``; without it, of cross-validation (five folds of
    whole queries), and of nothing where there is one query only. “Nothing answers” is said only where it was measured
    how often that is wrong. ``candidates_from`` is what found what the labels
    are of, and ``window`` how much of a passage was read (see `FittedFor`), both to be remembered. Raises
    `TooFewLabelsError` where ``rows`` are all of one kind, `UsageError` for a method that does not fit the reranker.
    """
    labels = Labels.of(rows)
    require_both_kinds(labels)
    _check_apart(rows, held_out)
    method = method or choose_method(labels, reranker)
    calibration = replace(
        _fitted(labels, method, reranker, FittedFor.of(reranker, library, window), precision),
        candidates_from=candidates_from,
    )
    if held_out:
        calibration = _with_held_out(calibration, Labels.of(held_out), reranker)
    elif labels.queries > 1:
        calibration = replace(
            calibration, evidence=_cross_validated(labels, method, reranker, calibration.answers_from)
        )
    if calibration.evidence is None or calibration.evidence.false_alarms is None:
        return replace(calibration, answers_from=None)  # nobody knows how often it would be wrong
    return calibration


def choose_method(labels: Labels, reranker: ModelSpec) -> Method:
    """The eligible method with the lowest cross-validated Brier score, the one with fewer parameters on a tie."""
    eligible = [Method.PLATT]
    if reranker.relevance_scale is not None and reranker.relevance_scale > 0:
        eligible.insert(0, Method.TEMPERATURE)
    if len(labels) >= ISOTONIC_LABELS:
        eligible.append(Method.ISOTONIC)
    if len(eligible) == 1 or labels.queries < 2:
        return eligible[-1]

    def score(method: Method) -> float:
        return round(brier(out_of_fold(labels, method, reranker), labels.relevant), 6)

    return min(eligible, key=score)


def out_of_fold(labels: Labels, method: Method, reranker: ModelSpec) -> NDArray[np.float64]:
    """A probability for every label, shape (n,), by a curve fitted without its query; needs two queries."""
    values = np.empty(len(labels))
    for train, test in _folds(labels):
        values[test] = fit(method, labels.where(train), reranker).probabilities(labels.logits[test])
    return values


def _folds(labels: Labels) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import GroupKFold  # two seconds that the page should not start with

    folds = GroupKFold(min(FOLDS, labels.queries))
    yield from folds.split(labels.logits, groups=labels.query)


def _fitted(
    labels: Labels, method: Method, reranker: ModelSpec, fitted_for: FittedFor, precision: float | None
) -> Calibration:
    """The curve and its thresholds, without evidence."""
    curve = fit(method, labels, reranker)
    probabilities = curve.probabilities(labels.logits)
    sweep, draws = Sweep.over(probabilities, labels), resample(probabilities, labels, precision or 1.0)
    apart = separation(sweep, draws)
    best = precise = answers_from = None
    if apart.clean:
        best = learn_best(probabilities, labels, sweep, draws)
        answers_from = learn_answer_threshold(probabilities, labels)
        if precision is not None:
            precise = learn_precise(probabilities, labels, sweep, draws, precision)
    notices = [
        shortage(labels, OF_EACH[method], ISOTONIC_LABELS if method is Method.ISOTONIC else 0),
        apart.reason,
        _not_reached(precision) if apart.clean and precision is not None and precise is None else "",
    ]
    return Calibration(
        method,
        curve,
        fitted_for,
        datetime.now(UTC).date().isoformat(),
        labels=len(labels),
        relevant=labels.positives,
        queries=labels.queries,
        evidence=None,
        separation=apart,
        best=best,
        precise=precise,
        wanted_precision=precision,
        answers_from=answers_from,
        notices=tuple(filter(None, notices)),
    )


def _with_held_out(calibration: Calibration, labels: Labels, reranker: ModelSpec) -> Calibration:
    """The calibration with its figures on labels of other queries."""
    probabilities = apply(calibration, labels.logits)
    alarms, caught = answer_errors(probabilities, labels, calibration.answers_from)
    evidence = Evidence(
        f"{labels.queries} held-out queries",
        _own_quality(labels, reranker),
        measure_quality(probabilities, labels.relevant, labels.queries),
        alarms,
        caught,
    )

    def measured(threshold: Threshold | None) -> Threshold | None:
        if threshold is None:
            return None
        return replace(threshold, held_out=accuracy(probabilities, labels, threshold.value))

    return replace(
        calibration, evidence=evidence, best=measured(calibration.best), precise=measured(calibration.precise)
    )


def _cross_validated(
    labels: Labels, method: Method, reranker: ModelSpec, answers_from: float | None
) -> Evidence:
    """Figures of the labels themselves, each read by a curve that was fitted without its query.

    How often “nothing answers” is wrong is measured where the labels gave a threshold for it, ``answers_from``: with
    one that was learnt without the query, too.
    """
    alarms, caught = (None, None) if answers_from is None else _answers_out_of_fold(labels, method, reranker)
    return Evidence(
        f"cross-validation by query, {min(FOLDS, labels.queries)} folds",
        _own_quality(labels, reranker),
        measure_quality(out_of_fold(labels, method, reranker), labels.relevant, labels.queries),
        alarms,
        caught,
    )


def _answers_out_of_fold(
    labels: Labels, method: Method, reranker: ModelSpec
) -> tuple[float | None, float | None]:
    """`answer_errors` of each fold by the curve and the threshold of the others, over all queries together."""
    verdicts = []
    for train, test in _folds(labels):
        learning, others = labels.where(train), labels.where(test)
        curve = fit(method, learning, reranker)
        threshold = learn_answer_threshold(curve.probabilities(learning.logits), learning)
        if threshold is None:
            return None, None
        verdicts.append(told_nothing(curve.probabilities(others.logits), others, threshold))
    return share([one for alarms, _ in verdicts for one in alarms]), share(
        [one for _, caught in verdicts for one in caught]
    )


def _own_quality(labels: Labels, reranker: ModelSpec) -> Quality | None:
    """How well the model's own relevance agrees with the labels; ``None`` where it has none."""
    own = relevance(labels.logits.astype(np.float32), reranker)
    return None if own is None else measure_quality(own, labels.relevant, labels.queries)


def _not_reached(precision: float) -> str:
    return f"No threshold reaches the wanted precision of {precision:.3g} on these labels."


def _check_apart(rows: Sequence[Labelled], held_out: Sequence[Labelled]) -> None:
    both = {row.query for row in rows} & {row.query for row in held_out}
    if both:
        raise ValueError(
            f"{len(both)} queries, “{min(both)}” the first, are both fitted to and held out; keep them apart"
        )


# Being told that nothing answers, where something does, costs more than ten poor results: at most one query in
# twenty of those learnt from. A choice, not a measurement.
MAX_FALSE_ALARMS = 0.05


def learn_answer_threshold(probabilities: NDArray[np.float64], labels: Labels) -> float | None:
    """The highest threshold below which the best candidate lies in at most `MAX_FALSE_ALARMS` of the queries
    that have a relevant one; ``None`` where fewer than `MIN_QUERIES` do. ``probabilities`` is (n,).
    """
    best = [row.max() for row, relevant in _lists(probabilities, labels) if relevant.any()]
    if len(best) < MIN_QUERIES:
        return None
    return float(np.quantile(best, MAX_FALSE_ALARMS, method="lower"))


def answer_errors(
    probabilities: NDArray[np.float64], labels: Labels, threshold: float | None
) -> tuple[float | None, float | None]:
    """Shares of queries that are told “nothing here answers this”: of those with a relevant candidate, and of all
    once their relevant candidates are taken away. ``None`` where there are no such queries, or no threshold.
    """
    if threshold is None:
        return None, None
    alarms, caught = told_nothing(probabilities, labels, threshold)
    return share(alarms), share(caught)


def told_nothing(
    probabilities: NDArray[np.float64], labels: Labels, threshold: float
) -> tuple[list[bool], list[bool]]:
    """Whether each query with a relevant candidate is told that nothing answers, and each once those are taken away."""
    lists = _lists(probabilities, labels)
    alarms = [bool(row.max() < threshold) for row, relevant in lists if relevant.any()]
    caught = [bool(row[~relevant].max() < threshold) for row, relevant in lists if not relevant.all()]
    return alarms, caught


def _lists(
    probabilities: NDArray[np.float64], labels: Labels
) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Probabilities and labels of each query."""
    masks = [labels.query == query for query in np.unique(labels.query)]
    return [(probabilities[mask], labels.relevant[mask]) for mask in masks]


def share(verdicts: list[bool]) -> float | None:
    """The share that was told so, ``None`` of none."""
    return float(np.mean(verdicts)) if verdicts else None
