"""Asking the FAISS index: the nearest passages of a query vector, with exact scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import faiss
import numpy as np
from numpy.typing import NDArray

from ingest.library import vector_index


def search(
    index: faiss.Index,
    query: NDArray[np.float32],
    k: int,
    dead: NDArray[np.int64],
    exact: Callable[[NDArray[np.int64]], NDArray[np.float32]],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The ``k`` nearest chunk ids and their inner products, best first, ``dead`` ids left out.

    ``query`` has shape (dim,); fewer than ``k`` come back where the index holds fewer. Scores are exact:
    where the index quantises, ``exact`` gives the vectors of the ids that it found, and those are scored.
    Equal scores are ordered by chunk id, so that the same question gives the same order.
    """
    with _one_thread():
        scores, ids = index.search(
            query[np.newaxis, :], vector_index.to_fetch(index, k), params=_parameters(index, dead)
        )
    is_hit = ids[0] >= 0
    kept_ids, kept_scores = ids[0][is_hit], scores[0][is_hit]
    if vector_index.is_quantised(index):
        kept_scores = exact(kept_ids) @ query
    order = np.lexsort((kept_ids, -kept_scores))[:k]
    return kept_ids[order], kept_scores[order]


def _parameters(index: faiss.Index, dead: NDArray[np.int64]) -> faiss.SearchParameters | None:
    if not len(dead):
        return None
    living = faiss.IDSelectorNot(faiss.IDSelectorBatch(dead))
    if vector_index.is_quantised(index):
        return faiss.SearchParametersIVF(sel=living, nprobe=index.nprobe)  # type: ignore[call-arg]
    return faiss.SearchParameters(sel=living)  # type: ignore[call-arg]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Have FAISS use one thread for a single query.

    There is a few milliseconds' work to share out: with two threads on two busy cores, waiting for each other
    made the same exact search of 100,000 vectors six times slower (60 ms, not 10).
    """
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
