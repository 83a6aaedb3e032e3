"""Services outside this process: where they are, the keys to them, and whether text may be sent there.

Nothing leaves this machine unless a person allowed it: a model behind a service elsewhere cannot even be opened before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ingest.errors import ConsentNeededError, ModelError
from ingest.model_records import ModelKind, ModelSource, ModelSpec, ResolvedModel

COHERE_URL = "https://api.cohere.com"
OPENAI_URL = "https://api.openai.com/v1"
# A server by one of these names is this machine: what is sent there does not leave it.
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
# In place of a host: text may be sent to whichever service is chosen.
ANYWHERE = "*"
# No file of a served model is on this machine, and nothing can lie in this "folder".
NO_FOLDER = Path(os.devnull)


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """Where models outside this process are, the keys to them, which no ``repr`` shows, and what may be sent where.

    ``url`` and ``model`` are those of a server with a rerank route, ``embed_url`` is that of one with OpenAI's
    embeddings route; ``key`` and ``embed_key`` are what they ask for as a bearer token. ``allowed`` holds the hosts to
    which text may be sent, or `ANYWHERE`.
    """

    url: str = ""
    model: str = ""
    key: str = field(default="", repr=False)
    cohere_key: str = field(default="", repr=False)
    cohere_url: str = COHERE_URL
    embed_url: str = ""
    embed_key: str = field(default="", repr=False)
    openai_key: str = field(default="", repr=False)
    openai_url: str = OPENAI_URL
    allowed: frozenset[str] = frozenset()


def served(spec: ModelSpec) -> ResolvedModel:
    """The model of ``spec`` as one that runs behind a service."""
    return ResolvedModel(spec, ModelSource.SERVICE, NO_FOLDER)


def is_service(model: ResolvedModel) -> bool:
    """Whether the model runs behind a service, so that text is sent to it."""
    return model.source is ModelSource.SERVICE


def host_of(model: ResolvedModel) -> str:
    """The host of the service that a served model runs behind."""
    return urlsplit(model.spec.revision).hostname or ""


def leaves_machine(model: ResolvedModel) -> bool:
    """Whether what the model reads is sent to another machine."""
    return is_service(model) and host_of(model) not in LOCAL


def privacy_notice(model: ResolvedModel) -> str | None:
    """What a person must know before the first call; ``None`` for a model that runs in this process."""
    if not is_service(model):
        return None
    what = _what_is_sent(model)
    if not leaves_machine(model):
        return f"{model.name} is a server on this machine: {what} are sent there."
    kind = "encoder" if model.spec.kind is ModelKind.ENCODER else "reranker"
    return (
        f"{what[0].upper()}{what[1:]} leave this machine: {model.name} reads them at {host_of(model)}. "
        f"Choose another {kind} for documents that must stay here."
    )


def _what_is_sent(model: ResolvedModel) -> str:
    if model.spec.kind is ModelKind.ENCODER:
        return "every document that is added and every question"
    return "the question and the passages found for it"


def require_consent(model: ResolvedModel, access: ServiceAccess) -> None:
    """Raise `ConsentNeededError` for a model to which text would be sent elsewhere without anybody's leave."""
    host = host_of(model)
    if not leaves_machine(model) or access.allowed & {host, ANYWHERE}:
        return
    notice = privacy_notice(model) or ""
    how = f"--allow-services, or for good with SECONDLOOK_ALLOW_SERVICES={host} in the environment"
    raise ConsentNeededError(f"{notice} Nothing was sent yet. Allow it with {how}.", notice, host)


def checked_key(key: str, variable: str) -> str:
    """``key`` as it is; ``variable`` is where people set it.

    Raises `ModelError` for one that cannot stand in a request's header, as clients' own errors for that show the key.
    """
    if all("!" <= sign <= "~" for sign in key):
        return key
    raise ModelError(
        f"{variable} holds a key with spaces, line ends or signs beyond ASCII, which no service takes. "
        "Copy the key again."
    )


def checked_address(url: str, what: str, variable: str, key_variable: str, example: str) -> str:
    """The address of ``what``, a server, as scheme, host, port and path.

    ``variable`` is where people set it, ``key_variable`` where its key belongs, and ``example`` what one looks like.

    Raises `ModelError` for what is no such address, and for one with a password, which would be shown.
    """
    if not url.strip():
        raise ModelError(f"No {what} is named. Set {variable} to its address, {example} say.")
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ModelError(f"{variable} is no address of a server: {error}.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ModelError(f"{variable} is no address of a server; it begins with http:// or https://.")
    if "@" in parts.netloc or parts.query:
        raise ModelError(
            f"{variable} holds a password or a query, and addresses are shown. Put the key into {key_variable}, "
            "where it is not."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
