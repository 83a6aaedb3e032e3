"""A library as one file: what it holds, without what is derived. Written whole or not at all; never a pickle.

A zip of these members, in this order:

    documents.jsonl   a document a line: its text, its structure, its source, and how many passages it was cut into
    chunks.jsonl      a passage a line, in the documents' order: its place; its text is the document's at that place
    sources.jsonl     files as they were read, so that the same file is not read again
    vectors.f32       a record a passage: 32 bytes of its hash, then its vector as little-endian float32
    labels.jsonl      judgements
    places.jsonl      where judged passages stood in both orders
    originals.jsonl   where it was asked for: the files that are kept, a source a line
    originals/SHA256  each of these files, as it is
    (attachments)     files of the library's folder that later stages keep there
    contents.json     the format, what made the library, and size and SHA-256 of every member

Times, order and attributes are fixed, so that one library gives the same bytes each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingest.disk import fsync
from ingest.errors import LibraryDamagedError, LibraryError, UsageError
from ingest.library import renaming
from ingest.library.files import metadata
from ingest.library.files.originals import ORIGINALS, Original, opened
from ingest.library.health.checks import chunks_fault, document_fault, vector_fault
from ingest.library.label_records import Label
from ingest.library.labels import Labels
from ingest.library.library import Library, Manifest, read_manifest, transaction
from ingest.library.rows import document_of
from ingest.library.snapshot import Snapshot
from ingest.notices import Help, Remedy
from ingest.sources import NO_FILE, is_no_file
from ingest.workspace import EXPORTING, Workspace

# Raise it when the form of the members changes. An export with originals has the second format, and others still the
# first, which earlier versions read.
PLAIN_FORMAT, ARCHIVE_FORMAT = 1, 2
DOCUMENTS, CHUNKS, SOURCES = "documents.jsonl", "chunks.jsonl", "sources.jsonl"
VECTORS_MEMBER, LABELS_MEMBER, PLACES = "vectors.f32", "labels.jsonl", "places.jsonl"
ORIGINALS_MEMBER = f"{ORIGINALS}.jsonl"
CONTENTS = "contents.json"
MEMBERS = (DOCUMENTS, CHUNKS, SOURCES, VECTORS_MEMBER, LABELS_MEMBER, PLACES)
HASH_BYTES = 32
PIECE = 1 << 20
# The earliest time that a zip can state: a member's own time would make every export different.
EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds, and its size in bytes."""

    documents: int
    chunks: int
    labels: int
    bytes: int


def export_library(
    library: Library, file: Path, *, vectors: bool = True, attachments: Sequence[str] = (),
    with_originals: bool = False,
) -> Exported:  # fmt: skip
    """Write the library to ``file``, in place of an earlier export, with those ``attachments`` that its folder has,
    and the files that it keeps where they are wanted.

    One generation is exported, whatever a writer does meanwhile. Raises `LibraryDamagedError` where a document, a
    passage or a vector is not what was stored, `LibraryError` where ``file`` cannot be written, `UsageError` where it
    is a folder or a device, lies within the library, or is there already and is no export.
    """
    if not file.name or file.is_dir():
        raise UsageError(f"{file} is a folder. Say which file to write the export to, my-library.zip say.")
    if is_no_file(file):
        raise UsageError(f"{file} {NO_FILE}")
    # Where it might take the place of the database itself.
    if library.folder.resolve() in file.resolve().parents:
        raise UsageError(f"{file} lies within the library. Write the export beside it, or elsewhere.")
    try:
        if file.exists() and not _is_export(file):
            raise UsageError(
                f"{file} is there already and is no export; it is left as it is. Name another file."
            )
        with Workspace(file.parent, EXPORTING) as aside:
            temporary = aside / "export.zip"
            with temporary.open("wb") as handle:
                with zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED) as archive:
                    counts = _write(library, _Members(archive), vectors, attachments, with_originals)
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, file)
        fsync(file.parent)
    except OSError as error:
        raise LibraryError(
            f"The export {file} cannot be written: {error.strerror or error}. Free the disk, or choose another place."
        ) from error
    return Exported(*counts, file.stat().st_size)


class _Members:
    """Writes members one after the other, and keeps their sizes and checksums."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.written: dict[str, dict[str, object]] = {}
        self._archive = archive

    @contextmanager
    def member(self, name: str, packing: int = zipfile.ZIP_DEFLATED) -> Iterator[Callable[[bytes], None]]:
        info = zipfile.ZipInfo(name, EPOCH)
        info.compress_type, info.external_attr, info.create_system = packing, 0o644 << 16, 3
        state, size = hashlib.sha256(), 0
        with self._archive.open(info, "w", force_zip64=True) as handle:

            def write(raw: bytes) -> None:
                nonlocal size
                state.update(raw)
                size += len(raw)
                handle.write(raw)

            yield write
        self.written[name] = {"bytes": size, "sha256": state.hexdigest()}

    def lines(self, name: str, rows: Iterable[dict[str, Any]]) -> int:
        """Write a row of JSON a line; how many."""
        number = 0
        with self.member(name) as write:
            for number, row in enumerate(rows, start=1):  # noqa: B007 - the last number is the count
                write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        return number


def _is_export(file: Path) -> bool:
    """Whether a file is such a zip, and not another: Word's files are some, too."""
    try:
        with zipfile.ZipFile(file) as archive:
            return CONTENTS in archive.namelist()
    except zipfile.BadZipFile:
        return False


