"""Rerankers behind a service as models: their names and their addresses.

``cohere`` and ``cohere:MODEL`` are Cohere's, ``server`` and ``server:MODEL`` those of a server known by its address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ingest.models.consent import served
from ingest.models.resolve import ModelKind, ModelSpec, ResolvedModel
from ingest.services.access import COHERE_URL, Service, ServiceAccess, checked_address

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
