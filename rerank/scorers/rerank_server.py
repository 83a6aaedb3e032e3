"""Rerankers behind a server, in the two shapes that servers speak.

`/v1/rerank` (Jina, vLLM, Infinity, LiteLLM, Cohere's own): ``documents`` in, ``results`` with ``relevance_score`` out.
`/rerank` of Text Embeddings Inference: ``texts`` in, a list with ``score`` out.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions

from ingest.errors import ServiceError
from ingest.models import ResolvedModel
from ingest.service_access import ServiceAccess, checked_key
from ingest.services import (
    check_status,
    message_of,
    not_json,
    parsed,
    read_answer,
    too_slow,
    unreachable,
)
from rerank.scorers.base import Options, Scorer
from rerank.scorers.services import Rows, ServiceScorer

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

    def rows(self, who: str, answer: object) -> Rows:
        """Index and score of each row of an answer. Raises `ServiceError` where it has no rows."""
        rows = answer if self.is_tei else answer.get("results") if isinstance(answer, dict) else None
        score = "score" if self.is_tei else "relevance_score"
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ServiceError(
                f"{who} gave an answer without scores; check that its address is that of a rerank route"
            )
        return ((row.get("index"), row.get(score)) for row in rows)


def open_reranker(model: ResolvedModel, options: Options) -> Scorer:
    """The model of this name behind its server; raises as `RerankServerScorer` does."""
    return RerankServerScorer(model, options.access)


class RerankServerScorer(ServiceScorer):
    """Scores passages by asking the server whose address is the model's ``revision``."""

    def _prepare(self, access: ServiceAccess) -> None:
        address = urlsplit(self._model.spec.revision)
        self._shape = Shape.of(address.path)
        self._who, self._batch = f"the rerank server at {address.netloc}", self._shape.batch
        self._key = checked_key(access.key, "SECONDLOOK_RERANK_KEY")
        self._pool = urllib3.PoolManager()

    def _rows(self, query: str, passages: list[str], seconds: float) -> Rows:
        body = self._shape.request(self._asked, query, passages)
        return self._shape.rows(self._who, self._ask(json.dumps(body, ensure_ascii=False).encode(), seconds))

    def _ask(self, payload: bytes, seconds: float) -> object:
        """The server's answer to one attempt, parsed."""
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
                "POST", self._model.spec.revision, body=payload, headers=headers,
                timeout=urllib3.Timeout(max(seconds, 0.001)), retries=False, preload_content=False,
            )  # fmt: skip
            raw = self._read(response, deadline)
        except (exceptions.HTTPError, OSError) as error:
            # urllib3 counts a refused connection among the timeouts, but it takes no time and may pass.
            refused = isinstance(error, exceptions.NewConnectionError)
            if isinstance(error, exceptions.TimeoutError) and not refused:
                raise too_slow(self._who, self._patience) from None
            raise unreachable(self._who, error) from None
        return self._checked(response, raw)

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        """The whole body, within the time that is left."""
        pieces = iter(lambda: response.read1(65536), b"")
        try:
            raw = read_answer(self._who, pieces, deadline, self._patience, LARGEST_ANSWER)
        except ServiceError:
            response.close()  # what is left unread must not be the next request's answer
            raise
        response.release_conn()
        return raw

    def _checked(self, response: urllib3.BaseHTTPResponse, raw: bytes) -> object:
        answer = parsed(raw)
        said = message_of(answer, (self._key,))
        check_status(self._who, response.status, said, response.headers.get("Retry-After"))
        if answer is None:
            raise not_json(self._who, response.headers.get("Content-Type"))
        return answer
