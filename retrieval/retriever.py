"""query → the best passages by vectors, by words or by both, from one pinned generation of a library."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import faiss
import numpy as np
from numpy.typing import NDArray

from ingest.encoders.base import Encoder
from ingest.errors import EncoderMismatchError, LibraryBusyError, LibraryDamagedError, StorageError
from ingest.library import vector_index
from ingest.library.index_files import open_index
from ingest.library.library import VECTORS, Library
from ingest.library.snapshot import Generation, Snapshot
from ingest.library.writer import writing
from ingest.notices import Help, Notice, NoticeKind, Remedy
from ingest.records import Chunk
from retrieval.dense import search
from retrieval.fusion import reciprocal_ranks
from retrieval.records import Candidate, CandidateSource
from retrieval.sparse import best_by_words

# How often a search begins anew because a writer was quicker to sweep its index away than it was to open it. After that
# it makes the index in memory, so that no writer, however busy, holds a search up for good.
PINS = 5

NO_WORDS = Notice(
    NoticeKind.NO_WORDS,
    "No word of the question stands in the library; stop words such as “the” and “what” do not count.",
)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Candidates, best first, with the milliseconds that each stage took, and what is to be said of them."""

    candidates: tuple[Candidate, ...]
    encode_ms: float
    retrieve_ms: float
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A generation's index, open; ``notices`` say what was wrong with its file, and go with it."""

    generation: Generation
    index: faiss.Index | None
    dead: NDArray[np.int64]
    notices: tuple[Notice, ...] = ()


class _SupersededError(Exception):
    """The pinned generation's index was swept away by a writer that had published the next one: no damage."""


