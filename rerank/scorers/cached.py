"""Scores that a reranker gave before: asking again, deeper or for another number of results, runs no model.

What is kept is a number under a hash of everything that made it: the model and its files, what runs it, the query and
the passage. No text is stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from ingest.models.resolve import content_of
from ingest.models.spec import ResolvedModel
from ingest.records import digest
from rerank.scorers.base import OnBatch, Scorer, Scores, TokenVectors, empty_scores
from rerank.scorers.score_store import Entry, Key, ScoreStore

_NOT_COMPUTED_WITH = frozenset(
    {
        "bi_weight",
        "bi_encoder",
        "relevance_scale",
        "relevance_shift",
        "window",
        "licence",
        "languages",
        "pickled",
        "parameters",
    }
)
# Files that say how scores are mixed, shown and were come by; the weights are in others.
_CARDS = frozenset({"secondlook.json", "training.json", "README.md"})


def fingerprint(model: ResolvedModel) -> str:
    """What the model computes with: its specification, and its files by their content.

    A model trained again may keep its version. How its scores are mixed or shown is no part of it.
    """
    spec = {name: value for name, value in asdict(model.spec).items() if name not in _NOT_COMPUTED_WITH}
    files = sorted(path for path in model.folder.rglob("*") if path.is_file() and path.name not in _CARDS)
    return json.dumps([spec, [[path.name, content_of(path)] for path in files]], ensure_ascii=False)


class CachedScorer(Scorer):
    """A reranker that scores a passage for a query once.

    What ``inner`` makes of a passage must depend on the passage and the query alone, as windows do; its engine's
    name must tell apart what gives different scores.
    """

    def __init__(self, inner: Scorer, store: ScoreStore) -> None:
        """Nothing is asked of ``inner`` yet but which model it is."""
        self._inner = inner
        self._store = store
        self._made_by = json.dumps([fingerprint(inner.model), inner.engine])

    @property
    def model(self) -> ResolvedModel:
        """The reranker's model."""
        return self._inner.model

    @property
    def engine(self) -> str:
        """What runs the reranker."""
        return self._inner.engine

    @property
    def window(self) -> int | None:
        """How many tokens of a passage the reranker reads at most."""
        return self._inner.window

    @property
    def token_vectors(self) -> TokenVectors | None:
        """The reranker's token vectors."""
        return self._inner.token_vectors

    def room(self, query: str) -> int | None:
        """Tokens of a passage that the reranker reads beside ``query``."""
        return self._inner.room(query)

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Scores in the order of ``passages``; only those never seen are scored. `Scores.cached` counts the others.

        ``on_batch`` hears of the known ones at once.
        """
        keys = self._keys(query, passages)
        known = self._store.get(keys)
        missing = [row for row, key in enumerate(keys) if key not in known]
        if on_batch is not None and len(missing) < len(passages):
            on_batch(len(passages) - len(missing))
        new = empty_scores()
        if missing:
            new = self._inner.score(query, [passages[row] for row in missing], on_batch)
            if len(new.logits) != len(missing):
                return new  # for whoever checks scores to refuse: they belong to no passage
            self._store.put(dict(zip([keys[row] for row in missing], _entries(new), strict=True)))
        return _put_together(keys, known, missing, new)

    def _keys(self, query: str, passages: Sequence[str]) -> list[Key]:
        """16 bytes of the SHA-256 of what makes each score."""
        prefix = digest(self._made_by, query)
        return [bytes.fromhex(digest(prefix, passage))[:16] for passage in passages]


def _put_together(
    keys: Sequence[Key], known: Mapping[Key, Entry], missing: Sequence[int], new: Scores
) -> Scores:
    """Known and new scores in the order of ``keys``."""
    entries = [known.get(key) for key in keys]
    for row, entry in zip(missing, _entries(new), strict=True):
        entries[row] = entry
    rows = [entry for entry in entries if entry is not None]
    return Scores(
        np.array([row.logit for row in rows], np.float32),
        np.array([row.tokens for row in rows], np.int64),
        np.array([row.truncated for row in rows], np.bool_),
        tuple(row.window for row in rows) if any(row.window for row in rows) else (),
        len(keys) - len(missing),
    )


def _entries(scores: Scores) -> list[Entry]:
    windows = scores.windows or (None,) * len(scores.logits)
    rows = (scores.logits.tolist(), scores.tokens.tolist(), scores.truncated.tolist(), windows)
    return [Entry(*row) for row in zip(*rows, strict=True)]
