"""Rerankers behind a server, in the two shapes that servers speak.

`/v1/rerank` (Jina, vLLM, Infinity, LiteLLM, Cohere's own): ``documents`` in, ``results`` with ``relevance_score`` out.
`/rerank` of Text Embeddings Inference: ``texts`` in, a list with ``score`` out.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import urllib3
from urllib3 import exceptions

from ingest.errors import RerankError
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

LARGEST_ANSWER = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Shape:
    """How a server is asked: ``batch`` passages at most a request, and whether it is TEI's shape."""

    batch: int
    is_tei: bool

    @classmethod
    def of(cls, path: str) -> Shape:
        """The shape behind a path: TEI's where it is plain ``/rerank``, the other one where a version stands before it.

        TEI takes 32 passages unless it was started with another ``--max-client-batch-size``.
        """
        is_tei = not re.search(r"/v\d+/rerank$", path)
        return cls(32 if is_tei else 100, is_tei)

    def request(self, model: str, query: str, passages: Sequence[str]) -> dict[str, Any]:
        """The body that asks for a score of each passage."""
        if self.is_tei:
            return {"query": query, "texts": list(passages), "raw_scores": True, "truncate": True}
        return {"model": model, "query": query, "documents": list(passages), "top_n": len(passages)}

    def rows(self, who: str, answer: object) -> Iterator[tuple[object, object]]:
        """Index and score of each row of an answer. Raises `RerankError` where it has no rows."""
        rows = answer if self.is_tei else answer.get("results") if isinstance(answer, dict) else None
        score = "score" if self.is_tei else "relevance_score"
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise RerankError(
                f"{who} gave an answer without scores; check that its address is that of a rerank route"
            )
        return ((row.get("index"), row.get(score)) for row in rows)


class RerankServerScorer:
    """Scores passages by asking a server, in batches; many threads may ask at once."""

    def __init__(
        self,
        model: ResolvedModel,
        access: ServiceAccess,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        """Nothing is sent yet. The model's ``revision`` is the address, what follows the colon of its name is asked."""
        self._model = model
        self._address = model.spec.revision
        self._shape = Shape.of(urlsplit(self._address).path)
        self._asked = model.name.partition(":")[2]
        self._key = access.key
        self._patience = patience
        self._pool = urllib3.PoolManager()
        self._who = f"the rerank server at {urlsplit(self._address).netloc}"

    @property
    def model(self) -> ResolvedModel:
        """Which model is asked for, and where."""
        return self._model

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage. What the server read of it is not known: ``tokens`` are 0, nothing is ``truncated``.

        Raises `RerankError` where the server cannot be reached in time, refuses, or gives a broken answer.
        """
        count = len(passages)
        logits = np.empty(count, dtype=np.float32)
        for rows in slices(count, self._shape.batch):
            batch = passages[rows]
            answer = self._ask(self._shape.request(self._asked, query, batch))
            logits[rows] = scores_by_index(self._who, self._shape.rows(self._who, answer), len(batch))
            if on_batch is not None:
                on_batch(len(batch))
        return Scores(logits, np.zeros(count, np.int64), np.zeros(count, np.bool_))

    def _ask(self, body: dict[str, Any]) -> object:
        """The server's answer to one request, parsed."""
        payload = json.dumps(body, ensure_ascii=False).encode()
        return persist(partial(self._once, payload), self._patience)

    def _once(self, payload: bytes, seconds: float) -> object:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "second-look",
        }
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        deadline = time.monotonic() + seconds
        try:
            # retries=False: neither repeated nor redirected here. A redirect would carry passages elsewhere.
            response = self._pool.request(
                "POST", self._address, body=payload, headers=headers, timeout=urllib3.Timeout(max(seconds, 0.001)),
                retries=False, preload_content=False,
            )  # fmt: skip
            raw = self._read(response, deadline)
        except (exceptions.HTTPError, OSError) as error:
            # urllib3 counts a refused connection among the timeouts, but it takes no time and may pass.
            refused = isinstance(error, exceptions.NewConnectionError)
            if isinstance(error, exceptions.TimeoutError) and not refused:
                raise self._too_slow() from error
            raise PassingFaultError(f"{self._who} cannot be reached ({_reason(error)})") from error
        return self._parsed(response, raw)

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        """The whole body, within the time that is left: each read has a limit of its own, but there may be many."""
        raw = bytearray()
        try:
            while chunk := response.read1(65536):
                raw += chunk
                if len(raw) > LARGEST_ANSWER:
                    raise RerankError(f"{self._who} gave an answer of more than {LARGEST_ANSWER // 2**20} MB")
                if time.monotonic() > deadline:
                    raise self._too_slow()
        except RerankError:
            response.close()  # what is left unread must not be the next request's answer
            raise
        response.release_conn()
        return bytes(raw)

    def _parsed(self, response: urllib3.BaseHTTPResponse, raw: bytes) -> object:
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        check_status(
            self._who, response.status, message_of(answer, (self._key,)), response.headers.get("Retry-After")
        )
        if answer is None:
            kind = response.headers.get("Content-Type", "of no type").partition(";")[0]
            raise RerankError(
                f"{self._who} answered with something that is not JSON ({kind}); check its address"
            )
        return answer

    def _too_slow(self) -> RerankError:
        return RerankError(f"{self._who} did not answer within {self._patience.seconds:g} s")


def _reason(error: BaseException) -> str:
    """The innermost cause that says anything, without the addresses of objects that urllib3 puts before it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
