"""What every reranker is to the search path: one method that scores passages against a query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.models import ResolvedModel

OnBatch = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of n passages, in the order in which the passages were given.

    ``logits`` has shape (n,) and is float32, higher is better. ``tokens`` has shape (n,) and counts what
    the model read for each pair, special tokens included; ``truncated`` has shape (n,) and is true where
    the end of a passage did not fit.
    """

    logits: NDArray[np.float32]
    tokens: NDArray[np.int64]
    truncated: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if not len(self.logits) == len(self.tokens) == len(self.truncated):
            raise ValueError(
                f"{len(self.logits)} logits, {len(self.tokens)} token counts, {len(self.truncated)} truncation flags"
            )


class Scorer(Protocol):
    """A reranker. One instance serves every thread: implementations lock where their model must not be shared."""

    @property
    def model(self) -> ResolvedModel:
        """Which model this is, with the spec that says how to read its scores."""

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage; ``on_batch`` hears how many more are done. An empty list gives empty scores."""


def empty_scores() -> Scores:
    """Scores of no passages."""
    return Scores(np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))
