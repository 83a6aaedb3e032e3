"""Rerankers, one file a kind. A new one is a file and a line of `_KINDS`."""

from __future__ import annotations

from importlib import import_module

from ingest.errors import ModelError
from ingest.models import ResolvedModel
from rerank.scorers.base import Scorer, Scores

__all__ = ["Scorer", "Scores", "open_scorer"]

# architecture → where it is made; imported when it is used, because torch takes seconds to import.
_KINDS = {
    "cross-encoder": "rerank.scorers.engine:open_cross_encoder",
    "onnx-cross-encoder": "rerank.scorers.onnx_cross_encoder:OnnxCrossEncoderScorer",
    "late-interaction": "rerank.scorers.late_interaction:LateInteractionScorer",
}


def open_scorer(model: ResolvedModel) -> Scorer:
    """Load the reranker of this model. Raises `ModelError` where it cannot be loaded."""
    place = _KINDS.get(model.spec.architecture)
    if place is None:
        raise ModelError(
            f"No reranker is known for the architecture “{model.spec.architecture}” of {model.name}."
        )
    module, name = place.split(":")
    scorer: Scorer = getattr(import_module(module), name)(model)
    return scorer
