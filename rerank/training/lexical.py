"""BM25 over a labelled set's documents, for mining: what shares words with a query and does not answer it.

The library's own BM25 is FTS5, which takes a query at a time; mining asks tens of thousands, so that here the scores
are one sparse product. Weights are BM25's (Robertson and Zaragoza 2009) with k1 = 1.2 and b = 0.75, as in FTS5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rerank.scorers.windowed import words
from retrieval.sparse import STOP_WORDS

K1, B = 1.2, 0.75
NO_TEXT = "empty"  # counted beside the texts, so that there is a word where they have none


def _telling_words(text: str) -> list[str]:
    return [word for word in words(text) if word not in STOP_WORDS]


class BM25:
    """BM25 scores of fixed ``texts``; asked for many queries at once."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Count the words of ``texts``, at least one."""
        from scipy.sparse import csr_array  # a second and more, for which the page should not wait
        from sklearn.feature_extraction.text import CountVectorizer

        self._counter = CountVectorizer(analyzer=_telling_words)
        counts = csr_array(self._counter.fit_transform([*texts, NO_TEXT]), dtype=np.float32)[:-1]
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        document_counts = np.bincount(counts.indices, minlength=counts.shape[1])
        rarity = np.log(1 + (len(texts) - document_counts + 0.5) / (document_counts + 0.5))
        rows = np.repeat(np.arange(len(texts)), np.diff(counts.indptr))
        norm = K1 * (1 - B + B * lengths / max(float(lengths.mean()), 1.0))
        counts.data = (rarity[counts.indices] * counts.data * (K1 + 1) / (counts.data + norm[rows])).astype(
            np.float32
        )
        self._weights = csr_array(counts.T)

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Scores (queries, texts); 0 where they share no word that tells anything."""
        from scipy.sparse import csr_array

        query_counts = csr_array(self._counter.transform(queries), dtype=np.float32)
        query_counts.data[:] = 1.0
        product: NDArray[np.float32] = (query_counts @ self._weights).toarray()
        return product
