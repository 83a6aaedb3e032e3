"""What every reranker is to the search path: one method that scores passages against a query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.library.token_vectors import TokenStore
from ingest.models.resolve import ResolvedModel
from ingest.services.access import ServiceAccess

OnBatch = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of n passages, in the order in which the passages were given.

    ``logits`` has shape (n,) and is float32, higher is better. ``tokens`` has shape (n,) and counts what
    the model read for each pair, special tokens included; ``truncated`` has shape (n,) and is true where
    the end of a passage did not fit. ``windows`` says of each passage between which characters the reranker read
    it, ``None`` for one that was not cut to a window (empty: none was); what leads it, its title, was read too.
    ``cached`` of the n scores were known from before, and no model was run for them.
    """

    logits: NDArray[np.float32]
    tokens: NDArray[np.int64]
    truncated: NDArray[np.bool_]
    windows: tuple[tuple[int, int] | None, ...] = ()
    cached: int = 0

    def __post_init__(self) -> None:
        if not len(self.logits) == len(self.tokens) == len(self.truncated):
            raise ValueError(
                f"{len(self.logits)} logits, {len(self.tokens)} token counts, {len(self.truncated)} truncation flags"
            )
        if self.windows and len(self.windows) != len(self.logits):
            raise ValueError(f"{len(self.logits)} logits, {len(self.windows)} windows")


@dataclass(frozen=True, slots=True)
class Options:
    """What a person chose about running rerankers; each kind takes of it what it has a use for.

    ``engine`` is one of `rerank.engines.choose.ENGINES`, and without ``wait`` nothing is measured before the first
    answer. ``access`` holds the addresses of services and the keys to them. ``token_store`` is that of the library
    whose passages will be scored, where that is known.
    """

    engine: str = "auto"
    wait: bool = True
    access: ServiceAccess = field(default_factory=ServiceAccess)
    token_store: TokenStore | None = None


class Scorer(Protocol):
    """A reranker. One instance serves every thread: implementations lock where their model must not be shared."""

    @property
    def model(self) -> ResolvedModel:
        """Which model this is, with the spec that says how to read its scores."""

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage; ``on_batch`` hears how many more are done. An empty list gives empty scores."""


def engine_name(scorer: Scorer) -> str:
    """What runs a scorer, and how: its ``engine`` where it names one, else its class."""
    return str(getattr(scorer, "engine", type(scorer).__qualname__))


def empty_scores() -> Scores:
    """Scores of no passages."""
    return Scores(np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))


def joined(one: Scores, other: Scores) -> Scores:
    """The scores of two lists of passages as those of both, one after the other."""
    return Scores(
        np.concatenate([one.logits, other.logits]),
        np.concatenate([one.tokens, other.tokens]),
        np.concatenate([one.truncated, other.truncated]),
        (*_windows(one), *_windows(other)) if one.windows or other.windows else (),
        one.cached + other.cached,
    )


def _windows(scores: Scores) -> tuple[tuple[int, int] | None, ...]:
    return scores.windows or (None,) * len(scores.logits)
