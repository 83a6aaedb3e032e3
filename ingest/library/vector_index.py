"""Which FAISS index a library gets: exact while that is quick, above that inverted lists of measured recall.

A choice by size, made again at every publication. Reasons and figures: docs/performance.md and
tests/benchmarks/index_size.py.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeGuard

import faiss
import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

# One exact search of 150,000 vectors of 384 dimensions streams 230 MB through one core: 9 to 15 ms, under the 20 ms
# that a first look may take. index_size.py measures it.
EXACT_LIMIT = 150_000
# Vectors read at once: 4,096 × 384 × 4 bytes = 6 MB.
BATCH = 4096
# Lists grow with the root of the number of vectors, so that finding lists and reading them cost alike.
LISTS_PER_ROOT = 2.0
# Vectors k-means sees for each list (FAISS warns below 39), and its rounds; more changed no figure.
SAMPLE_PER_LIST = 40
ROUNDS = 10
SEED = 20261122
# Lists are trained anew when the library has doubled or halved since: over its life that costs twice one training.
RETRAIN_RATIO = 2.0
# Probes are the fewest that reach this recall@100 on the library's own sample, and then twice as many: real questions
# lie farther from passages than the sample does (at .992 on the sample, 668 real questions had .979), and the probes
# added cost less than a millisecond.
TARGET_RECALL = 0.99
PROBE_MARGIN = 2
RECALL_AT = 100
RECALL_QUERIES = 128
# Quantised scores are good to about 1e-3: this many more are fetched, and ordered by their exact cosine.
OVERFETCH = 1.5


class VectorSource(Protocol):
    """The unit vectors an index is made of: ``ids`` of shape (n,), ascending, and their rows on demand."""

    @property
    def dim(self) -> int:
        """Width of a vector."""

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of all vectors, ascending."""

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors of shape (len(ids), dim), in the order of ``ids``."""


@dataclass(frozen=True, slots=True)
class BuiltIndex:
    """An index and its recall@100 against exact search: 1 where it is exact, measured where it is not."""

    index: faiss.Index
    recall: float


def build(source: VectorSource) -> BuiltIndex:
    """An index of all the source's vectors: exact up to `EXACT_LIMIT`, else inverted lists if they recall enough.

    Vectors are streamed; beyond the index itself only a batch, and for lists the training sample, is held.
    """
    if len(source.ids) <= EXACT_LIMIT:
        return BuiltIndex(_exact(source), 1.0)
    index = _trained_lists(source)
    truth = _Truth(source)
    for ids, vectors in _batches(source, source.ids):
        index.add_with_ids(vectors, ids)
        truth.see(ids, vectors)
    recall = truth.choose_probes(index)
    if recall >= TARGET_RECALL:
        logger.info(
            "%d vectors in %d lists, %d probed: recall@%d %.4f on %d vectors of the library's own",
            index.ntotal, index.nlist, index.nprobe, RECALL_AT, recall, RECALL_QUERIES,
        )  # fmt: skip
        return BuiltIndex(index, recall)
    logger.info(
        "Inverted lists reach a recall@%d of only %.4f here; the index stays exact", RECALL_AT, recall
    )
    del index
    return BuiltIndex(_exact(source), 1.0)


def extended(before: BuiltIndex, source: VectorSource) -> BuiltIndex | None:
    """``before`` without what the source lacks and with what it lacks itself, or ``None`` if it is to be built anew.

    Only inverted lists are extended: training and assigning are what costs there, and each list grows by itself.
    An exact index is quicker to read from SQLite than worth the second copy that growing it in memory takes.
    """
    index = before.index
    if not is_quantised(index) or len(source.ids) <= EXACT_LIMIT:
        return None
    trained = (index.nlist / LISTS_PER_ROOT) ** 2
    index_ids = ids_of(index)
    fresh = np.setdiff1d(source.ids, index_ids, assume_unique=True)
    outgrown = not trained / RETRAIN_RATIO <= len(source.ids) <= trained * RETRAIN_RATIO
    if outgrown or len(fresh) > len(source.ids) / RETRAIN_RATIO:
        return None
    old_ids = np.setdiff1d(index_ids, source.ids, assume_unique=True)
    if len(old_ids):
        index.remove_ids(faiss.IDSelectorBatch(old_ids))
    for ids, vectors in _batches(source, fresh):
        index.add_with_ids(vectors, ids)
    return before


def is_quantised(index: faiss.Index) -> TypeGuard[faiss.IndexIVF]:
    """Whether the index's own scores are approximate, so that found ids must be scored with their exact vectors."""
    return isinstance(index, faiss.IndexIVFScalarQuantizer)


