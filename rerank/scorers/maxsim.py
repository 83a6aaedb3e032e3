"""What late-interaction rerankers share: MaxSim, of vectors that are stored with the library or computed now.

Khattab and Zaharia, "ColBERT" (2020), https://arxiv.org/abs/2004.12832: for each of the query's token vectors the
highest cosine among the passage's, summed.
"""

from __future__ import annotations

import json
import struct
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.library.token_vectors import TokenStore
from ingest.models.spec import ResolvedModel
from ingest.records import digest
from rerank.scorers.base import OnBatch, PassageTokens, Scorer, Scores, TokenVectors, empty_scores

# A search scores slice by slice, and two rerankers or visitors take turns: their questions are encoded once each.
REMEMBERED_QUERIES = 8
# Stored passages a matrix product: 20 MB of 384 numbers a token and 130 tokens a passage.
AT_ONCE = 100


def maxsim(wanted: NDArray[np.float32], passages: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Sums (n,) over the rows of ``wanted`` (asked, dim) of the highest product with any row of each passage.

    One matrix product for all n passages, each (tokens, dim). Raises ValueError for a passage without a row.
    """
    lengths = [len(vectors) for vectors in passages]
    if not all(lengths):
        raise ValueError("a passage without token vectors cannot be compared")
    products = wanted @ np.concatenate(passages).T
    starts = np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64)])
    sums: NDArray[np.float32] = np.maximum.reduceat(products, starts, axis=1).sum(axis=0)
    return sums


def vectors_identity(model: ResolvedModel) -> str:
    """What makes stored token vectors usable: the model's name, revision, prefixes and length, the form of bytes."""
    return json.dumps([model.spec.architecture, model.spec.identity, VERSION], ensure_ascii=False)


class LateInteraction(Scorer, ABC):
    """A reranker that compares token vectors. One instance serves every thread.

    Where the library keeps token vectors for this model, those of a passage are taken from there, and those that are
    missing are computed and rounded as if they had been stored: a passage has the same score either way, but for a
    number that lies between two steps and that another batch adds up in another order (5 of 759,552; 5e-5 of a score).
    On the sample it is within .002 of the cosine a query token (Kendall's τ .998) of what it has without a store. That
    is another ``engine``, so that scores kept from earlier searches are never mixed.
    """

    def __init__(self, model: ResolvedModel, store: TokenStore | None) -> None:
        """``store`` is used if this model's vectors are wanted there now."""
        self._model = model
        self._lock = threading.Lock()  # fast tokenizers raise "Already borrowed" when two threads use one
        self._queries: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._identity = vectors_identity(model)
        self._store = store if store is not None and store.is_requested(self._identity) else None

    @property
    def model(self) -> ResolvedModel:
        """Which model this is."""
        return self._model

    @property
    def engine(self) -> str:
        """What the vectors are compared in; those of a library's store are rounded."""
        return type(self).__qualname__ + (f" over token vectors in {VERSION}" if self._store else "")

    @property
    def token_vectors(self) -> TokenVectors:
        """This reranker itself: what it makes of a passage can be stored."""
        return self

    @abstractmethod
    def room(self, query: str) -> int:
        """Tokens of a passage that are read; ``query`` is read by itself and takes none of them."""

    @abstractmethod
    def fits(self, passages: Sequence[str]) -> NDArray[np.bool_]:
        """Of which passages (n,) the model reads the end. Others are read by a window that the query chooses."""

    @abstractmethod
    def encode(self, passages: Sequence[str]) -> Iterator[tuple[list[int], list[PassageTokens]]]:
        """Batches of passages of like length: their places in ``passages``, and what the model made of them."""

    @abstractmethod
    def _query_vectors(self, query: str) -> NDArray[np.float32]:
        """Unit vectors (asked, dim) of a query, weighted so that their sum of products is the score."""

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        """Score every passage; shapes as in `Scores`. The end of a passage that does not fit is not read."""
        if not passages:
            return empty_scores()
        wanted = self._wanted(query)
        logits = np.empty(len(passages), np.float32)
        tokens = np.empty(len(passages), np.int64)
        truncated = np.zeros(len(passages), np.bool_)
        rest = list(range(len(passages)))
        for rows, tokens_of_rows in self._stored(passages):
            logits[rows] = maxsim(wanted, [one.vectors for one in tokens_of_rows])
            tokens[rows] = [one.read for one in tokens_of_rows]
            rest = sorted(set(rest).difference(rows))
            if on_batch is not None:
                on_batch(len(rows))
        if rest:
            for places, made in self.encode([passages[row] for row in rest]):
                rows = [rest[place] for place in places]
                logits[rows] = maxsim(wanted, [self._as_stored(one) for one in made])
                tokens[rows] = [one.read for one in made]
                truncated[rows] = [one.truncated for one in made]
                if on_batch is not None:
                    on_batch(len(rows))
        return Scores(logits, tokens, truncated)

    def _wanted(self, query: str) -> NDArray[np.float32]:
        """The query's vectors, remembered: slices of one search ask for them again."""
        with self._lock:
            vectors = self._queries.pop(query, None)
        if vectors is None:
            vectors = self._query_vectors(query)
        with self._lock:
            self._queries[query] = vectors
            while len(self._queries) > REMEMBERED_QUERIES:
                self._queries.popitem(last=False)
        return vectors

    def _stored(self, passages: Sequence[str]) -> Iterator[tuple[list[int], list[PassageTokens]]]:
        """What the library keeps of these passages, as `encode` gives it; nothing where it keeps none."""
        if self._store is None:
            return
        for start in range(0, len(passages), AT_ONCE):
            hashes = [digest(passage) for passage in passages[start : start + AT_ONCE]]
            data = self._store.stored(self._identity, hashes)
            stored = [expand(data[name]) if name in data else None for name in hashes]
            rows = [start + place for place, one in enumerate(stored) if one is not None]
            if rows:
                yield rows, [PassageTokens(*one) for one in stored if one is not None]

    def _as_stored(self, made: PassageTokens) -> NDArray[np.float32]:
        """Vectors as they come back from the store, where there is one; exact ones else."""
        if self._store is None:
            return made.vectors
        rounded = expand(compress(made.vectors, made.read))
        if rounded is None:
            raise ValueError("token vectors cannot be read back from the bytes that they were written as")
        return rounded[0]


# Raise it when the bytes change, so that older rows are not read.
VERSION = "int8-1"
_HEAD = struct.Struct("<IHH")  # tokens that the model read, vectors, numbers a vector
_MOST = 127


def compress(vectors: NDArray[np.float32], read: int) -> bytes:
    """The bytes of unit vectors (tokens, dim) and of how many tokens the model ``read`` for them.

    A number is off by at most 1/254 of the largest of its vector.
    """
    scales = (np.abs(vectors).max(axis=1) / _MOST).astype("<f2")
    steps = np.maximum(scales.astype(np.float32), np.finfo(np.float32).tiny)
    codes = np.clip(np.rint(vectors / steps[:, None]), -_MOST, _MOST).astype(np.int8)
    head = _HEAD.pack(read, *codes.shape)
    return b"".join((head, scales.tobytes(), codes.tobytes()))


def expand(data: bytes) -> tuple[NDArray[np.float32], int] | None:
    """The vectors (tokens, dim) and how many tokens were read; ``None`` where ``data`` has not the length for them."""
    if len(data) < _HEAD.size:
        return None
    read, tokens, dim = _HEAD.unpack_from(data)
    if not tokens or len(data) != _HEAD.size + tokens * (2 + dim):
        return None
    scales = np.frombuffer(data, "<f2", tokens, _HEAD.size).astype(np.float32)
    codes = np.frombuffer(data, np.int8, tokens * dim, _HEAD.size + 2 * tokens).reshape(tokens, dim)
    return codes * scales[:, None], read
