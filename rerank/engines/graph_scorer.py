"""A cross-encoder's graph in the cache, run under the model's name: what an engine is once it is chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ingest.models.spec import ResolvedModel
from rerank.engines.record import Engine
from rerank.engines.tuning import Threads
from rerank.scorers.onnx_cross_encoder import OnnxCrossEncoderScorer

OURS = "onnx-cross-encoder"


def is_ours(model: ResolvedModel) -> bool:
    """Whether the model is a graph already, as a training writes it."""
    return model.spec.architecture == OURS


class GraphScorer(OnnxCrossEncoderScorer):
    """A graph of ours in the cache, under the name and the spec of the model that it was made from."""

    def __init__(self, model: ResolvedModel, folder: Path, threads: Threads | None = None) -> None:
        """As `OnnxCrossEncoderScorer`, with the files of ``folder``."""
        super().__init__(replace(model, folder=folder), threads.count if threads else 0)
        self._named = model

    @property
    def model(self) -> ResolvedModel:
        """The model that the graph was made from."""
        return self._named

    @property
    def engine(self) -> str:
        """The sort of graph and the machine it was chosen for: what else scores depend on (see `Scorer.engine`)."""
        engine = Engine.read(self._model.folder)
        return f"{engine.name}, {engine.machine}" if engine else type(self).__qualname__