def to_fetch(index: faiss.Index, k: int) -> int:
    """How many ids to ask the index for, so that the best ``k`` are among them."""
    number = math.ceil(k * OVERFETCH) if is_quantised(index) else k
    return max(min(number, index.ntotal), 1)


def _exact(source: VectorSource) -> faiss.Index:
    flat = faiss.IndexFlatIP(source.dim)
    # Room for all of them at once: growing by doubling would hold the vectors twice at its peak.
    flat.codes.resize(len(source.ids) * flat.code_size)
    flat.codes.resize(0)
    index = faiss.IndexIDMap(flat)
    for ids, vectors in _batches(source, source.ids):
        index.add_with_ids(vectors, ids)
    return index


def _trained_lists(source: VectorSource) -> faiss.IndexIVFScalarQuantizer:
    """Empty inverted lists over spherical k-means cells, one byte a dimension; the same vectors give the same cells."""
    lists = round(LISTS_PER_ROOT * math.sqrt(len(source.ids)))
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(source.dim),
        source.dim,
        lists,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
    )
    index.cp.seed, index.cp.niter = SEED, ROUNDS
    index.train(_sample(source, lists * SAMPLE_PER_LIST))
    return index


def _sample(source: VectorSource, size: int) -> NDArray[np.float32]:
    """``size`` of the source's vectors (all, if it has fewer), drawn without replacement by a fixed seed."""
    rows = np.random.default_rng(SEED).choice(
        source.ids, min(size, len(source.ids)), replace=False, shuffle=False
    )
    rows.sort()
    sample = np.empty((len(rows), source.dim), dtype=np.float32)
    for start in range(0, len(rows), BATCH):
        sample[start : start + BATCH] = source.rows(rows[start : start + BATCH])
    return sample


def _batches(
    source: VectorSource, ids: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH], source.rows(ids[start : start + BATCH])


def ids_of(index: faiss.Index) -> NDArray[np.int64]:
    """Ids of the vectors that the index holds, shape (ntotal,): as they lie in an exact one, else ascending."""
    if isinstance(index, faiss.IndexIDMap):
        return faiss.vector_to_array(index.id_map).astype(np.int64)
    lists = index.invlists if isinstance(index, faiss.IndexIVF) else None
    if lists is None:
        return np.empty(0, dtype=np.int64)
    sizes = [lists.list_size(number) for number in range(lists.nlist)]
    parts = [faiss.rev_swig_ptr(lists.get_ids(number), size) for number, size in enumerate(sizes) if size]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)


class _Truth:
    """The exact best of some queries, gathered while the vectors stream by, and the probes it takes to find them."""

    def __init__(self, source: VectorSource) -> None:
        """Make the queries: midpoints of vectors of the library with others, so that none is a passage itself."""
        own = _sample(source, 2 * RECALL_QUERIES)
        own = own[np.random.default_rng(SEED).permutation(len(own))]
        half = len(own) // 2
        self._queries = 0.75 * own[:half] + 0.25 * own[half : 2 * half]
        faiss.normalize_L2(self._queries)
        self._best = faiss.ResultHeap(half, RECALL_AT, keep_max=True)

    def see(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Rank a batch among what was seen before."""
        scores, places = faiss.knn(
            self._queries, vectors, min(RECALL_AT, len(ids)), metric=faiss.METRIC_INNER_PRODUCT
        )
        self._best.add_result(scores, ids[places])

    def choose_probes(self, index: faiss.IndexIVF) -> float:
        """Set the probes that reach `TARGET_RECALL` on the sample, with their margin; the recall measured with them."""
        self._best.finalize()
        recall, probes = 0.0, 8
        while recall < TARGET_RECALL and probes <= index.nlist // 4:
            recall = self._recall(index, probes)
            probes += probes // 2
        if recall < TARGET_RECALL:
            return recall
        return self._recall(index, index.nprobe * PROBE_MARGIN)

    def _recall(self, index: faiss.IndexIVF, probes: int) -> float:
        index.nprobe = probes
        _, ids = index.search(self._queries, to_fetch(index, RECALL_AT))
        hits = sum(len(np.intersect1d(a, b)) for a, b in zip(ids, self._best.I, strict=True))
        return hits / self._best.I.size
