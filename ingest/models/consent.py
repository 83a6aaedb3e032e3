"""Which models are behind a service, what such a one is sent, and that nobody is sent anything without leave."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from ingest.errors import ConsentNeededError
from ingest.models.spec import ModelKind, ModelSource, ModelSpec, ResolvedModel
from ingest.services.access import ANYWHERE, ServiceAccess

# No file of a served model is on this machine, and nothing can lie in this "folder".
NO_FOLDER = Path(os.devnull)


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
    raise ConsentNeededError(f"{notice} Nothing was sent yet. Allow it.", notice, host)


# A server by one of these names is this machine: what is sent there does not leave it.
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
