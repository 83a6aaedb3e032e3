"""Files that come in through the page: kept in a private folder under names of ours, and their result lines."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Protocol

from ingest.disk import storing
from ingest.errors import TooLargeError
from ingest.readers.source import format_size
from ingest.records import FileReport, FileStatus
from ingest.sources import Source, numbered
from ingest.workspace import Workspace
from ui.presentation.formatting import count_of, ocr_help

SIGNS = {
    FileStatus.INDEXED: "✓",
    FileStatus.REPLACED: "✓",
    FileStatus.RENAMED: "=",
    FileStatus.UNCHANGED: "=",
    FileStatus.DUPLICATE: "=",
    FileStatus.REFUSED: "!",
}


# One drop of files: a shelf of books. A browser sends them one by one, and they wait in memory until all have come;
# `ui.server.upload_gate` holds them to these limits as they come. How large one may be is maxUploadSize in
# .streamlit/config.toml, and `ingest.readers.source.Limits` after it.
MOST_FILES = 1_000
MOST_BYTES = 1_000_000_000


class Upload(Protocol):
    """What Streamlit hands over for an uploaded file: a stream of bytes with the client's name for it."""

    name: str

    def read(self, size: int = -1, /) -> bytes:
        """The next ``size`` bytes."""


def keep(
    uploads: Iterable[Upload], *, replaces: bool = False
) -> tuple[list[Source], Callable[[Collection[Path]], None]]:
    """Write uploads into a new private folder; what to ingest, and a function that removes the folder, but for
    the files that it is given.

    The client's name is only ever shown, never used as a path. A name that comes twice gets a number,
    so that the second file does not replace the first. An earlier file in the library that has the name is kept too,
    unless these are to ``replaces`` such; a file with a number of ours replaces none, as nobody gave it that name.
    Raises `TooLargeError` for more files, or more bytes, than one drop may bring, `StorageError` where there is no room
    for them; nothing of it is kept then.
    """
    files = list(uploads)
    if len(files) > MOST_FILES:
        raise TooLargeError(
            f"{len(files):,} files are more than the page takes at once ({MOST_FILES:,}). Drop fewer, or add the whole "
            "folder in the terminal: secondlook ingest FOLDER"
        )
    with storing("A copy of the uploaded files"):
        room = Workspace.temporary()
        try:
            sources = _copied(files, room.folder, replaces)
        except BaseException:
            room.close()
            raise

    def clean_up(needed: Collection[Path] = ()) -> None:
        if not needed:
            room.close()
        for source in sources:
            if needed and source.path not in needed:
                source.path.unlink(missing_ok=True)

    return sources, clean_up


def _copied(files: Iterable[Upload], folder: Path, replaces: bool) -> list[Source]:
    sources, room = [], MOST_BYTES
    for number, (upload, name) in enumerate(_named_apart(files)):
        path = folder / f"upload-{number}"
        with path.open("wb") as handle:
            shutil.copyfileobj(upload, handle)
            room -= handle.tell()
        if room < 0:
            raise TooLargeError(
                f"These files have more than {format_size(MOST_BYTES)} together, the most that the page takes at once. "
                "Drop fewer, or add the whole folder in the terminal: secondlook ingest FOLDER"
            )
        as_named = name == _plain_name(upload)
        sources.append(Source.of_upload(path, name, replaces=replaces and as_named))
    return sources


def _named_apart(uploads: Iterable[Upload]) -> Iterator[tuple[Upload, str]]:
    seen: set[str] = set()
    for upload in uploads:
        plain = _plain_name(upload)
        name, copy = plain, 2
        while name in seen:
            name, copy = numbered(plain, copy), copy + 1
        seen.add(name)
        yield upload, name


def _plain_name(upload: Upload) -> str:
    return PurePath(upload.name).name or "unnamed"


def result_line(report: FileReport) -> str:
    """What became of a file, on a line or two, as people read it."""
    name, sign = short_name(report.path), SIGNS[report.status]
    words = " ".join(filter(None, (report.reason, ocr_help(report))))
    if report.status is FileStatus.REFUSED:
        return f"{sign} {words}"
    if report.status is FileStatus.DUPLICATE:
        return f"{sign} {name}: a duplicate. {report.reason}"
    if report.status is FileStatus.RENAMED:
        return f"{sign} {name}: renamed. {report.reason}"
    if report.status is FileStatus.UNCHANGED:
        return f"{sign} {name}: unchanged, it is in the library already."
    size = extent(report.chunks, report.pages)
    done = "replaced the earlier one" if report.status is FileStatus.REPLACED else "indexed"
    return f"{sign} {name}: {done}, {size}." + (f" {words}" if words else "")


def extent(chunks: int, pages: int) -> str:
    """How much a document holds: "12 passages, 3 pages", pages only where the format has them."""
    passages = count_of(chunks, "passage")
    return f"{passages}, {count_of(pages, 'page')}" if pages else passages


def short_name(name: str) -> str:
    """The last part of a path, whichever way its slashes lean."""
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or name
