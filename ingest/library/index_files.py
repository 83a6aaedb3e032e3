"""FAISS files: verified, published, opened, searched. Derived from SQLite, so always rebuildable."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import faiss

from ingest.disk import fsync, storing
from ingest.errors import LibraryDamagedError, StorageError
from ingest.library import vector_index
from ingest.library.vector_index import BuiltIndex, VectorSource
from ingest.records import sha256_of

# Whatever else lies in the folder is somebody's: a library may be made in a folder that had such a one before.
NAME = re.compile(r"\d{6,}\.faiss|\.\d{6,}\.faiss\.tmp")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A published FAISS file: its name within the library, SHA-256, number of vectors, and measured recall@100.

    ``recall`` is 1 for an exact index; for another it was measured on the library's own vectors in training.
    """

    name: str
    sha256: str
    vectors: int
    recall: float = 1.0


def publish(
    folder: Path,
    name: str,
    source: VectorSource,
    on_step: Callable[[str], None],
    before: IndexFile | None = None,
) -> IndexFile:
    """Make an index of the source's vectors and publish it under ``folder/name``, all or nothing.

    The index ``before`` is extended where that is cheaper than building anew. The file is written under a
    temporary name, read back and checked, fsynced, renamed, and its folder fsynced; ``on_step`` hears the
    name of each step after it is done.
    """
    temporary = folder / f".{name}.tmp"
    with storing(f"The index {folder / name}"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            published = _written(
                temporary, name, _extended(folder, before, source) or vector_index.build(source)
            )
            on_step("index written")
            _read_back(temporary, published, source.dim)
            on_step("index verified")
            fsync(temporary)
            os.replace(temporary, folder / name)
        except BaseException:
            temporary.unlink(missing_ok=True)  # half an index keeps the room that is wanted
            raise
        on_step("index renamed")
        fsync(folder)
        on_step("folder synced")
    return published


def index_files(folder: Path) -> list[Path]:
    """The indexes in ``folder`` that `publish` wrote, whole or half; none where there is no folder."""
    return sorted(path for path in folder.glob("*") if NAME.fullmatch(path.name))


def _written(path: Path, name: str, built: BuiltIndex) -> IndexFile:
    """Write the index to ``path``; it is let go of then: two copies would double the memory of an ingest."""
    try:
        faiss.write_index(built.index, str(path))
    except RuntimeError as error:
        raise StorageError(
            f"The index {path} cannot be written: {str(error).splitlines()[0]}. What was there before is kept; is "
            "there room left on the disk?"
        ) from error
    return IndexFile(name, sha256_of(path), built.index.ntotal, built.recall)


def _read_back(path: Path, published: IndexFile, dim: int) -> None:
    """FAISS does not hear of what the disk refuses when a file is closed; what was written is looked at again."""
    try:
        _open_verified(path, published, dim)
    except LibraryDamagedError as error:
        raise StorageError(
            f"The index was not written whole. {error} What was there before is kept; is there room left on the disk?"
        ) from error


def open_index(folder: Path, file: IndexFile, dim: int) -> faiss.Index:
    """The published index. Raises `LibraryDamagedError` if it is missing or not what was published.

    It is read into memory. Mapping the file would share it between processes, but a file that is cut short
    while mapped ends the process with a signal instead of an error, and Windows could not remove old files.
    """
    path = folder / file.name
    try:
        if sha256_of(path) != file.sha256:
            raise LibraryDamagedError(
                f"The index {path} was changed or damaged: its checksum does not agree."
            )
    except OSError as error:
        raise LibraryDamagedError(f"The index {path} cannot be read: {error}.") from error
    return _open_verified(path, file, dim)


def _extended(folder: Path, before: IndexFile | None, source: VectorSource) -> BuiltIndex | None:
    """The index ``before`` brought up to the source, or ``None`` where it must be built anew."""
    if before is None or len(source.ids) <= vector_index.EXACT_LIMIT:
        return None
    try:
        index = open_index(folder, before, source.dim)
    except LibraryDamagedError:
        return None  # building anew from SQLite is the remedy
    return vector_index.extended(BuiltIndex(index, before.recall), source)


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
