"""Fakes that mean something: vectors and scores that can be worked out by hand.

A text's vector counts the words of `VOCABULARY` in it, plus one dimension for all other words, scaled to
unit length. Cosines are therefore fractions that a test can state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers

from ingest.models.spec import ModelKind, ModelSource, ModelSpec, ResolvedModel
from rerank.scorers.base import Scores

VOCABULARY = ("snake", "venom", "python", "code", "bank", "river", "money", "flood", "crane", "bird", "steel")
DIM = len(VOCABULARY) + 1

WORD_ENCODER = ModelSpec("word-encoder", ModelKind.ENCODER, "bi-encoder", "1", "Apache-2.0", 512, DIM)
WORD_SCORER = ModelSpec(
    "word-scorer", ModelKind.RERANKER, "fake", "1", "Apache-2.0", 512, relevance_scale=1.0
)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def whitespace_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


class WordEncoder:
    """Counts words. ``calls`` lists every text that was embedded, so that a test can say what was not."""

    def __init__(self, spec: ModelSpec = WORD_ENCODER) -> None:
        self.model = ResolvedModel(spec, ModelSource.FOLDER, Path("fake"))
        self.tokenizer = whitespace_tokenizer()
        self.calls: list[str] = []

    def encode_passages(
        self, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        self.calls.extend(passages)
        if on_batch is not None:
            on_batch(len(passages))
        return np.stack([self._vector(passage) for passage in passages])

    def encode_query(self, query: str) -> NDArray[np.float32]:
        return self._vector(query)

    def _vector(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(DIM, dtype=np.float32)
        for word in words(text):
            vector[VOCABULARY.index(word) if word in VOCABULARY else DIM - 1] += 1
        return vector / max(float(np.linalg.norm(vector)), 1e-9)


class WordScorer:
    """Logit = how many different words of the query stand in the passage, less one."""

    def __init__(self, spec: ModelSpec = WORD_SCORER) -> None:
        self.model = ResolvedModel(spec, ModelSource.FOLDER, Path("fake"))
        self.engine = type(self).__qualname__
        self.calls: list[tuple[str, int]] = []

    window: int | None = None
    token_vectors = None

    def room(self, query: str) -> int | None:
        return None

    def score(
        self, query: str, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> Scores:
        self.calls.append((query, len(passages)))
        asked = set(words(query))
        logits = np.array([len(asked & set(words(passage))) - 1 for passage in passages], dtype=np.float32)
        if on_batch is not None:
            on_batch(len(passages))
        tokens = np.array([len(words(passage)) for passage in passages], dtype=np.int64)
        return Scores(logits, tokens, np.zeros(len(passages), dtype=np.bool_))
