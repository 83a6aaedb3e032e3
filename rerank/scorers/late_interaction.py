"""Late interaction: MaxSim over the token vectors of a bi-encoder (Khattab & Zaharia 2020).

Score = mean over the query's tokens of the highest cosine that any token of the passage reaches. Needs
no training, and with an encoder that was not trained for it, it does no better than the bi-encoder.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ingest.encoder import counting_tokenizer
from ingest.errors import ModelError
from ingest.models import ModelKind, ResolvedModel
from rerank.scorers.base import OnBatch, Options, Scorer, Scores, empty_scores

BATCH = 16


def late_interaction_of(encoder: ResolvedModel) -> ResolvedModel:
    """The late-interaction reranker that an encoder's token vectors make."""
    spec = replace(
        encoder.spec,
        name=f"MaxSim over {encoder.name}",
        kind=ModelKind.RERANKER,
        architecture="late-interaction",
    )
    return replace(encoder, spec=spec)


def open_reranker(model: ResolvedModel, _: Options) -> Scorer:
    """Late interaction over the encoder in the model's folder; raises as `LateInteractionScorer` does."""
    return LateInteractionScorer(model)


class LateInteractionScorer:
    """MaxSim with the token vectors of any sentence-transformers encoder, longest passages first."""

    def __init__(self, model: ResolvedModel, device: str | None = None) -> None:
        """Load the encoder in ``model.folder``."""
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # type: ignore[no-untyped-call]
        self._model = model
        self._lock = threading.Lock()
        try:
            self._encoder = SentenceTransformer(str(model.folder), device=device, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"The encoder {model.name} in {model.folder} cannot be loaded: {error}"
            ) from error
        self._encoder.max_seq_length = model.spec.max_length
        self._tokenizer = counting_tokenizer(model)

    @property
    def model(self) -> ResolvedModel:
        """Which model this is."""
        return self._model

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage; shapes as in `Scores`."""
        if not passages:
            return empty_scores()
        tokens = np.array(
            [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(passages))], np.int64
        )
        logits = np.empty(len(passages), dtype=np.float32)
        order = np.argsort(-tokens, kind="stable")
        wanted = self._token_vectors([self._model.spec.query_prefix + query])[0]
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            batch = self._token_vectors([self._model.spec.passage_prefix + passages[row] for row in rows])
            logits[rows] = [float((wanted @ vectors.T).max(axis=1).mean()) for vectors in batch]
            if on_batch is not None:
                on_batch(len(rows))
        limit = self._model.spec.max_length
        return Scores(logits, np.minimum(tokens, limit), tokens > limit)

    def _token_vectors(self, texts: list[str]) -> list[NDArray[np.float32]]:
        """Unit vectors of each text's tokens: one array of shape (tokens, dim) a text."""
        with self._lock:
            raw = self._encoder.encode(
                texts, batch_size=BATCH, output_value="token_embeddings", show_progress_bar=False
            )
        arrays = [np.asarray(vectors.float().cpu().numpy(), dtype=np.float32) for vectors in raw]
        return [
            vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12) for vectors in arrays
        ]
