"""The gate: is the new model better than what it started from, on queries that nobody chose by?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerank.calibration.curves import fit_platt
from rerank.calibration.labels import Labels
from rerank.judged.significance import paired_randomisation
from rerank.training.evaluate import Case, mean_by_set, ndcg

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Verdict:
    """nDCG@10 before and after by set with their "mean", and the p of the difference of the means."""

    before: dict[str, float]
    after: dict[str, float]
    cross_encoder_alone: dict[str, float]
    queries: int
    candidates: int
    p: float

    @property
    def gain(self) -> float:
        """Difference of the means."""
        return self.after["mean"] - self.before["mean"]

    @property
    def better(self) -> bool:
        """Whether the gain is one, and not chance."""
        return self.gain > 0 and self.p < SIGNIFICANT

    @property
    def sentence(self) -> str:
        """The verdict for people."""
        figures = (
            f"held-out nDCG@10 {self.before['mean']:.3f} → {self.after['mean']:.3f} "
            f"({self.gain:+.3f}, p = {self.p:.4f}, {self.queries} queries)"
        )
        if self.better:
            return f"Better than what it started from: {figures}."
        return f"Not better than what it started from: {figures}. Do not use it in its place."


def judge(
    cases: Sequence[Case],
    base: Sequence[NDArray[np.float32]],
    logits: Sequence[NDArray[np.float32]],
    bi_weight: float,
    seed: int,
) -> Verdict:
    """Compare the order by ``logits`` + ``bi_weight`` · cosine with the order by ``base``, case by case."""
    mixed = [row + bi_weight * case.cosines for case, row in zip(cases, logits, strict=True)]
    before, after, alone = (ndcg(cases, rows) for rows in (base, mixed, logits))
    return Verdict(
        mean_by_set(cases, before),
        mean_by_set(cases, after),
        mean_by_set(cases, alone),
        len(cases),
        max(len(case.passages) for case in cases),
        paired_randomisation(before, after, seed),
    )


def fit_relevance(logits: NDArray[np.floating], relevant: NDArray[np.bool_]) -> tuple[float, float]:
    """Scale (0 or more) and shift with which sigmoid(scale · logit + shift) is the share of relevant ones.

    Platt's curve (`fit_platt`) on ``logits`` (n,). Without both kinds of label it is (1.0, 0.0).
    """
    labels = Labels(logits.astype(np.float64), relevant, np.zeros(len(logits), dtype=np.int64))
    if not labels.rarer:
        return 1.0, 0.0
    curve = fit_platt(labels)
    return curve.scale, curve.shift
