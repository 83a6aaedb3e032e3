"""What all rerankers behind a service share: batches, retries within a time limit, and scores mapped by index."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ingest.errors import ServiceError
from ingest.models.consent import require_consent
from ingest.models.resolve import ResolvedModel
from ingest.services.access import ServiceAccess
from ingest.services.client import Patience, by_index, persist, slices
from rerank.scorers.base import OnBatch, Scorer, Scores

Rows = Iterable[tuple[object, object]]


class ServiceScorer(Scorer, ABC):
    """A reranker that asks a service for ``_batch`` passages at a time; many threads may ask at once.

    ``_who`` is the service, in messages; both are a subclass's to say, at the latest when it prepares.
    """

    _who: str
    _batch: int

    def __init__(
        self,
        model: ResolvedModel,
        access: ServiceAccess,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        """Nothing is sent yet. What follows the colon of the model's name is asked for.

        Raises `ModelError` where the service cannot be asked from here (no client, no key), and
        `ConsentNeededError` where it is elsewhere and nobody allowed to send it passages.
        """
        self._model = model
        self._asked = model.name.partition(":")[2]
        self._patience = patience
        self._prepare(access)
        require_consent(model, access)

    @abstractmethod
    def _prepare(self, access: ServiceAccess) -> None:
        """Make what the service is asked with, and send nothing. Raises `ModelError` where that cannot be made."""

    @property
    def model(self) -> ResolvedModel:
        """Which model is asked for, and where."""
        return self._model

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage. What the service read of it is not known: ``tokens`` are 0, nothing is ``truncated``.

        Raises `ServiceError` where the service cannot be reached in time, refuses, or gives a broken answer.
        """
        count = len(passages)
        logits = np.empty(count, dtype=np.float32)
        for rows in slices(count, self._batch):
            batch = list(passages[rows])
            answer = persist(partial(self._rows, query, batch), self._patience)
            logits[rows] = scores_by_index(self._who, answer, len(batch))
            if on_batch is not None:
                on_batch(len(batch))
        return Scores(logits, np.zeros(count, np.int64), np.zeros(count, np.bool_))

    @abstractmethod
    def _rows(self, query: str, passages: list[str], seconds: float) -> Rows:
        """Index and score of each passage, in any order, from one attempt of at most ``seconds``.

        Raises `PassingFaultError` where another attempt is worth it, else `ServiceError`.
        """


def scores_by_index(who: str, rows: Rows, count: int) -> NDArray[np.float32]:
    """Scores (count,) from pairs of index and score in any order, put in the order of the passages.

    Raises `ServiceError` where an index is missing, doubled or of no passage, or a score is not a finite number.
    """
    found = by_index(who, rows, count, "score")
    return np.array([_number(who, index, score) for index, score in enumerate(found)], dtype=np.float32)


def _number(who: str, index: int, score: object) -> float:
    largest = float(np.finfo(np.float32).max)
    if isinstance(score, int | float) and not isinstance(score, bool):
        value = float(
            str(score)
        )  # by way of text, as a whole number of 400 digits is then infinite and no error
        if math.isfinite(value) and abs(value) <= largest:
            return value
    raise ServiceError(f"{who} gave passage {index} a score that is not a number: {str(score)[:40]}")