def _write(
    library: Library, members: _Members, vectors: bool, attachments: Sequence[str], with_originals: bool
) -> tuple[int, int, int]:
    with library.connection() as db, transaction(db, "DEFERRED"):
        manifest, active = read_manifest(db, library.folder), Snapshot(db).generation.id
        documents = members.lines(DOCUMENTS, _documents(db, active, library.folder))
        chunks = members.lines(CHUNKS, _chunks(db, active))
        members.lines(SOURCES, _sources(db, active))
        if vectors:
            with members.member(VECTORS_MEMBER) as write:
                for record in _vectors(db, active, manifest, library.folder):
                    write(record)
        if with_originals:
            _write_originals(db, active, library.folder, members)
    store = Labels(library)
    labels = members.lines(LABELS_MEMBER, map(_label, sorted(store.all(), key=_label_order)))
    members.lines(PLACES, _places(store))
    for name in sorted(attachments):
        if (library.folder / name).is_file():
            with members.member(name) as write:
                write((library.folder / name).read_bytes())
    format = ARCHIVE_FORMAT if with_originals else PLAIN_FORMAT
    contents = {"format": format, "library": asdict(manifest), "members": dict(members.written)}
    with members.member(CONTENTS) as write:
        write(json.dumps(contents, ensure_ascii=False, indent=1).encode() + b"\n")
    return documents, chunks, labels


def _write_originals(db: sqlite3.Connection, active: int, folder: Path, members: _Members) -> None:
    """The files that are kept, each once, without packing: a file may hold a thousand times less than it says."""
    rows = db.execute(
        "SELECT source, sha256, bytes, name FROM originals WHERE born <= ? ORDER BY source", (active,)
    ).fetchall()
    members.lines(ORIGINALS_MEMBER, (dict(row) for row in rows))
    for original in {row["sha256"]: Original(*row) for row in rows}.values():
        with (
            opened(folder, original) as file,
            members.member(f"{ORIGINALS}/{original.sha256}", zipfile.ZIP_STORED) as write,
        ):
            while piece := file.read(PIECE):
                write(piece)


def _documents(db: sqlite3.Connection, active: int, folder: Path) -> Iterator[dict[str, Any]]:
    numbers = db.execute("SELECT number FROM documents WHERE born <= ? ORDER BY number", (active,)).fetchall()
    for (number,) in numbers:
        row = db.execute("SELECT * FROM documents WHERE number = ?", (number,)).fetchone()
        chunks = db.execute("SELECT * FROM chunks WHERE document = ? ORDER BY id", (number,)).fetchall()
        fault = document_fault(row) or chunks_fault(document_of(row), row["chunk_count"], chunks)
        if fault:
            raise _damaged(folder, f"the document “{row['title']}”: {fault}")
        plain = ("source", "key", "title", "path", "format", "source_id", "text")
        structure = ("pages", "headings", "pages_without_text", "blocks", "pages_by_ocr")
        yield (
            {name: row[name] for name in plain}
            | {name: json.loads(row[name]) for name in structure}
            | {"identity": renaming.identity_of(db, row["source"]), "chunks": len(chunks)}
            | {"metadata": asdict(metadata.of_document(db, number))}
        )


def _chunks(db: sqlite3.Connection, active: int) -> Iterator[dict[str, Any]]:
    rows = db.execute(
        'SELECT c.start, c."end", c.page, c.page_end, c.heading, c.context FROM chunks AS c '
        "JOIN documents AS d ON d.number = c.document WHERE d.born <= ? ORDER BY d.number, c.id",
        (active,),
    )
    return ({**dict(row), "heading": json.loads(row["heading"])} for row in rows)


def _sources(db: sqlite3.Connection, active: int) -> Iterator[dict[str, Any]]:
    rows = db.execute("SELECT key, file_hash, report FROM sources WHERE born <= ? ORDER BY key", (active,))
    return ({**dict(row), "report": json.loads(row["report"])} for row in rows)


def _vectors(db: sqlite3.Connection, active: int, manifest: Manifest, folder: Path) -> Iterator[bytes]:
    rows = db.execute(
        "SELECT v.passage_hash, v.vector FROM vectors AS v JOIN encoders AS e ON e.id = v.encoder "
        "WHERE e.identity = ? AND EXISTS (SELECT 1 FROM chunks AS c JOIN documents AS d ON d.number = c.document "
        "WHERE c.passage_hash = v.passage_hash AND d.born <= ?) ORDER BY v.passage_hash",
        (manifest.identity, active),
    )
    for name, raw in rows:
        fault = vector_fault(raw, manifest.dim)
        if fault:
            raise _damaged(folder, f"a vector: {fault}")
        yield bytes.fromhex(name) + raw


def _damaged(folder: Path, what: str) -> LibraryDamagedError:
    return LibraryDamagedError(
        f"The library {folder} is not exported, because it is damaged ({what}). Repair it first.",
        Help(Remedy.REPAIR, folder),
    )


def _label_order(label: Label) -> tuple[str, str]:
    return label.query, label.passage_hash


def _label(label: Label) -> dict[str, Any]:
    return {
        "query": label.query, "passage_hash": label.passage_hash, "grade": int(label.grade),
        "judged": label.judged.isoformat(timespec="microseconds"),
        "passage": None if label.passage is None else asdict(label.passage),
    }  # fmt: skip


def _places(store: Labels) -> Iterator[dict[str, Any]]:
    # The pair that comes first is written last: of pairs with as many queries, the latest written comes first.
    for pair in reversed(store.pairs()):
        for query, places in sorted(store.places(pair).items()):
            ranks = {name: [place.before, place.after] for name, place in sorted(places.items())}
            yield {"pair": list(asdict(pair).values()), "query": query, "places": ranks}
