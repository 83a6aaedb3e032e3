"""Ways to read a reranker's logits as numbers in [0, 1], and what each of them may be called.

The order is always by the logit: no method changes it, though some make ties (isotonic, or rounding near 0 and 1).
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ingest.errors import UsageError
from ingest.models.spec import ModelSpec
from ingest.notices import Help, Remedy
from rerank.order import relevance


class Method(StrEnum):
    """How scores are read: as the model was trained, within one list, or fitted to labels."""

    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"
    MIN_MAX = "min-max"
    PLATT = "platt"
    TEMPERATURE = "temperature"
    ISOTONIC = "isotonic"

    @property
    def relative(self) -> bool:
        """Whether its numbers compare the passages of one list only, and so are never relevance."""
        return self in (Method.SOFTMAX, Method.MIN_MAX)

    @property
    def fitted(self) -> bool:
        """Whether it is learnt from labels, and so needs a calibration."""
        return self in FITTED

    @property
    def in_words(self) -> str:
        """What one of its numbers is called: “relevance”, “share of this list”, “probability”."""
        return _IN_WORDS.get(self, "probability")

    @property
    def reading(self) -> str:
        """A sentence for people that says what the method's numbers mean."""
        return READINGS[self]


FITTED = (Method.TEMPERATURE, Method.PLATT, Method.ISOTONIC)
_IN_WORDS = {
    Method.SIGMOID: "relevance",
    Method.SOFTMAX: "share of this list",
    Method.MIN_MAX: "relative to this list",
}
_LEARNT = "The probability that the passage is relevant, learnt from the labels of this library."
READINGS = {
    Method.SIGMOID: "Relevance as the model was trained to give it; not checked on this library.",
    Method.SOFTMAX: "The passage's share of this list: it adds up to 1 even where no passage is relevant.",
    Method.MIN_MAX: "The place between the worst (0) and the best (1) of this list, even where no passage is relevant.",
    Method.PLATT: _LEARNT,
    Method.TEMPERATURE: _LEARNT,
    Method.ISOTONIC: _LEARNT,
}


def read(
    method: Method, logits: NDArray[np.floating], spec: ModelSpec, temperature: float = 1.0
) -> NDArray[np.float64] | None:
    """The logits of one result list, shape (n,), read by a method that needs no labels; shape (n,), in [0, 1].

    ``temperature`` is softmax's. ``None`` for `SIGMOID` where the model was not trained for it. Raises
    `UsageError` for a fitted method, which needs a calibration.
    """
    if method is Method.SIGMOID:
        return relevance(logits.astype(np.float32), spec)
    if method is Method.SOFTMAX:
        return list_softmax(logits, temperature)
    if method is Method.MIN_MAX:
        return min_max(logits)
    raise UsageError(f"{method} is learnt from labels; fit it first.", Help(Remedy.CALIBRATE))


def list_softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """exp(logit / T) over its sum in the list, shape (n,): relative; a high T evens the shares out.

    Raises `UsageError` unless ``temperature`` is above 0.
    """
    if not temperature > 0:
        raise UsageError(f"A temperature must be above 0; {temperature} was given.")
    from scipy.special import softmax  # a quarter of a second, for those who read scores so

    shares: NDArray[np.float64] = softmax(logits.astype(np.float64) / temperature) if len(logits) else _none()
    return shares


def min_max(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """(logit − lowest) / (highest − lowest) of the list, shape (n,): relative; all 1 where all are the same."""
    if not len(logits):
        return _none()
    wide = logits.astype(np.float64)
    spread = wide.max() - wide.min()
    return (wide - wide.min()) / spread if spread > 0 else np.ones(len(wide))


def _none() -> NDArray[np.float64]:
    return np.zeros(0, dtype=np.float64)
