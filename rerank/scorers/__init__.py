"""Rerankers, one file a kind. A new one is a file and a line of `_KINDS`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ingest.errors import ModelError
from ingest.models import ResolvedModel
from rerank.scorers.base import Scorer, Scores
from rerank.scorers.served import is_service
from rerank.scorers.services import ServiceAccess

__all__ = ["Scorer", "Scores", "ServiceAccess", "open_scorer"]

# architecture → where it is made; imported when it is used, because torch takes seconds to import.
_KINDS = {
    "cross-encoder": "rerank.scorers.engine:open_cross_encoder",
    "onnx-cross-encoder": "rerank.scorers.engine:open_cross_encoder",
    "late-interaction": "rerank.scorers.late_interaction:LateInteractionScorer",
    "monot5": "rerank.scorers.monot5:MonoT5Scorer",
    "colbert": "rerank.scorers.colbert:ColbertScorer",
    "rerank-server": "rerank.scorers.rerank_server:RerankServerScorer",
    "cohere": "rerank.scorers.cohere:CohereScorer",
}


def open_scorer(
    model: ResolvedModel, engine: str = "auto", wait: bool = True, access: ServiceAccess | None = None
) -> Scorer:
    """Load the reranker of this model. Raises `ModelError` where it cannot be loaded.

    ``engine`` is one of `rerank.scorers.engine.ENGINES`, and without ``wait`` nothing is measured first; only
    cross-encoders have a choice of engines. ``access`` holds the keys to rerankers behind a service.
    """
    place = _KINDS.get(model.spec.architecture)
    if place is None:
        raise ModelError(
            f"No reranker is known for the architecture “{model.spec.architecture}” of {model.name}."
        )
    module, name = place.split(":")
    options: dict[str, Any] = {}
    if module == "rerank.scorers.engine":
        options = {"wanted": engine, "wait": wait}
    elif is_service(model):
        options = {"access": access or ServiceAccess()}
    scorer: Scorer = getattr(import_module(module), name)(model, **options)
    return scorer
