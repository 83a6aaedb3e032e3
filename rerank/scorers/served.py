"""Rerankers behind a service as models: their names, their addresses, and what a person should know first.

``cohere`` and ``cohere:MODEL`` are Cohere's, ``server`` and ``server:MODEL`` those of a server known by its address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ingest.errors import ModelError
from ingest.models import ModelKind, ModelSource, ModelSpec, ResolvedModel
from rerank.scorers.services import ServiceAccess

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
# No file of a served model is on this machine, and nothing can lie in this "folder".
NO_FOLDER = Path(os.devnull)


def served_model(name: str, access: ServiceAccess) -> ResolvedModel | None:
    """The model of that name behind a service; ``None`` where the name is none of a service.

    Raises `ModelError` where a server is asked for and ``access`` has no address of one that can be used.
    """
    service, _, model = name.partition(":")
    if service == COHERE:
        return _cohere(model or DEFAULT_COHERE, access)
    return _server(model or access.model, access) if service == SERVER else None


def _cohere(model: str, access: ServiceAccess) -> ResolvedModel:
    return ResolvedModel(
        ModelSpec(
            name=f"{COHERE}:{model}",
            kind=ModelKind.RERANKER,
            architecture=COHERE,
            revision=access.cohere_url,
            licence="Cohere's terms of use; each question is billed",
            max_length=COHERE_MODELS.get(model, 4096),
            languages="English" if "english" in model else "over 100 languages",
        ),
        ModelSource.SERVICE,
        NO_FOLDER,
    )


def _server(model: str, access: ServiceAccess) -> ResolvedModel:
    return ResolvedModel(
        ModelSpec(
            name=f"{SERVER}:{model}" if model else SERVER,
            kind=ModelKind.RERANKER,
            architecture="rerank-server",
            revision=rerank_address(access.url),
            licence="see the server's model",
            max_length=512,
            languages="see the server's model",
        ),
        ModelSource.SERVICE,
        NO_FOLDER,
    )


def rerank_address(url: str) -> str:
    """The address of the rerank route: ``url`` as it is where it names one, else with ``/v1/rerank`` behind it.

    Raises `ModelError` for what is no address of a server, and for one with a password, which would be shown.
    """
    if not url.strip():
        raise ModelError(
            "No rerank server is named. Set SECONDLOOK_RERANK_URL to its address, http://localhost:8000/v1/rerank say."
        )
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ModelError(f"SECONDLOOK_RERANK_URL is no address of a server: {error}.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ModelError(
            "SECONDLOOK_RERANK_URL is no address of a server; it begins with http:// or https://."
        )
    if "@" in parts.netloc or parts.query:
        raise ModelError(
            "SECONDLOOK_RERANK_URL holds a password or a query, and addresses are shown. Put the key into "
            "SECONDLOOK_RERANK_KEY, where it is not."
        )
    path = parts.path.rstrip("/")
    if not path.endswith("/rerank"):
        path += "/rerank" if re.search(r"/v\d+$", path) else "/v1/rerank"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"


def is_service(model: ResolvedModel) -> bool:
    """Whether the model runs behind a service, so that passages are sent to it."""
    return model.source is ModelSource.SERVICE


def privacy_notice(model: ResolvedModel) -> str | None:
    """What a person must know before the first call; ``None`` for a model that runs in this process."""
    if not is_service(model):
        return None
    host = urlsplit(model.spec.revision).hostname or ""
    if host in {"localhost", "127.0.0.1", "::1"}:
        return f"{model.name} is a server on this machine: the question and the passages found for it are sent there."
    return (
        f"The question and the passages found for it leave this machine: {model.name} reads them at {host}. "
        "Choose another reranker for documents that must stay here."
    )
