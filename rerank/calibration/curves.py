"""Fitted curves from a logit to a probability, and how each is fitted. All of them never fall.

SciPy and scikit-learn take two seconds to import, which no search without a calibration should wait for: they are
imported where something is fitted or read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.errors import UsageError
from ingest.models.spec import ModelSpec
from rerank.calibration.labels import Labels
from rerank.calibration.methods import Method

# exp(±10): no reranker's scale is off by a factor of 22,000.
LOG_BOUND = 10.0


@dataclass(frozen=True, slots=True)
class Logistic:
    """p = sigmoid(``scale`` · logit + ``shift``). ``temperature`` is T where that method made it, else ``None``.

    A scale of 0 gives every passage the same probability.
    """

    scale: float
    shift: float
    temperature: float | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and np.isfinite(self.shift) and self.scale >= 0):
            raise ValueError(f"no rising curve has the scale {self.scale} and the shift {self.shift}")

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities in [0, 1], shape (n,), of logits of shape (n,)."""
        from scipy.special import expit

        values: NDArray[np.float64] = expit(self.scale * logits.astype(np.float64) + self.shift)
        return values


@dataclass(frozen=True, slots=True)
class Steps:
    """Straight lines between the points (``logits``, ``probabilities``), level outside of them."""

    logits: tuple[float, ...]
    probabilities_at: tuple[float, ...]

    def __post_init__(self) -> None:
        across, up = np.array(self.logits), np.array(self.probabilities_at)
        if not len(across) or len(across) != len(up):
            raise ValueError(
                f"a curve needs points; {len(across)} logits and {len(up)} probabilities were given"
            )
        # Written so that a nan fails too.
        if not ((np.diff(across) > 0).all() and (np.diff(up) >= 0).all() and up[0] >= 0 and up[-1] <= 1):
            raise ValueError("the points of a curve must rise, and its probabilities stay within 0 and 1")

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities in [0, 1], shape (n,), of logits of shape (n,)."""
        wide = logits.astype(np.float64)
        up = np.array(self.probabilities_at)
        values = np.interp(wide, self.logits, up)
        # Rounding must not lift a value over the next point: the curve would fall by a hair there.
        following = np.minimum(np.searchsorted(self.logits, wide, side="right"), len(up) - 1)
        bounded: NDArray[np.float64] = np.minimum(values, up[following])
        return bounded


Curve = Logistic | Steps


def fit(method: Method, labels: Labels, spec: ModelSpec) -> Curve:
    """The curve of a fitted method. Raises `UsageError` for another one, or as `fit_temperature` does."""
    if method is Method.PLATT:
        return fit_platt(labels)
    if method is Method.TEMPERATURE:
        return fit_temperature(labels, spec)
    if method is Method.ISOTONIC:
        return fit_isotonic(labels)
    raise UsageError(f"{method} is not fitted to labels; choose platt, temperature or isotonic.")


def fit_platt(labels: Labels) -> Logistic:
    """p = sigmoid(a · logit + b) by logistic regression on softened targets.

    Platt, "Probabilistic Outputs for Support Vector Machines" (1999). a is at least 0: where lower logits go
    with relevance, the best curve that does not turn the order round is the level one.
    """
    from scipy.special import logit
    from sklearn.linear_model import LogisticRegression

    centre, spread = float(labels.logits.mean()), float(labels.logits.std()) or 1.0
    across = ((labels.logits - centre) / spread)[:, None]
    targets = soft_targets(labels.relevant)
    # A soft target t is the same as a relevant row of weight t beside one that is not, of weight 1 − t.
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=500).fit(
        np.concatenate([across, across]),
        np.repeat([True, False], len(labels)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    scale = float(model.coef_[0, 0]) / spread
    if scale <= 0:
        return Logistic(0.0, float(logit(targets.mean())))
    return Logistic(scale, float(model.intercept_[0]) - scale * centre)


def fit_temperature(labels: Labels, spec: ModelSpec) -> Logistic:
    """p = sigmoid(z / T), where sigmoid(z) is the model's own relevance: one parameter and no shift.

    Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), in its binary form; T has the least
    cross-entropy, to Platt's softened targets, so that labels without any overlap do not drive it to 0.
    Raises `UsageError` for a model that has no relevance of its own: its logits have no zero to spread from.
    """
    from scipy.optimize import minimize_scalar

    if spec.relevance_scale is None or spec.relevance_scale <= 0:
        raise UsageError(
            f"Temperature scaling needs a model whose scores can be read as relevance; those of {spec.name} cannot. "
            "Choose platt or isotonic."
        )
    own = spec.relevance_scale * labels.logits + spec.relevance_shift
    targets = soft_targets(labels.relevant)

    def cross_entropy(log_factor: float) -> float:
        scaled = np.exp(log_factor) * own
        return float((np.logaddexp(0, scaled) - targets * scaled).mean())

    minimum = minimize_scalar(
        cross_entropy, bounds=(-LOG_BOUND, LOG_BOUND), method="bounded", options={"xatol": 1e-9}
    )
    factor = float(np.exp(minimum.x))
    return Logistic(factor * spec.relevance_scale, factor * spec.relevance_shift, 1 / factor)


def fit_isotonic(labels: Labels) -> Steps:
    """The rising curve with the least squared error: Zadrozny and Elkan, "Transforming Classifier Scores into
    Accurate Multiclass Probability Estimates" (KDD 2002).

    Assumes nothing about its form, and so follows few labels too closely: its ends are often exactly 0 and 1.
    """
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    model.fit(labels.logits, labels.relevant.astype(np.float64))
    return Steps(tuple(model.X_thresholds_.tolist()), tuple(model.y_thresholds_.tolist()))


def soft_targets(relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Platt's targets: (r + 1) / (r + 2) for each of r relevant rows, 1 / (n + 2) for each of n others."""
    positives = int(relevant.sum())
    return np.where(relevant, (positives + 1) / (positives + 2), 1 / (len(relevant) - positives + 2))
