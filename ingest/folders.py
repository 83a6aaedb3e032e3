"""Folders that a library follows: which of its files are gone from them, and what changed in one just now."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import UsageError
from ingest.library.files.originals import UPLOAD
from ingest.library.library import Library
from ingest.library.writer import writing
from ingest.notices import Help, Remedy
from ingest.sources import Source, is_passed_over, walk, within


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was taken out: how many documents, and the paths of their files as they were given."""

    documents: int
    paths: tuple[str, ...]


def prune(library: Library, folders: Sequence[Path], *, even_empty: bool = False) -> Pruned:
    """Take out the documents whose files were in these folders and are gone.

    A file that is there and cannot be read, or whose folder cannot, is not gone. Raises `UsageError` where a folder
    cannot be read or holds no file that can, which is how a disk looks that is not there at the moment, unless that is
    meant (``even_empty``); nothing is taken out then.
    """
    present: set[str] = set()
    for folder in folders:
        sources = list(walk([folder])) if os.path.isdir(folder) else []
        present |= {source.key for source in sources}
        if not even_empty and all(source.fault for source in sources):
            why = "cannot be read" if sources or not os.path.isdir(folder) else "is empty"
            raise UsageError(
                f"{folder} {why}, so that all its documents would be taken out; nothing is. If that is meant, say so.",
                Help(Remedy.PRUNE_EMPTY),
            )
    return _take_out(library, folders, present)


def forget_deleted(library: Library, folders: Sequence[Path], deleted: Iterable[Path]) -> Pruned:
    """Take out the documents of files that were deleted just now: of these paths, or of what was in them.

    Nothing is taken out of a folder that is gone itself, as a disk is that was unplugged.
    """
    there = [folder for folder in folders if os.path.isdir(folder)]
    places = [Path(os.path.realpath(path.parent), path.name) for path in deleted]
    inside = [
        path for path in places if any(path.is_relative_to(os.path.realpath(folder)) for folder in there)
    ]
    return _take_out(library, inside, set()) if inside else Pruned(0, ())


def _take_out(library: Library, places: Sequence[Path], present: set[str]) -> Pruned:
    """Take out what came from these places, is not ``present`` by its key, and is gone."""
    roots = [os.path.realpath(place) for place in places]
    gone = [
        document
        for document in library.documents()
        if not document.source.startswith(UPLOAD) and document.source not in present
        and any(Path(document.source).is_relative_to(root) for root in roots) and is_gone(document.source)
    ]  # fmt: skip
    if gone:
        with writing(library) as writer:
            writer.delete([document.id for document in gone])
    return Pruned(len(gone), tuple(dict.fromkeys(document.path for document in gone)))


def is_gone(key: str) -> bool:
    """Whether nothing is at the path that is the key of a file; not where nobody may look."""
    try:
        os.lstat(key)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def changed_sources(folders: Sequence[Path], paths: Iterable[Path]) -> Iterator[Source]:
    """The files to read of paths (absolute ones) that changed in these folders: as `walk` would give them."""
    keys: set[str] = set()
    for path in sorted(paths):
        for folder in folders:
            root = folder.absolute()
            if path.is_relative_to(root) and os.path.lexists(path) and not is_passed_over(root, path):
                for source in within(folder, folder / path.relative_to(root)):
                    if source.key not in keys:
                        keys.add(source.key)
                        yield source
                break
