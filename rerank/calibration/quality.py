"""How well probabilities agree with labels: expected calibration error, Brier score, reliability table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """A row of a reliability table: labels whose probabilities lie in [``start``, ``end``].

    ``predicted`` is their mean probability and ``observed`` the share of relevant ones, with its 95 % Wilson
    interval, which takes labels as independent of each other and so is rather too narrow.
    """

    start: float
    end: float
    count: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Agreement of probabilities with labels; all figures in [0, 1], lower is better.

    ``ece`` has bins of equal width and ``ece_equal_mass`` of (nearly) equal counts. ``brier_of_share`` is the
    Brier score of saying the share of relevant labels every time: what a useful score must be below.
    """

    labels: int
    relevant: int
    queries: int
    ece: float
    ece_equal_mass: float
    brier: float
    brier_of_share: float
    reliability: tuple[Bin, ...]
    reliability_equal_mass: tuple[Bin, ...]


def measure_quality(
    probabilities: NDArray[np.float64], relevant: NDArray[np.bool_], queries: int, bins: int = BINS
) -> Quality:
    """Every figure of ``probabilities`` against ``relevant``, both (n,), n ≥ 1."""
    width = reliability(probabilities, relevant, equal_width_edges(bins))
    mass = reliability(probabilities, relevant, equal_mass_edges(probabilities, bins))
    share = float(relevant.mean())
    return Quality(
        len(relevant),
        int(relevant.sum()),
        queries,
        expected_error(width),
        ece_equal_mass=expected_error(mass),
        brier=brier(probabilities, relevant),
        brier_of_share=share * (1 - share),
        reliability=width,
        reliability_equal_mass=mass,
    )


def brier(probabilities: NDArray[np.float64], relevant: NDArray[np.bool_]) -> float:
    """Mean of (probability − label)², both (n,): Brier, "Verification of Forecasts" (1950), one class of two."""
    return float(np.mean((probabilities - relevant) ** 2))


def expected_error(table: tuple[Bin, ...]) -> float:
    """Mean of |predicted − observed| over bins, weighted by their counts.

    Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015);
    with bins of equal mass, Nixon et al., "Measuring Calibration in Deep Learning" (CVPR workshops 2019).
    """
    total = sum(row.count for row in table)
    return sum(row.count * abs(row.predicted - row.observed) for row in table) / total


def equal_width_edges(bins: int = BINS) -> NDArray[np.float64]:
    """Edges from 0 to 1, shape (bins + 1,)."""
    return np.arange(bins + 1) / bins


def equal_mass_edges(probabilities: NDArray[np.float64], bins: int = BINS) -> NDArray[np.float64]:
    """Edges at the quantiles of ``probabilities``; fewer bins where ties would have to be torn apart."""
    edges = np.quantile(probabilities, equal_width_edges(bins), method="inverted_cdf")
    inner = np.unique(edges[1:-1])
    return np.concatenate([edges[:1], inner[inner < edges[-1]], edges[-1:]])


def reliability(
    probabilities: NDArray[np.float64], relevant: NDArray[np.bool_], edges: NDArray[np.float64]
) -> tuple[Bin, ...]:
    """The table, without empty bins. A probability on an edge belongs to the bin below it, 0 to the first."""
    places = np.searchsorted(edges[1:-1], probabilities, side="left")
    return tuple(
        _row(probabilities[places == place], relevant[places == place], edges[place : place + 2])
        for place in np.unique(places)
    )


def _row(probabilities: NDArray[np.float64], relevant: NDArray[np.bool_], edges: NDArray[np.float64]) -> Bin:
    from scipy.stats import binomtest  # half a second, for those who measure only

    hits, count = int(relevant.sum()), len(relevant)
    interval = binomtest(hits, count).proportion_ci(method="wilson")
    return Bin(
        float(edges[0]), float(edges[-1]), count, float(probabilities.mean()), observed=hits / count,
        low=float(interval.low), high=float(interval.high),
    )  # fmt: skip
