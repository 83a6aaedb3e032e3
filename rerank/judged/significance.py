"""Is the difference more than chance? A paired randomisation test, a bootstrap interval, and the verdict.

Smucker, Allan and Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval
Evaluation" (CIKM 2007) recommend the randomisation test for such figures, which are far from normal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rerank.judged.records import VERDICT_MEASURE, Difference, Figures, Verdict

SIGNIFICANT = 0.05
ROUNDS = 10_000
SEED = 20_240
# Numbers drawn at once: 1,000,000 × 8 bytes = 8 MB, however many queries there are.
BLOCK = 1_000_000


def differences(before: Figures, after: Figures) -> dict[str, Difference]:
    """The difference of every measure, query by query."""
    return {
        name: difference(list(values.values()), [after[name][query] for query in values])
        for name, values in before.items()
    }


def difference(before: Sequence[float], after: Sequence[float]) -> Difference:
    """Mean of ``after`` less ``before`` (both of shape (n,), n ≥ 1, pair by pair), its interval and its p.

    The draws are seeded: the same figures give the same answer.
    """
    low, high = bootstrap_interval([b - a for a, b in zip(before, after, strict=True)])
    p = paired_randomisation(before, after, SEED, ROUNDS)
    return Difference(float(np.mean(after) - np.mean(before)), low, high, p)


def bootstrap_interval(values: Sequence[float], rounds: int = ROUNDS) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of ``values``, shape (n,), by drawing queries with replacement."""
    generator = np.random.default_rng(SEED)
    data = np.asarray(values, dtype=np.float64)
    step = max(1, BLOCK // len(data))
    means = [
        data[generator.integers(len(data), size=(min(step, rounds - start), len(data)))].mean(axis=1)
        for start in range(0, rounds, step)
    ]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(low), float(high)


def holm(ps: Sequence[float]) -> list[float]:
    """Each p corrected for there being several, in the order given: with k tests, the smallest counts k times.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (Scandinavian Journal of Statistics 6, 1979):
    it bounds the chance of any false finding, whatever the tests have to do with each other.
    """
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        least = max(least, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = least
    return adjusted


def verdict(differences: Mapping[str, Difference]) -> Verdict:
    """By nDCG@10 alone, chosen beforehand: picking among five measures would find chance more often."""
    main = differences[VERDICT_MEASURE]
    if main.p >= SIGNIFICANT or main.mean == 0:
        return Verdict.UNDECIDED
    return Verdict.HELPS if main.mean > 0 else Verdict.HURTS


def paired_randomisation(
    before: Sequence[float], after: Sequence[float], seed: int, rounds: int = 10000
) -> float:
    """Two-sided p of the mean difference under random swaps of the two figures of each query."""
    differences = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    if not len(differences) or not differences.any():
        return 1.0
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(rounds, len(differences)))
    swapped = np.abs(signs @ differences) / len(differences)
    return float((1 + (swapped >= abs(differences.mean()) - 1e-12).sum()) / (1 + rounds))
