"""Cohere's rerank models, by the official client, which is an extra: pip install "second-look[cohere]"."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ingest.costs import charge
from ingest.errors import ModelError, ServiceError
from ingest.models import ResolvedModel
from ingest.service_access import ServiceAccess
from ingest.services import check_status, message_of, not_json, too_slow, unreachable
from rerank.scorers.base import Options, Scorer
from rerank.scorers.services import Rows, ServiceScorer


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
                f"The reranker {self._model.name} needs a key of Cohere. Put it into the environment as "
                "COHERE_API_KEY, or, for the page, into Streamlit's secrets under that name."
            )
        self._key = access.cohere_key
        self._transport = import_module("httpx")
        self._client = client.ClientV2(
            api_key=self._key, base_url=self._model.spec.revision,
            # A redirect would carry passages elsewhere.
            httpx_client=self._transport.Client(follow_redirects=False),
        )  # fmt: skip
        self._errors = (import_module("cohere.core.api_error").ApiError,)

    def _rows(self, query: str, passages: list[str], seconds: float) -> Rows:
        # The client's own retries know no limit of time for all of them together.
        options = {"timeout_in_seconds": max(1, int(seconds)), "max_retries": 0}
        try:
            answer = self._client.rerank(
                model=self._asked, query=query, documents=passages, top_n=len(passages),
                request_options=options,
            )  # fmt: skip
        except self._transport.TimeoutException as error:
            raise too_slow(self._who, self._patience) from error
        except self._transport.TransportError as error:
            raise unreachable(self._who, error) from error
        except self._errors as error:
            raise self._fault(error) from error
        billed = getattr(getattr(answer, "meta", None), "billed_units", None)
        charge(self._model.name, "search unit", float(getattr(billed, "search_units", None) or 0))
        results = getattr(answer, "results", None)
        if not isinstance(results, list):
            raise ServiceError(f"{self._who} gave an answer without scores")
        return [(getattr(row, "index", None), getattr(row, "relevance_score", None)) for row in results]

    def _fault(self, error: Any) -> ServiceError:
        """What Cohere's error means here."""
        headers = {str(name).lower(): str(value) for name, value in (error.headers or {}).items()}
        said = message_of(error.body, (self._key,))
        try:
            check_status(self._who, error.status_code or 0, said, headers.get("retry-after"))
        except ServiceError as fault:
            return fault
        # The client raises on what is no JSON, though the status is 200.
        return not_json(self._who, headers.get("content-type"))


def _client_module() -> Any:
    try:
        return import_module("cohere")
    except ImportError as error:
        raise ModelError(
            'Cohere\'s client is not installed. Install it with: pip install "second-look[cohere]"'
        ) from error
