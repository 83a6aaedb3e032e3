"""Late interaction: MaxSim over the token vectors of a bi-encoder (Khattab & Zaharia 2020).

Score = mean over the query's tokens of the highest cosine that any token of the passage reaches. Needs
no training, and with an encoder that was not trained for it, it does no better than the bi-encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ingest.encoders.base import counting_tokenizer
from ingest.encoders.special_tokens import PlainText
from ingest.library.token_vectors import TokenStore
from ingest.models.loading import load_sentence_model
from ingest.models.spec import ModelKind, ResolvedModel
from rerank.scorers.base import Options, PassageTokens, Scorer
from rerank.scorers.maxsim import LateInteraction

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


def open_reranker(model: ResolvedModel, options: Options) -> Scorer:
    """Late interaction over the encoder in the model's folder; raises as `LateInteractionScorer` does."""
    return LateInteractionScorer(model, store=options.token_store)


class LateInteractionScorer(LateInteraction):
    """MaxSim with the token vectors of any sentence-transformers encoder, longest passages first."""

    def __init__(
        self, model: ResolvedModel, device: str | None = None, store: TokenStore | None = None
    ) -> None:
        """Load the encoder in ``model.folder``; ``store`` as in `LateInteraction`."""
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # type: ignore[no-untyped-call]
        super().__init__(model, store)
        self._encoder = load_sentence_model(SentenceTransformer, model.folder, device=device)
        self._encoder.max_seq_length = model.spec.max_length
        self._tokenizer = counting_tokenizer(model)
        self._plain = PlainText(self._tokenizer)

    def room(self, query: str) -> int:
        """Tokens of a passage that are read; ``query`` is read by itself and takes none of them."""
        return self._model.spec.max_length - self._tokenizer.num_special_tokens_to_add(False)

    def fits(self, passages: Sequence[str]) -> NDArray[np.bool_]:
        """Of which passages (n,) the model reads the end."""
        return self._lengths(passages) <= self._model.spec.max_length

    def encode(self, passages: Sequence[str]) -> Iterator[tuple[list[int], list[PassageTokens]]]:
        """Batches of passages, the longest first: their places in ``passages``, and their tokens' vectors."""
        lengths, limit = self._lengths(passages), self._model.spec.max_length
        order = np.argsort(-lengths, kind="stable").tolist()
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            prefix, texts = (
                self._model.spec.passage_prefix,
                self._plain.of_all([passages[row] for row in rows]),
            )
            batch = self._token_vectors([prefix + text for text in texts])
            yield (
                rows,
                [
                    PassageTokens(vectors, min(int(lengths[row]), limit), bool(lengths[row] > limit))
                    for row, vectors in zip(rows, batch, strict=True)
                ],
            )

    def _lengths(self, passages: Sequence[str]) -> NDArray[np.int64]:
        """Tokens (n,) of each passage as a whole, special ones included."""
        encodings = self._tokenizer.encode_batch(self._plain.of_all(passages))
        return np.array([len(encoding.ids) for encoding in encodings], np.int64)

    def _query_vectors(self, query: str) -> NDArray[np.float32]:
        """Unit vectors (asked, dim) divided by their number, so that the sum over them is a mean."""
        vectors = self._token_vectors([self._model.spec.query_prefix + self._plain.of(query)])[0]
        return vectors / np.float32(len(vectors))

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
