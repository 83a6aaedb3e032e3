"""A reranker that can be told to fail, or to wait until a test lets it go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ingest.errors import RerankError
from rerank.scorers.base import Scores
from tests.fakes import WordScorer


class MoodyScorer(WordScorer):
    """A `WordScorer` that reads one passage, waits at its gate (open at first), and may break there.

    ``free`` slices go past a closed gate; ``waiting`` is set once a slice stands before it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.free = 0
        self.waiting = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def score(
        self, query: str, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> Scores:
        if on_batch is not None:
            on_batch(1)
        if len(self.calls) >= self.free:
            self.waiting.set()
            self.gate.wait(10)
        if self.broken:
            raise RerankError("the scores are not numbers")
        rest = None if on_batch is None else lambda more: on_batch(more - 1)
        return super().score(query, passages, rest)
