"""Bi-encoders behind OpenAI's embeddings route, as models: their names, dimensions and addresses.

``openai:MODEL`` is OpenAI's, ``server:MODEL`` that of a server that speaks the same protocol (vLLM, Infinity, Text
Embeddings Inference, Ollama). ``@N`` behind either asks for vectors of N numbers, which only some models can shorten;
it is a part of the name, so that a library remembers it. OpenAI's known models need no ``openai:``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ingest.errors import ModelError
from ingest.models.consent import served
from ingest.models.encoders import ENCODER_ALIASES, ENCODERS, prefixes_of
from ingest.models.spec import ModelKind, ModelSpec, ResolvedModel
from ingest.services.access import OPENAI_URL, Service, ServiceAccess, checked_address

OPENAI, SERVER = "openai", "server"
# Dimensions of OpenAI's models (https://developers.openai.com/api/docs/guides/embeddings).
OPENAI_DIMENSIONS: Mapping[str, int] = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
}
DEFAULT_OPENAI = "text-embedding-3-small"
OPENAI_TOKENS = 8192


def served_encoder(name: str, access: ServiceAccess) -> ResolvedModel | None:
    """The encoder of that name behind a service; ``None`` where the name is none of a service.

    Its ``dim`` is ``None`` where only the server knows it. Raises `ModelError` for dimensions that cannot be, and where
    a server is asked for and ``access`` has no address of one that can be used.
    """
    if not is_served_name(name):
        return None
    if _is_openais(name):
        name = f"{OPENAI}:{name}"
    service, _, rest = name.partition(":")
    model, dimensions = split_name(rest)
    if service == OPENAI:
        return served(_openai(model or DEFAULT_OPENAI, dimensions, access))
    return served(_server(model, dimensions, access))


def is_served_name(name: str) -> bool:
    """Whether an encoder of that name is behind a service."""
    return name.partition(":")[0] in (OPENAI, SERVER) or _is_openais(name)


def _is_openais(name: str) -> bool:
    """Whether it is one of OpenAI's models that are known well enough to be typed without ``openai:``."""
    return name.partition("@")[0] in OPENAI_DIMENSIONS


def split_name(rest: str) -> tuple[str, int | None]:
    """The model's own name and the dimensions asked for, of what stands behind the colon.

    Raises `ModelError` where what stands behind the @ is no number of dimensions.
    """
    model, at, digits = rest.rpartition("@")
    if not at:
        return rest, None
    if not re.fullmatch(r"[0-9]{1,5}", digits) or int(digits) < 1:
        raise ModelError(
            f"“{digits}” is no number of dimensions. For vectors of 512 numbers, write openai:{DEFAULT_OPENAI}@512."
        )
    return model, int(digits)


def _openai(model: str, dimensions: int | None, access: ServiceAccess) -> ModelSpec:
    whole = OPENAI_DIMENSIONS.get(model)
    if whole is not None and dimensions is not None and dimensions > whole:
        raise ModelError(f"{model} gives vectors of at most {whole} numbers; {dimensions} were asked for.")
    return ModelSpec(
        name=f"{OPENAI}:{model}{f'@{dimensions}' if dimensions else ''}",
        kind=ModelKind.ENCODER,
        architecture="bi-encoder",
        revision=checked_address(access.openai_url, Service.OPENAI, OPENAI_URL),
        licence="OpenAI's terms of use; what is read is billed",
        max_length=OPENAI_TOKENS,
        dim=dimensions or whole,
        languages="many languages; OpenAI names none",
    )


def _server(model: str, dimensions: int | None, access: ServiceAccess) -> ModelSpec:
    """A model on a server: what is known of it by its name, with the server's address."""
    if not model:
        raise ModelError("The server's model is not named. Say which one with server:MODEL.")
    address = checked_address(access.embed_url, Service.EMBEDDINGS_SERVER, "http://localhost:8000/v1")
    address = address.removesuffix("/embeddings")
    known_spec = ENCODERS.get(ENCODER_ALIASES.get(model, model))
    query, passage = prefixes_of(model)
    spec = known_spec or ModelSpec(
        "", ModelKind.ENCODER, "bi-encoder", "", "see the server's model", 512,
        query_prefix=query, passage_prefix=passage, languages="see the server's model",
    )  # fmt: skip
    return replace(
        spec,
        name=f"{SERVER}:{model}{f'@{dimensions}' if dimensions else ''}",
        revision=address if re.search(r"/v\d+$", address) else f"{address}/v1",
        dim=dimensions or spec.dim,
    )
