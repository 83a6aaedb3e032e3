"""Cohere's rerank models, by the official client, which is an extra: pip install "second-look[cohere]"."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.errors import ModelError, RerankError
from ingest.models import ResolvedModel
from rerank.scorers.base import OnBatch, Scores
from rerank.scorers.services import (
    PassingFaultError,
    Patience,
    ServiceAccess,
    check_status,
    message_of,
    persist,
    scores_by_index,
    slices,
)

# One search unit, which is what Cohere bills, is a query with up to 100 documents.
BATCH = 100
WHO = "Cohere"


class CohereScorer:
    """Scores passages with Cohere's v2 rerank route; many threads may ask at once."""

    def __init__(
        self,
        model: ResolvedModel,
        access: ServiceAccess,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        """Nothing is sent yet. Raises `ModelError` where the client is not installed or there is no key."""
        client = _client_module()
        if not access.cohere_key:
            raise ModelError(
                f"The reranker {model.name} needs a key of Cohere. Put it into the environment as COHERE_API_KEY."
            )
        self._model = model
        self._key = access.cohere_key
        self._patience = patience
        self._client = client.ClientV2(api_key=self._key, base_url=model.spec.revision)
        self._errors = (import_module("cohere.core.api_error").ApiError,)
        self._transport = import_module("httpx")
        self._lock = threading.Lock()
        self._units = 0.0

    @property
    def model(self) -> ResolvedModel:
        """Which of Cohere's models this is."""
        return self._model

    @property
    def search_units(self) -> float:
        """Search units that Cohere has billed since this was opened."""
        return self._units

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage, in [0, 1]. What was read of it is not known: ``tokens`` are 0, nothing is ``truncated``.

        Raises `RerankError` where Cohere cannot be reached in time, refuses, or gives a broken answer.
        """
        count = len(passages)
        logits = np.empty(count, dtype=np.float32)
        for rows in slices(count, BATCH):
            batch = list(passages[rows])
            logits[rows] = persist(partial(self._once, query, batch), self._patience)
            if on_batch is not None:
                on_batch(len(batch))
        return Scores(logits, np.zeros(count, np.int64), np.zeros(count, np.bool_))

    def _once(self, query: str, batch: list[str], seconds: float) -> NDArray[np.float32]:
        # The client's own retries know no limit of time for all of them together.
        options = {"timeout_in_seconds": max(1, int(seconds)), "max_retries": 0}
        try:
            answer = self._client.rerank(
                model=self._model.name.partition(":")[2], query=query, documents=batch, top_n=len(batch),
                request_options=options,
            )  # fmt: skip
        except self._transport.TimeoutException as error:
            raise RerankError(f"{WHO} did not answer within {self._patience.seconds:g} s") from error
        except self._transport.TransportError as error:
            raise PassingFaultError(f"{WHO} cannot be reached ({error})") from error
        except self._errors as error:
            raise self._fault(error) from error
        self._count(answer)
        rows = [
            (getattr(row, "index", None), getattr(row, "relevance_score", None)) for row in _results(answer)
        ]
        return scores_by_index(WHO, rows, len(batch))

    def _fault(self, error: Any) -> RerankError:
        """What Cohere's error means here."""
        headers = {str(name).lower(): str(value) for name, value in (error.headers or {}).items()}
        said = message_of(error.body, (self._key,))
        try:
            check_status(WHO, error.status_code or 0, said, headers.get("retry-after"))
        except RerankError as fault:
            return fault
        # The client raises on status 200 where the body is not JSON.
        return RerankError(f"{WHO} answered with something that is not JSON")

    def _count(self, answer: Any) -> None:
        billed = getattr(getattr(answer, "meta", None), "billed_units", None)
        with self._lock:
            self._units += float(getattr(billed, "search_units", None) or 0)


def _results(answer: Any) -> list[Any]:
    results = getattr(answer, "results", None)
    if not isinstance(results, list):
        raise RerankError(f"{WHO} gave an answer without scores")
    return results


def _client_module() -> Any:
    try:
        return import_module("cohere")
    except ImportError as error:
        raise ModelError(
            'Cohere\'s client is not installed. Install it with: pip install "second-look[cohere]"'
        ) from error
