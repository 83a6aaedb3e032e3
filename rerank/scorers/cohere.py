"""Cohere's rerank models, by the official client, which is in the extra “cohere”."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

from ingest.errors import ModelError, ServiceError
from ingest.models.spec import ResolvedModel
from ingest.notices import Help, Remedy
from ingest.services.access import Service, ServiceAccess, checked_key
from ingest.services.billing import charge
from ingest.services.client import (
    RetryPolicy,
    check_status,
    httpx_client,
    keep_headers_unlogged,
    message_of,
    not_json,
    read_answer,
    too_slow,
    unreachable,
    within,
)
from rerank.scorers.base import Options, Scorer
from rerank.scorers.services import Rows, ServiceScorer

LARGEST_ANSWER = 8 * 2**20


def open_reranker(model: ResolvedModel, options: Options) -> Scorer:
    """Cohere's model of this name; raises as `CohereScorer` does."""
    return CohereScorer(model, options.access)


class CohereScorer(ServiceScorer):
    """Scores passages with Cohere's v2 rerank route, in [0, 1]; what was billed is charged to the open bills."""

    _who = "Cohere"
    # One search unit, which is what Cohere bills, is a query with up to 100 documents.
    _batch = 100

    def _prepare(self, access: ServiceAccess) -> None:
        client = _client_module()
        if not access.cohere_key:
            raise ModelError(
                f"The reranker {self._model.name} needs a key of Cohere. Set it.",
                Help(Remedy.SET_KEY, subject=Service.COHERE),
            )
        self._key = checked_key(access.cohere_key, Service.COHERE)
        self._transport = import_module("httpx")
        keep_headers_unlogged()
        bounded = _bounded_transport(self._who, self._patience)
        self._client = client.ClientV2(
            api_key=self._key, base_url=self._model.spec.revision,
            httpx_client=httpx_client(self._transport, self._transport.Client, transport=bounded),
        )  # fmt: skip
        self._errors = (import_module("cohere.core.api_error").ApiError,)

    def _rows(self, query: str, passages: list[str], seconds: float) -> Rows:
        with within(self._who, time.monotonic() + seconds, self._patience):
            return self._rows_once(query, passages, seconds)

    def _rows_once(self, query: str, passages: list[str], seconds: float) -> Rows:
        # The client's own retries know no limit of time for all of them together.
        options = {"timeout_in_seconds": max(seconds, 0.001), "max_retries": 0}
        try:
            answer = self._client.rerank(
                model=self._asked, query=query, documents=passages, top_n=len(passages),
                request_options=options,
            )  # fmt: skip
        # Without the client's own error: its text is all that the service said, be it the key.
        except self._transport.TimeoutException:
            raise too_slow(self._who, self._patience) from None
        except self._transport.TransportError as error:
            raise unreachable(self._who, error) from None
        except self._errors as error:
            raise self._fault(error) from None
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            # The client fills its records with whatever JSON there is, and fails where that has another form.
            raise ServiceError(f"{self._who} gave an answer that its client cannot read") from None
        billed = getattr(getattr(answer, "meta", None), "billed_units", None)
        charge(self._model.name, "search unit", getattr(billed, "search_units", None))
        results = getattr(answer, "results", None)
        if not isinstance(results, list):
            raise ServiceError(f"{self._who} gave an answer without scores")
        return [(getattr(row, "index", None), getattr(row, "relevance_score", None)) for row in results]

    def _fault(self, error: Any) -> ServiceError:
        """What Cohere's error means here."""
        headers = {str(name).lower(): str(value) for name, value in (error.headers or {}).items()}
        message = message_of(error.body, (self._key,))
        try:
            check_status(self._who, error.status_code or 0, message, headers.get("retry-after"))
        except ServiceError as fault:
            return fault
        # The client raises on what is no JSON, though the status is 200.
        return not_json(self._who, headers.get("content-type"))


def _bounded_transport(who: str, patience: RetryPolicy) -> Any:
    """What the client sends requests with: whole answers only, within the time and the size that is allowed.

    httpx's own limit is one for each read, so that an answer of a byte a second would be waited for forever.
    """
    httpx: Any = import_module("httpx")

    class Bounded(httpx.HTTPTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            deadline = time.monotonic() + request.extensions["timeout"]["read"]
            answer = super().handle_request(request)
            try:
                raw = read_answer(who, answer.iter_bytes(), deadline, patience, LARGEST_ANSWER)
            finally:
                answer.close()
            # It is unpacked already.
            packed = {"content-encoding", "content-length", "transfer-encoding"}
            headers = [(name, value) for name, value in answer.headers.items() if name not in packed]
            return httpx.Response(
                answer.status_code, headers=headers, content=raw, extensions=answer.extensions
            )

    return Bounded(limits=httpx.Limits(max_keepalive_connections=0))


def _client_module() -> Any:
    try:
        return import_module("cohere")
    except ImportError as error:
        raise ModelError(
            "Cohere's client is not installed. Install it.", Help(Remedy.INSTALL, subject="cohere")
        ) from error
