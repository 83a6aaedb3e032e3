"""Rerankers behind a server, in the two shapes that servers speak.

`/v1/rerank` (Jina, vLLM, LiteLLM, Cohere's own), or `/rerank` (Infinity, and vLLM and LiteLLM besides): ``documents``
in, ``results`` with ``relevance_score`` out. `/rerank` of Text Embeddings Inference: ``texts`` in, a list with
``score`` out.
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
from ingest.models.consent import leaves_machine
from ingest.models.spec import ResolvedModel
from ingest.services.access import Service, ServiceAccess, checked_key
from ingest.services.billing import charge
from ingest.services.client import (
    by_index,
    check_status,
    message_of,
    not_json,
    parsed,
    read_answer,
    slices,
    too_slow,
    unreachable,
    urllib3_pools,
    within,
)
from rerank.scorers.base import Options, Scorer
from rerank.scorers.services import Rows, ServiceScorer

LARGEST_ANSWER = 8 * 2**20
# Where answers say what was counted, and in which unit: Jina's, and those in Cohere's form.
COUNTED = ((("usage", "total_tokens"), "token"), (("meta", "billed_units", "search_units"), "search unit"))


# What a server answers whose route or shape is another one.
ELSEWHERE = frozenset({404, 405, 422})
# Cut off an address, these leave where the server's other rerank route may be.
_ROUTE = re.compile(r"(/v\d+)?/rerank$")


@dataclass(frozen=True, slots=True)
class Shape:
    """How a server is asked: where, ``batch`` passages at most a request, and whether it is TEI's shape."""

    address: str
    batch: int
    is_tei: bool

    @classmethod
    def of(cls, address: str) -> tuple[Shape, ...]:
        """The shapes that may be behind an address, the likely one first.

        Plain ``/rerank`` is TEI's, or that of a server that takes ``documents`` there (vLLM and LiteLLM do besides
        ``/v1/rerank``, Infinity has no other). TEI takes 32 passages at once unless it was started
        otherwise.
        """
        if re.search(r"/v\d+/rerank$", address):
            plain = _ROUTE.sub("/rerank", address)
            return cls(address, 100, False), cls(plain, 100, False), cls(plain, 32, True)
        return cls(address, 32, True), cls(address, 100, False)

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


class WrongRouteError(ServiceError):
    """A refusal after which another route or shape of the same server is worth a try."""


class RerankServerScorer(ServiceScorer):
    """Scores passages by asking the server whose address is the model's ``revision``."""

    def _prepare(self, access: ServiceAccess) -> None:
        address = self._model.spec.revision
        self._shapes = Shape.of(address)
        self._who, self._batch = f"the rerank server at {urlsplit(address).netloc}", self._shapes[0].batch
        self._key = checked_key(access.key, Service.RERANK_SERVER)
        self._pool: urllib3.PoolManager = urllib3_pools()

    def _rows(self, query: str, passages: list[str], seconds: float) -> Rows:
        """As `ServiceScorer`'s; where the route or the shape is another one, that is found out, once."""
        deadline = time.monotonic() + seconds
        refused: ServiceError | None = None
        shapes = self._shapes
        for shape in shapes:
            try:
                rows = self._rows_of(shape, query, passages, deadline)
            except WrongRouteError as error:
                refused = refused or error  # the first one speaks of the address as it was given
                continue
            if shape is not shapes[0]:
                self._shapes, self._batch = (shape,), shape.batch
            return rows
        raise refused or ServiceError(f"{self._who} has no rerank route")

    def _rows_of(self, shape: Shape, query: str, passages: list[str], deadline: float) -> Rows:
        """The rows of all ``passages``, in as many requests as the shape needs: another's batches may be larger."""
        pairs: list[tuple[object, object]] = []
        for rows in slices(len(passages), shape.batch):
            body = shape.request(self._asked, query, passages[rows])
            payload = json.dumps(body, ensure_ascii=False).encode()
            answer = self._ask(shape.address, payload, deadline)
            # Within its own request, so that no index reaches into another's passages.
            count = len(passages[rows])
            scores = by_index(self._who, shape.rows(self._who, answer), count, "score")
            pairs += enumerate(scores, rows.start)
            self._charge(answer)
        return pairs

    def _charge(self, answer: object) -> None:
        """Note what the service says it counted, Jina's tokens say; a server on this machine bills nobody."""
        if not isinstance(answer, dict) or not leaves_machine(self._model):
            return
        for names, unit in COUNTED:
            part: object = answer
            for name in names:
                part = part.get(name) if isinstance(part, dict) else None
            charge(self._model.name, unit, part)

    def _ask(self, address: str, payload: bytes, deadline: float) -> object:
        """The server's answer to one request, parsed."""
        with within(self._who, deadline, self._patience):
            return self._asked_once(address, payload, deadline)

    def _asked_once(self, address: str, payload: bytes, deadline: float) -> object:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "second-look",
        }
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        seconds = deadline - time.monotonic()
        try:
            # retries=False: neither repeated nor redirected here. A redirect would carry passages elsewhere.
            response = self._pool.request(
                "POST", address, body=payload, headers=headers,
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
            return read_answer(self._who, pieces, deadline, self._patience, LARGEST_ANSWER)
        finally:
            response.close()  # only new connections are watched
            response.release_conn()

    def _checked(self, response: urllib3.BaseHTTPResponse, raw: bytes) -> object:
        answer = parsed(raw)
        message = message_of(answer, (self._key,))
        try:
            check_status(self._who, response.status, message, response.headers.get("Retry-After"))
        except ServiceError as fault:
            if response.status in ELSEWHERE:
                raise WrongRouteError(str(fault)) from None
            raise
        if answer is None:
            raise not_json(self._who, response.headers.get("Content-Type"))
        return answer
