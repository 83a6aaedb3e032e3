"""Vectors for mining: the product's own bi-encoder, with what it computed kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ingest.encoders.base import Encoder
from ingest.records import digest
from rerank.training.model import has_fast_bfloat16


class CachedEncoder:
    """Batches of texts to unit vectors; a batch that was embedded before is read from ``folder``."""

    def __init__(self, encoder: Encoder, folder: Path, on_batch: Callable[[int], None] | None = None) -> None:
        """Keep vectors of ``encoder`` under ``folder`` (made if absent)."""
        self._encoder, self._folder, self._on_batch = encoder, folder, on_batch
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        """The bi-encoder's name."""
        return self._encoder.model.name

    def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, dim) of passages."""
        return self._cached("passages", texts, lambda: self._encoder.encode_passages(texts, self._on_batch))

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, dim) of queries."""
        spec = self._encoder.model.spec
        if spec.query_prefix == spec.passage_prefix:  # then both go the same way, and batches are faster
            return self._cached(
                "queries", texts, lambda: self._encoder.encode_passages(texts, self._on_batch)
            )
        return self._cached(
            "queries", texts, lambda: np.stack([self._encoder.encode_query(t) for t in texts])
        )

    def _cached(
        self, kind: str, texts: Sequence[str], compute: Callable[[], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        path = self._folder / f"{digest(self.name, kind, *texts)[:24]}.npy"
        if path.is_file():
            matrix: NDArray[np.float32] = np.load(path)
            return matrix
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16("cpu")):
            vectors = np.asarray(compute(), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        partial = path.with_suffix(".part.npy")
        np.save(partial, vectors)
        partial.replace(path)
        return vectors
