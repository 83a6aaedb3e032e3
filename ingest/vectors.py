"""FAISS files: built, verified, published, opened, searched. Derived from SQLite, so always rebuildable."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from ingest.errors import LibraryDamagedError
from ingest.models import sha256_of


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A published FAISS file: its name within the library, SHA-256, and number of vectors."""

    name: str
    sha256: str
    vectors: int


def publish(
    folder: Path,
    name: str,
    dim: int,
    batches: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]],
    on_step: Callable[[str], None],
) -> IndexFile:
    """Build an exact inner-product index and publish it under ``folder/name``, all or nothing.

    ``batches`` are chunk ids of shape (n,) with their vectors of shape (n, dim). The file is written
    under a temporary name, read back and checked, fsynced, renamed, and its folder fsynced; ``on_step``
    hears the name of each step after it is done.
    """
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
    for ids, vectors in batches:
        index.add_with_ids(vectors, ids)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.tmp"
    faiss.write_index(index, str(temporary))
    on_step("index written")
    published = IndexFile(name, sha256_of(temporary), index.ntotal)
    _open_verified(temporary, published, dim)
    on_step("index verified")
    _fsync(temporary)
    os.replace(temporary, folder / name)
    on_step("index renamed")
    _fsync(folder)
    on_step("folder synced")
    return published


def open_index(folder: Path, file: IndexFile, dim: int) -> faiss.Index:
    """The published index. Raises `LibraryDamagedError` if it is missing or not what was published."""
    path = folder / file.name
    try:
        if sha256_of(path) != file.sha256:
            raise LibraryDamagedError(
                f"The index {path} was changed or damaged: its checksum does not agree."
            )
    except OSError as error:
        raise LibraryDamagedError(f"The index {path} cannot be read: {error}.") from error
    return _open_verified(path, file, dim)


def search(
    index: faiss.Index, query: NDArray[np.float32], k: int, dead: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The ``k`` nearest chunk ids and their inner products, best first, ``dead`` ids left out.

    ``query`` has shape (dim,); fewer than ``k`` come back where the index holds fewer. Equal scores
    are ordered by chunk id, so that the same question gives the same order.
    """
    parameters = None
    if len(dead):
        parameters = faiss.SearchParameters(sel=faiss.IDSelectorNot(faiss.IDSelectorBatch(dead)))  # type: ignore[call-arg]
    scores, ids = index.search(query[np.newaxis, :], max(min(k, index.ntotal), 1), params=parameters)
    found = ids[0] >= 0
    kept_ids, kept_scores = ids[0][found], scores[0][found]
    order = np.lexsort((kept_ids, -kept_scores))
    return kept_ids[order], kept_scores[order]


def _open_verified(path: Path, file: IndexFile, dim: int) -> faiss.Index:
    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise LibraryDamagedError(f"The index {path} cannot be read: {error}.") from error
    if (index.ntotal, index.d) != (file.vectors, dim):
        raise LibraryDamagedError(
            f"The index {path} holds {index.ntotal} vectors of {index.d}; {file.vectors} of {dim} were expected."
        )
    return index


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
