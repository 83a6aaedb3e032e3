"""Rerankers behind a service: their names and addresses, and what all share.

``cohere`` and ``cohere:MODEL`` are Cohere's, ``server`` and ``server:MODEL`` those of a server known by its address.
All are asked in batches, again within a time limit, and their scores are mapped by index.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ingest.errors import ServiceError
from ingest.models.consent import require_consent, served
from ingest.models.spec import ModelKind, ModelSpec, ResolvedModel
from ingest.services.access import COHERE_URL, Service, ServiceAccess, checked_address
from ingest.services.client import RetryPolicy, by_index, slices, with_retries
from rerank.scorers.base import OnBatch, Scorer, Scores

COHERE, SERVER = "cohere", "server"
# Cohere's models that may be typed without the prefix, its default one first, and how many tokens of query and
# document together each reads at once (https://docs.cohere.com/docs/rerank). Any other is asked for as cohere:MODEL.
COHERE_MODELS: Mapping[str, int] = {
    "rerank-v3.5": 4096,
    "rerank-english-v3.0": 4096,
    "rerank-multilingual-v3.0": 4096,
    "rerank-v4.0-pro": 32768,
    "rerank-v4.0-fast": 32768,
}
DEFAULT_COHERE = "rerank-v3.5"


def served_model(name: str, access: ServiceAccess) -> ResolvedModel | None:
    """The model of that name behind a service; ``None`` where the name is none of a service.

    Raises `ModelError` where ``access`` has no address of the service that can be used.
    """
    service, _, model = name.partition(":")
    if service == COHERE:
        return _cohere(model or DEFAULT_COHERE, access)
    return _server(model or access.model, access) if service == SERVER else None


def _cohere(model: str, access: ServiceAccess) -> ResolvedModel:
    return served(
        ModelSpec(
            name=f"{COHERE}:{model}",
            kind=ModelKind.RERANKER,
            architecture=COHERE,
            revision=checked_address(access.cohere_url, Service.COHERE, COHERE_URL),
            licence="Cohere's terms of use; each question is billed",
            max_length=COHERE_MODELS.get(model, 4096),
            languages="English" if "english" in model else "over 100 languages",
        )
    )


def _server(model: str, access: ServiceAccess) -> ResolvedModel:
    return served(
        ModelSpec(
            name=f"{SERVER}:{model}" if model else SERVER,
            kind=ModelKind.RERANKER,
            architecture="rerank-server",
            revision=rerank_address(access.url),
            licence="see the server's model",
            max_length=512,
            languages="see the server's model",
        )
    )


def rerank_address(url: str) -> str:
    """The address of the rerank route: ``url`` as it is where it names one, else with ``/v1/rerank`` behind it.

    Raises `ModelError` for what is no address of a server, and for one with a password, which would be shown.
    """
    address = checked_address(url, Service.RERANK_SERVER, "http://localhost:8000/v1/rerank")
    if address.endswith("/rerank"):
        return address
    return address + ("/rerank" if re.search(r"/v\d+$", address) else "/v1/rerank")


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
        patience: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
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
            answer = with_retries(partial(self._rows, query, batch), self._patience)
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
    scores = by_index(who, rows, count, "score")
    return np.array([_number(who, index, score) for index, score in enumerate(scores)], dtype=np.float32)


def _number(who: str, index: int, score: object) -> float:
    largest = float(np.finfo(np.float32).max)
    if isinstance(score, int | float) and not isinstance(score, bool):
        value = float(
            str(score)
        )  # by way of text, as a whole number of 400 digits is then infinite and no error
        if math.isfinite(value) and abs(value) <= largest:
            return value
    raise ServiceError(f"{who} gave passage {index} a score that is not a number: {str(score)[:40]}")