class Retriever:
    """Searches a library with the encoder that made it. Safe to share between threads."""

    def __init__(self, library: Library, encoder: Encoder) -> None:
        """Raises `EncoderMismatchError` when another encoder made the library."""
        library.require_encoder(encoder.model.spec)
        self._library = library
        self._encoder = encoder
        self._dim = library.manifest().dim
        self._lock = threading.Lock()
        self._pinned: _Pinned | None = None

    @property
    def library(self) -> Library:
        """The library that is searched."""
        return self._library

    @property
    def encoder(self) -> Encoder:
        """The encoder that queries are embedded with."""
        return self._encoder

    def retrieve(
        self, query: str, candidates: int, source: CandidateSource = CandidateSource.VECTORS
    ) -> Retrieved:
        """The ``candidates`` best passages by ``source``, best first; fewer in a small library.

        By vectors, those of the highest cosine: exactly the nearest up to `ingest.library.vector_index.EXACT_LIMIT`
        passages; in a larger library, those that the index finds, whose measured recall is the generation's
        `IndexFile.recall`. By words, those of the highest BM25 (`retrieval.sparse.best`), which are none where no
        word is found. By both, the best of as many of either, fused by reciprocal rank. Scores are exact cosines
        whatever found a passage. Each search sees the generation that is active when it starts, whole, whatever a
        writer does.
        """
        started = time.perf_counter()
        vector = self._encoder.encode_query(query)
        encoded = time.perf_counter()
        with self._pinned_snapshot() as (snapshot, pinned):
            nearest, worded = dict[int, float](), dict[int, float]()
            if source is not CandidateSource.WORDS:
                nearest = self._nearest(snapshot, pinned, vector, candidates)
            if source is not CandidateSource.VECTORS:
                worded = dict(best_by_words(snapshot, query, candidates))
            order = _order(source, nearest, worded)[:candidates]
            cosines = nearest | self._cosines(snapshot, vector, [n for n, _ in order if n not in nearest])
            chunks = self._chunks(snapshot, [number for number, _ in order])
        near, by_words = _ranks(nearest), _ranks(worded)
        hits = tuple(
            Candidate(
                chunks[n],
                rank,
                cosines[n],
                near.get(n),
                word_rank=by_words.get(n),
                bm25=worded.get(n),
                first_score=by,
            )
            for rank, (n, by) in enumerate(order, start=1)
        )
        finished = time.perf_counter()
        notices = pinned.notices
        if source is not CandidateSource.VECTORS and not worded and pinned.index is not None:
            notices = (*notices, NO_WORDS)
        return Retrieved(hits, (encoded - started) * 1e3, (finished - encoded) * 1e3, notices)

    def _nearest(
        self, snapshot: Snapshot, pinned: _Pinned, vector: NDArray[np.float32], count: int
    ) -> dict[int, float]:
        """``{chunk id: cosine}`` of the nearest passages, the nearest first."""
        if pinned.index is None:
            return {}
        exact = partial(snapshot.vectors_of, dim=self._dim)
        ids, scores = search(pinned.index, vector, count, pinned.dead, exact)
        return dict(zip(ids.tolist(), scores.tolist(), strict=True))

    def _cosines(
        self, snapshot: Snapshot, vector: NDArray[np.float32], ids: Sequence[int]
    ) -> dict[int, float]:
        """``{chunk id: cosine}`` of passages that words alone found, from their stored vectors."""
        if not ids:
            return {}
        vectors = snapshot.vectors_of(np.array(ids, dtype=np.int64), self._dim)
        return dict(zip(ids, (vectors @ vector).tolist(), strict=True))

    def _chunks(self, snapshot: Snapshot, ids: Sequence[int]) -> dict[int, Chunk]:
        chunks = snapshot.chunks(ids)
        if len(chunks) != len(ids):
            raise LibraryDamagedError(
                f"The library {self._library.folder} lacks {len(ids) - len(chunks)} passages that its index holds. See "
                "what is wrong, and what helps.",
                Help(Remedy.DIAGNOSE),
            )
        return chunks

    @contextmanager
    def _pinned_snapshot(self) -> Iterator[tuple[Snapshot, _Pinned]]:
        """A view of the active generation with its index open; taken anew where a writer removes the file meanwhile."""
        for tries_left in reversed(range(PINS)):
            with self._library.snapshot() as snapshot:
                try:
                    pinned = self._pin(snapshot, may_fail=tries_left > 0)
                except _SupersededError:
                    continue
                yield snapshot, pinned
                return

    def _pin(self, snapshot: Snapshot, may_fail: bool) -> _Pinned:
        """The index of the snapshot's generation, opened once a generation. Raises `_SupersededError` if it may."""
        with self._lock:
            generation = snapshot.generation
            if self._pinned is None or self._pinned.generation != generation:
                self._require_encoder(snapshot)
                self._pinned = self._opened(snapshot, may_fail)
            return self._pinned

    def _require_encoder(self, snapshot: Snapshot) -> None:
        """Raise `EncoderMismatchError` where the library was rebuilt, or made anew, with another encoder meanwhile."""
        spec = self._encoder.model.spec
        if snapshot.made_with() != spec.identity:
            self._library.require_encoder(spec)
            raise EncoderMismatchError(
                f"The library {self._library.folder} was made with another encoder than {spec.name} when it was asked. "
                "Ask again."
            )

    def _opened(self, snapshot: Snapshot, may_fail: bool) -> _Pinned:
        generation, index, notices = snapshot.generation, None, tuple[Notice, ...]()
        if generation.index is not None:
            try:
                index = open_index(self._library.folder / VECTORS, generation.index, self._dim)
            except LibraryDamagedError as error:
                # A file is swept away only after its successor is active, so that asking now tells the two apart.
                if self._library.generation() == generation:
                    index = self._rebuilt(snapshot)
                    text = f"{error} It was built again from the library's own vectors."
                    notices = (Notice(NoticeKind.INDEX, text),)
                elif may_fail:
                    raise _SupersededError from error
                else:
                    index = vector_index.build(snapshot.vectors(self._dim)).index
        return _Pinned(generation, index, snapshot.tombstones(), notices)

    def _rebuilt(self, snapshot: Snapshot) -> faiss.Index:
        """An index made from the vectors in SQLite: the file is mended, or, while another process writes, in memory."""
        try:
            with writing(self._library, wait=0.0) as writer:
                # Another reader may have mended it while this one came to the lock: then there is nothing to publish.
                if self._library.generation() == snapshot.generation:
                    writer.publish()
                    mended = (
                        self._library.generation().index
                    )  # of the snapshot's passages: nobody came between
                    if mended is not None:
                        return open_index(self._library.folder / VECTORS, mended, self._dim)
        except (LibraryBusyError, LibraryDamagedError, StorageError):
            pass  # the next search after the writer is done mends it; this one has its index in memory
        return vector_index.build(snapshot.vectors(self._dim)).index


def _order(
    source: CandidateSource, nearest: Mapping[int, float], worded: Mapping[int, float]
) -> list[tuple[int, float]]:
    """(chunk id, the number that the order goes by), best first; both mappings are best first.

    Of passages with equal sums of reciprocal ranks, the nearer comes first.
    """
    if source is CandidateSource.VECTORS:
        return list(nearest.items())
    if source is CandidateSource.WORDS:
        return list(worded.items())
    fused = reciprocal_ranks((tuple(nearest), tuple(worded)))
    return sorted(fused.items(), key=lambda item: -item[1])


def _ranks(best_first: Mapping[int, float]) -> dict[int, int]:
    return {number: rank for rank, number in enumerate(best_first, start=1)}
