"""query → the nearest passages, from one pinned generation of a library."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from ingest.encoder import Encoder
from ingest.errors import LibraryBusyError, LibraryDamagedError
from ingest.library import VECTORS, Library, Snapshot
from ingest.vectors import open_index, search
from ingest.writer import writing
from retrieval.records import Candidate


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Candidates, best first, with the milliseconds that each stage took; notices are sentences."""

    candidates: tuple[Candidate, ...]
    encode_ms: float
    retrieve_ms: float
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pinned:
    generation: int
    index: faiss.Index | None
    dead: NDArray[np.int64]


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
        self._notices: tuple[str, ...] = ()

    @property
    def encoder(self) -> Encoder:
        """The encoder that queries are embedded with."""
        return self._encoder

    def retrieve(self, query: str, candidates: int) -> Retrieved:
        """The ``candidates`` passages of the highest cosine (exact), best first; fewer in a small library.

        Each search sees the generation that is active when it starts, whole, whatever a writer does.
        """
        started = time.perf_counter()
        vector = self._encoder.encode_query(query)
        encoded = time.perf_counter()
        with self._library.snapshot() as snapshot:
            pinned = self._pin(snapshot)
            found = self._search(snapshot, pinned, vector, candidates)
        finished = time.perf_counter()
        return Retrieved(found, (encoded - started) * 1e3, (finished - encoded) * 1e3, self._notices)

    def _search(
        self, snapshot: Snapshot, pinned: _Pinned, vector: NDArray[np.float32], candidates: int
    ) -> tuple[Candidate, ...]:
        if pinned.index is None:
            return ()
        ids, scores = search(pinned.index, vector, candidates, pinned.dead)
        chunks = snapshot.chunks(ids.tolist())
        return tuple(
            Candidate(chunks[number], rank, float(score))
            for rank, (number, score) in enumerate(zip(ids.tolist(), scores.tolist(), strict=True), start=1)
        )

    def _pin(self, snapshot: Snapshot) -> _Pinned:
        """The index of the snapshot's generation, opened once a generation."""
        with self._lock:
            generation = snapshot.generation
            if self._pinned is None or self._pinned.generation != generation.id:
                index = None
                if generation.index is not None:
                    try:
                        index = open_index(self._library.folder / VECTORS, generation.index, self._dim)
                    except LibraryDamagedError as error:
                        index = self._rebuilt(snapshot, error)
                self._pinned = _Pinned(generation.id, index, snapshot.tombstones())
            return self._pinned

    def _rebuilt(self, snapshot: Snapshot, error: LibraryDamagedError) -> faiss.Index:
        """An index made from the vectors in SQLite, for now in memory; the file is mended if nobody is writing."""
        index = faiss.IndexIDMap2(faiss.IndexFlatIP(self._dim))
        for ids, vectors in snapshot.vectors(self._dim):
            index.add_with_ids(vectors, ids)
        self._notices = (f"{error} It was built again from the library's own vectors.",)
        try:
            with writing(self._library, wait=0.0) as writer:
                writer.publish()
        except (LibraryBusyError, OSError):
            pass  # the next search after the writer is done mends it; this one has its index in memory
        return index
