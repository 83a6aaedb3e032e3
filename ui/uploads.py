"""Files that come in through the page: kept in a private folder under names of ours, and their result lines."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import IO, Protocol

from ingest.intake import Source
from ingest.records import FileReport, FileStatus
from ui.words import count_of

SIGNS = {
    FileStatus.INDEXED: "✓",
    FileStatus.UNCHANGED: "=",
    FileStatus.DUPLICATE: "=",
    FileStatus.REFUSED: "!",
}


class Upload(Protocol):
    """What Streamlit hands over for an uploaded file: a stream of bytes with the client's name for it."""

    name: str

    def read(self, size: int = -1, /) -> bytes:
        """The next ``size`` bytes."""


def keep(uploads: Iterable[Upload]) -> tuple[list[Source], Callable[[], None]]:
    """Write uploads into a new private folder; what to ingest, and a function that removes the folder.

    The client's name is only ever shown, never used as a path. A name that comes twice gets a number,
    so that the second file does not replace the first.
    """
    folder = tempfile.TemporaryDirectory(prefix="second-look-")  # mode 0700; also removed at exit
    sources = []
    for number, (upload, name) in enumerate(_named_apart(uploads)):
        path = Path(folder.name) / f"upload-{number}"
        with path.open("wb") as handle:
            _copy(upload, handle)
        sources.append(Source.of_upload(path, name))
    return sources, folder.cleanup


def _named_apart(uploads: Iterable[Upload]) -> Iterator[tuple[Upload, str]]:
    seen: set[str] = set()
    for upload in uploads:
        plain = PurePath(upload.name).name or "unnamed"
        stem, suffix = PurePath(plain).stem, PurePath(plain).suffix
        name, copy = plain, 2
        while name in seen:
            name, copy = f"{stem} ({copy}){suffix}", copy + 1
        seen.add(name)
        yield upload, name


def _copy(upload: Upload, handle: IO[bytes]) -> None:
    shutil.copyfileobj(upload, handle)


def result_line(report: FileReport) -> str:
    """What became of a file, on a line or two, as people read it."""
    name, sign = short_name(report.path), SIGNS[report.status]
    if report.status is FileStatus.REFUSED:
        return f"{sign} {report.reason}"
    if report.status is FileStatus.DUPLICATE:
        return f"{sign} {name}: a duplicate. {report.reason}"
    if report.status is FileStatus.UNCHANGED:
        return f"{sign} {name}: unchanged, it is in the library already."
    size = extent(report.chunks, report.pages)
    return f"{sign} {name}: indexed, {size}." + (f" {report.reason}" if report.reason else "")


def extent(chunks: int, pages: int) -> str:
    """How much a document holds: "12 passages, 3 pages", pages only where the format has them."""
    passages = count_of(chunks, "passage")
    return f"{passages}, {count_of(pages, 'page')}" if pages else passages


def short_name(name: str) -> str:
    """The last part of a path, whichever way its slashes lean."""
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or name
