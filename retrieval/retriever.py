"""query → the nearest passages, from one pinned generation of a library."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial

import faiss
import numpy as np
from numpy.typing import NDArray

from ingest import indexes
from ingest.encoder import Encoder
from ingest.errors import LibraryBusyError, LibraryDamagedError
from ingest.library import VECTORS, Library
from ingest.snapshot import Snapshot
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
        """The ``candidates`` passages of the highest cosine, best first; fewer in a small library.

        Scores are exact cosines. The passages are exactly the nearest up to `ingest.indexes.EXACT_LIMIT` passages;
        in a larger library, those that the index finds, whose measured recall is the generation's `IndexFile.recall`.
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
        exact = partial(snapshot.vectors_of, dim=self._dim)
        ids, scores = search(pinned.index, vector, candidates, pinned.dead, exact)
        chunks = snapshot.chunks(ids.tolist())
        if len(chunks) != len(ids):
            raise LibraryDamagedError(
                f"The library {self._library.folder} lacks {len(ids) - len(chunks)} passages that its index holds. See "
                "what is wrong, and what helps, with: secondlook doctor"
            )
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
        """An index made from the vectors in SQLite: the file is mended, or, while another process writes, in memory."""
        self._notices = (f"{error} It was built again from the library's own vectors.",)
        try:
            with writing(self._library, wait=0.0) as writer:
                published = writer.publish()
                mended = self._library.generation().index
            # The new generation is this one's successor, and so holds the same passages, unless a writer came between.
            if mended is not None and published == snapshot.generation.id + 1:
                return open_index(self._library.folder / VECTORS, mended, self._dim)
        except (LibraryBusyError, LibraryDamagedError, OSError):
            pass  # the next search after the writer is done mends it; this one has its index in memory
        return indexes.build(snapshot.vectors(self._dim)).index
