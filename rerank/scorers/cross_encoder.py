"""Any sentence-transformers cross-encoder on torch: query and passage read together, one logit a pair."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder
from transformers.utils.logging import disable_progress_bar

from ingest.encoders.base import counting_tokenizer
from ingest.encoders.special_tokens import PlainText
from ingest.errors import ModelError
from ingest.models.loading import load_sentence_model
from ingest.models.spec import ResolvedModel
from rerank.scorers.base import OnBatch, Options, Scorer, Scores, empty_scores, pair_room
from rerank.scorers.heads import quietly, require_head

# Pairs a batch, cut from the list sorted by length: unsorted batches spend 40 % of their work on padding. A GPU
# is only busy with more. Long ones are fewer, so that a batch has no more tokens than one of pairs of 512: 16 of the
# 8,192 that bge-reranker-v2-m3 reads would need gigabytes.
CPU_BATCH, GPU_BATCH = 16, 64
USUAL_LENGTH = 512


def open_reranker(model: ResolvedModel, _: Options) -> Scorer:
    """The model as it is, on torch. `rerank.factory.open_scorer` looks for a faster engine first."""
    return CrossEncoderScorer(model)


class CrossEncoderScorer(Scorer):
    """Scores pairs with `sentence_transformers.CrossEncoder`, longest pairs first; logits are fp32 in any case."""

    def __init__(
        self, model: ResolvedModel, device: str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        """Load from ``model.folder``. Raises `ModelError` if it is not a cross-encoder with one output, or has no
        weights for that.

        ``device`` ``None`` is the fastest that torch finds. ``dtype`` ``None`` is half precision on CUDA and ROCm,
        where it is several times as fast, and fp32 elsewhere.
        """
        disable_progress_bar()  # type: ignore[no-untyped-call]
        self._model = model
        self._lock = threading.Lock()
        # Logits are wanted as they are, whatever the model's default says.
        self._identity = torch.nn.Identity()
        with quietly():
            self._cross_encoder = load_sentence_model(
                CrossEncoder, model.folder, device=device, max_length=model.spec.max_length
            )
        network = self._cross_encoder.model
        if network is None:
            raise ModelError(
                f"The model {model.name} in {model.folder} has no transformer; choose a reranker."
            )
        require_head(model, network, network.base_model_prefix)
        labels = self._cross_encoder.num_labels
        if labels != 1:
            raise ModelError(
                f"The model {model.name} gives {labels} numbers a pair; a reranker gives one. It was probably made for "
                "classification; choose a reranker."
            )
        on_gpu = self._cross_encoder.device.type == "cuda"  # ROCm's name too
        self._batch = GPU_BATCH if on_gpu else CPU_BATCH
        self._cross_encoder.to(dtype or (torch.float16 if on_gpu else torch.float32))
        self._tokenizer = counting_tokenizer(model)
        self._plain = PlainText(self._tokenizer)

    @property
    def model(self) -> ResolvedModel:
        """Which model this is."""
        return self._model

    def room(self, query: str) -> int:
        """Tokens of a passage that are read beside ``query``, at least half of what the model reads."""
        return pair_room(self._tokenizer, self._plain.of(query), self._model.spec.max_length)

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage; shapes as in `Scores`."""
        if not passages:
            return empty_scores()
        # `CrossEncoder.predict` itself reads special tokens in what it is given.
        query, passages = self._plain.of(query), self._plain.of_all(passages)
        tokens = self._token_counts(query, passages)
        logits = np.empty(len(passages), dtype=np.float32)
        order = np.argsort(-tokens, kind="stable")
        limit = self._model.spec.max_length
        start = 0
        while start < len(order):
            longest = min(int(tokens[order[start]]), limit)
            rows = order[start : start + batch_size(longest, self._batch)]
            start += len(rows)
            logits[rows] = self._predict([(query, passages[row]) for row in rows])
            if on_batch is not None:
                on_batch(len(rows))
        return Scores(logits, np.minimum(tokens, limit), tokens > limit)

    def _predict(self, pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
        with self._lock:  # fast tokenizers raise "Already borrowed" when two threads use one
            logits = self._cross_encoder.predict(
                pairs,
                batch_size=self._batch,
                activation_fn=self._identity,
                convert_to_tensor=True,
                show_progress_bar=False,
            )
        values: NDArray[np.float32] = logits.float().cpu().numpy()  # bfloat16 has no NumPy type
        return values

    def _token_counts(self, query: str, passages: Sequence[str]) -> NDArray[np.int64]:
        encodings = self._tokenizer.encode_batch([(query, passage) for passage in passages])
        return np.array([len(encoding.ids) for encoding in encodings], dtype=np.int64)


def batch_size(longest: int, most: int) -> int:
    """How many pairs go into a batch whose longest has so many tokens: ``most`` of usual ones, at least one."""
    return max(1, min(most, most * USUAL_LENGTH // max(longest, 1)))
