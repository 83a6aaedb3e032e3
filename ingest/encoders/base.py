"""The bi-encoder: passages and queries to unit vectors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ingest.encoders.special_tokens import PlainText
from ingest.errors import ModelError
from ingest.models.loading import in_a_sentence, load_sentence_model, read_tokenizer
from ingest.models.spec import ResolvedModel

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Passages a batch: enough to fill the cores, small enough that a Cancel is heard within a second or so.
BATCH = 32


class Encoder(Protocol):
    """What turns text into vectors. Rows are float32 of unit length, so inner product is cosine."""

    @property
    def model(self) -> ResolvedModel:
        """Which model this is."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer, without truncation or padding: for counting only."""

    def encode_passages(
        self, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Vectors of shape (n, dim), in the order given; ``on_batch`` hears how many more are done."""

    def encode_query(self, query: str) -> NDArray[np.float32]:
        """Vector of shape (dim,), the query's prefix included."""


def counting_tokenizer(model: ResolvedModel) -> Tokenizer:
    """The tokenizer in the model's folder, with truncation and padding off.

    all-MiniLM-L6-v2's file cuts at 128 tokens when it is loaded as it is.
    """
    path = model.folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(
            f"The model {model.name} has no tokenizer.json in {model.folder}; choose a model with one."
        )
    tokenizer = read_tokenizer(path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class SentenceTransformerEncoder:
    """Any sentence-transformers bi-encoder, loaded from a folder when it is first used; nothing is fetched.

    One model behind a lock: fast tokenizers raise "Already borrowed" when two threads use one.
    """

    def __init__(self, model: ResolvedModel, device: str | None = None) -> None:
        """Encode on ``device`` (sentence-transformers' choice where ``None``)."""
        self.model: Final = model
        self._device = device
        self._lock = threading.Lock()
        self._loaded: SentenceTransformer | None = None
        self.tokenizer: Tokenizer = counting_tokenizer(model)
        self._plain = PlainText(self.tokenizer)

    def encode_passages(
        self, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Vectors of shape (n, dim), in the order given, computed longest first in even batches."""
        prefix = self.model.spec.passage_prefix  # which may hold special tokens; text may not
        return self.encode_texts([prefix + passage for passage in self._plain.of_all(passages)], on_batch)

    def encode_query(self, query: str) -> NDArray[np.float32]:
        """Vector of shape (dim,), the query's prefix included."""
        text = self.model.spec.query_prefix + self._plain.of(query)
        vector: NDArray[np.float32] = self.encode_texts([text], None)[0]
        return vector

    def encode_texts(
        self, texts: Sequence[str], on_batch: Callable[[int], None] | None
    ) -> NDArray[np.float32]:
        """Vectors of shape (n, dim) of texts that have their prefix already."""
        vectors = np.empty((len(texts), self.model.spec.dim or 0), dtype=np.float32)
        order = np.argsort([-len(text) for text in texts], kind="stable")
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = self._encode([texts[row] for row in rows])
            if on_batch is not None:
                on_batch(len(rows))
        return unit_rows(vectors, self.model)

    def loaded(self) -> SentenceTransformer:
        """The model itself, loaded if it was not."""
        with self._lock:
            return self._encoder()

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        with self._lock, in_a_sentence(f"The encoder {self.model.name} gives no vectors"):
            vectors = self._encoder().encode(
                texts,
                batch_size=BATCH,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
            matrix = np.asarray(vectors, dtype=np.float32)
            if matrix.shape != (len(texts), self.model.spec.dim):
                raise ValueError(f"they are {matrix.shape[-1]} wide, and its files say {self.model.spec.dim}")
        return matrix

    def _encoder(self) -> SentenceTransformer:
        """The model, loaded once: an ingest in which nothing is new never needs it, and torch takes seconds."""
        if self._loaded is None:
            from sentence_transformers import SentenceTransformer
            from transformers.utils.logging import disable_progress_bar

            # transformers draws a bar for each model that it loads; ours are small and load in a second.
            disable_progress_bar()  # type: ignore[no-untyped-call]
            self._loaded = load_sentence_model(SentenceTransformer, self.model.folder, device=self._device)
            self._loaded.max_seq_length = self.model.spec.max_length
        return self._loaded


def unit_rows(vectors: NDArray[np.float32], model: ResolvedModel) -> NDArray[np.float32]:
    """Rows scaled to unit length, shape (n, dim). Raises `ModelError` for values that are not numbers."""
    if not np.isfinite(vectors).all():
        raise ModelError(
            f"The encoder {model.name} gave values that are not numbers; its files may be damaged."
        )
    scaled: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return scaled
