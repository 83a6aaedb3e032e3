"""Where to draw the line: default bands, thresholds learnt from labels, and whether there is a line at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerank.calibration.labels import SEED, Labels

ROUNDS = 1000
# Numbers held at once while resampling: 1,000,000 × 8 bytes = 8 MB an array, however many labels there are.
BLOCK = 1_000_000
# Figures of two thresholds that are nearer than this are the same but for rounding.
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What accepting every passage at or above a threshold gives; precision is 1 where none is accepted."""

    precision: float
    recall: float
    f1: float
    accepted: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """A probability to accept from, with its 95 % interval from resampling queries (``None`` for one query).

    ``learnt`` is what it gives on the labels that it was learnt from, ``held_out`` on others (``None``
    where there are none).
    """

    value: float
    low: float | None
    high: float | None
    learnt: Accuracy
    held_out: Accuracy | None = None


@dataclass(frozen=True, slots=True)
class Separation:
    """How often a relevant passage has the higher score of a pair (AUC), with its interval; and what follows.

    ``clean`` is false where no threshold means anything, and ``reason`` then says why.
    """

    auc: float
    low: float | None
    high: float | None
    clean: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every threshold, falling, (t,), and what each accepts in each of r draws of the labels: ``hits`` that are
    relevant and ``alarms`` that are not, both (r, t).
    """

    thresholds: NDArray[np.float64]
    hits: NDArray[np.float64]
    alarms: NDArray[np.float64]

    @classmethod
    def over(
        cls, probabilities: NDArray[np.float64], labels: Labels, weights: NDArray[np.float64] | None = None
    ) -> Sweep:
        """Accept at or above each probability that occurs; ``weights`` (r, n) says how often a draw holds a row."""
        order = np.argsort(-probabilities, kind="stable")
        falling = probabilities[order]
        ends = np.flatnonzero(np.append(np.diff(falling) < 0, True))  # ties are accepted together
        counts = np.ones((1, len(labels))) if weights is None else weights[:, order]
        relevant = labels.relevant[order]
        hits = np.cumsum(counts * relevant, axis=1)[:, ends]
        return cls(falling[ends], hits, np.cumsum(counts * ~relevant, axis=1)[:, ends])

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the accepted that is relevant, (r, t); 0 where a draw has nothing to accept."""
        accepted = self.hits + self.alarms
        return np.divide(self.hits, accepted, out=np.zeros_like(self.hits), where=accepted > 0)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall, (r, t)."""
        mean: NDArray[np.float64] = 2 * self.hits / (self.hits + self.alarms + self.hits[:, -1:])
        return mean

    @property
    def auc(self) -> NDArray[np.float64]:
        """Area under the ROC curve, (r,): ties count half."""
        zero = np.zeros((len(self.hits), 1))
        rise = np.concatenate([zero, self.hits], axis=1)
        area = np.trapezoid(rise, np.concatenate([zero, self.alarms], axis=1), axis=1)
        of_all: NDArray[np.float64] = area / (self.hits[:, -1] * self.alarms[:, -1])
        return of_all

    def best(self) -> NDArray[np.float64]:
        """The threshold with the highest F1, (r,); of several, the highest threshold."""
        values: NDArray[np.float64] = self.thresholds[np.argmax(self.f1, axis=1)]
        return values

    def precise(self, precision: float) -> NDArray[np.float64]:
        """The threshold that accepts most with at least this ``precision``, (r,); nan where none has it."""
        enough = self.precision >= precision - SAME
        place = np.argmax(np.where(enough, self.hits + self.alarms, -1), axis=1)
        return np.where(enough.any(axis=1), self.thresholds[place], np.nan)


@dataclass(frozen=True, slots=True)
class Draws:
    """Figures of the labels as they would have come out with other queries, each (r,)."""

    auc: NDArray[np.float64]
    best: NDArray[np.float64]
    precise: NDArray[np.float64]


def resample(
    probabilities: NDArray[np.float64], labels: Labels, precision: float = 1.0, rounds: int = ROUNDS
) -> Draws:
    """Figures of ``rounds`` draws of as many queries with replacement, seeded, at this ``precision``.

    Passages of one query hang together, so that drawing single labels would give too narrow an interval.
    Draws with labels of one kind only say nothing of a threshold and are left out; all are, for one query.
    """
    names, numbers = np.unique(labels.query, return_inverse=True)
    sweeps = []
    if len(names) > 1:
        counts = np.random.default_rng(SEED).multinomial(
            len(names), np.full(len(names), 1 / len(names)), rounds
        )
        step = max(1, BLOCK // len(labels))
        for start in range(0, rounds, step):
            weights = counts[start : start + step, numbers].astype(np.float64)
            both = (weights @ labels.relevant > 0) & (weights @ ~labels.relevant > 0)
            sweep = Sweep.over(probabilities, labels, weights[both])
            sweeps.append((sweep.auc, sweep.best(), sweep.precise(precision)))
    none = np.zeros(0)
    auc, best, precise = (
        (np.concatenate([none, *column]) for column in zip(*sweeps, strict=True)) if sweeps else [none] * 3
    )
    return Draws(auc, best, precise)


def separation(sweep: Sweep, draws: Draws) -> Separation:
    """Whether scores tell relevant passages from others at all.

    They do not where the interval of the AUC reaches .5, which is chance, or where no threshold has a
    higher F1 than accepting everything. ``sweep`` is of the labels as they are.
    """
    auc = float(sweep.auc[0])
    low, high = _interval(draws.auc)
    reason = ""
    if (auc if low is None else low) <= 0.5:
        reason = "No clean separation: relevant passages do not score reliably higher than others."
    elif sweep.f1[0].max() <= sweep.f1[0, -1] + SAME:
        reason = "No clean separation: no threshold does better than accepting every passage."
    return Separation(auc, low, high, not reason, reason)


def learn_best(probabilities: NDArray[np.float64], labels: Labels, sweep: Sweep, draws: Draws) -> Threshold:
    """The threshold with the highest F1 on ``labels``, which have both kinds."""
    value = float(sweep.best()[0])
    return Threshold(value, *_interval(draws.best), accuracy(probabilities, labels, value))


def learn_precise(
    probabilities: NDArray[np.float64], labels: Labels, sweep: Sweep, draws: Draws, precision: float
) -> Threshold | None:
    """The lowest threshold with this ``precision`` on ``labels``; ``None`` where none has it.

    A draw that never reaches it counts as a threshold of 1: accept next to nothing.
    """
    value = float(sweep.precise(precision)[0])
    if np.isnan(value):
        return None
    interval = _interval(np.nan_to_num(draws.precise, nan=1.0))
    return Threshold(value, *interval, accuracy(probabilities, labels, value))


def accuracy(probabilities: NDArray[np.float64], labels: Labels, threshold: float) -> Accuracy:
    """Precision, recall and F1 of accepting at or above ``threshold``; recall is 0 where nothing is relevant."""
    accepts = probabilities >= threshold
    accepted, hits = int(accepts.sum()), int((accepts & labels.relevant).sum())
    together = accepted + labels.positives
    return Accuracy(
        hits / accepted if accepted else 1.0,
        hits / labels.positives if labels.positives else 0.0,
        2 * hits / together if together else 0.0,
        accepted,
    )


def _interval(figures: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """The 95 % percentile interval of a figure over draws, (r,)."""
    if not len(figures):
        return None, None
    low, high = np.percentile(figures, [2.5, 97.5])
    return float(low), float(high)
