"""Make a library from an exported file. The file is untrusted: known members only, bounded, and checksums verified.

No member's name becomes a path. The library is made in a folder aside and appears whole, by one rename.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ingest.chunker import MAX_TITLE_CHARACTERS
from ingest.disk import fsync
from ingest.errors import DamagedFileError, LibraryError, NewerFormatError, TooLargeError, UsageError
from ingest.library.archive.export import (
    ARCHIVE_FORMAT,
    CHUNKS,
    CONTENTS,
    DOCUMENTS,
    HASH_BYTES,
    LABELS_MEMBER,
    MEMBERS,
    ORIGINALS_MEMBER,
    PIECE,
    PLACES,
    PLAIN_FORMAT,
    SOURCES,
    VECTORS_MEMBER,
)
from ingest.library.files.originals import NAME, ORIGINALS
from ingest.library.health.checks import passage_hash, vector_fault
from ingest.library.label_records import Grade, JudgedRanks, Label, LabelledPassage, ModelPair, Places
from ingest.library.labels import Labels, normal_query
from ingest.library.library import Library, Manifest
from ingest.library.rows import blocks_from_json, report_of
from ingest.library.trust import name_fault
from ingest.library.writer import LibraryWriter, writing
from ingest.notices import Help, Remedy
from ingest.readers.process.wire import metadata_from_wire
from ingest.records import Chunk, Document, Heading, Metadata, Page, sha256_of
from ingest.sources import NO_FILE, is_no_file
from ingest.workspace import IMPORTING, Workspace

# Wrong in form: what the constructors of our records, JSON and zip say of content that is not ours.
MALFORMED = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
    RecursionError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
)
BATCH = 4096


@dataclass(frozen=True, slots=True)
class Imported:
    """What the new library holds; ``without_vector`` passages are found only after a rebuild."""

    documents: int
    chunks: int
    labels: int
    without_vector: int


def import_library(
    file: Path, folder: Path, *, attachments: Collection[str] = (), limits: ArchiveLimits | None = None
) -> Imported:
    """Make a library in ``folder``, which must not exist or be empty, from an exported ``file``.

    ``attachments`` are the names that are taken into the library's folder beside its own members. Raises
    `UsageError` for a folder that holds something or has no name and for a device, `DamagedFileError`, `TooLargeError`,
    `NewerFormatError` and `LibraryError`; after any of them ``folder`` is as it was.
    """
    if not folder.name:  # “.” cannot be replaced while somebody works in it
        raise UsageError(f"Import into a folder that does not exist yet; {folder} is where you are.")
    folder = Path(os.path.realpath(folder))  # a link to an empty folder stays one
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty. Import into a folder that does not exist yet.")
    if is_no_file(file):
        raise UsageError(f"{file} {NO_FILE}")
    try:
        with zipfile.ZipFile(file) as archive:
            source = ArchiveSource(file, archive, attachments, limits or ArchiveLimits())
            return _place(source, folder)
    except MALFORMED as error:
        raise DamagedFileError(
            f"{file} is no export of Second Look, or it is damaged ({type(error).__name__}: {error}). Nothing was "
            "imported. Export the library again.",
            Help(Remedy.EXPORT),
        ) from error
    except OSError as error:
        raise LibraryError(f"{file} cannot be imported into {folder}: {error.strerror or error}.") from error


def _place(source: ArchiveSource, folder: Path) -> Imported:
    folder.parent.mkdir(parents=True, exist_ok=True)
    source.check_space(folder.parent)
    with Workspace(folder.parent, IMPORTING) as aside:
        making = aside / "library"
        imported = _fill(source, making)
        if folder.exists():
            folder.rmdir()
        os.rename(making, folder)
        fsync(folder.parent)
    return imported


def _fill(source: ArchiveSource, making: Path) -> Imported:
    library = Library.create(making, source.manifest)
    with writing(library) as writer:
        documents, chunks, lacking = _stage(source, writer)
        if documents:
            writer.publish()
    store = Labels(library)
    labels = store.merge(map(_label, source.lines(LABELS_MEMBER))).added
    for row in source.lines(PLACES):
        ranks = {name: Places(*map(int, place)) for name, place in row["places"].items()}
        store.note_ranks(row["query"], JudgedRanks(ModelPair(*map(text_of, row["pair"])), ranks))
    for name in source.attached:
        (making / name).write_bytes(source.whole(name))
    return Imported(documents, chunks, labels, lacking)


def _stage(source: ArchiveSource, writer: LibraryWriter) -> tuple[int, int, int]:
    """Stage all documents; how many, how many passages, and how many of those lack a vector."""
    documents, chunks, hashes = 0, 0, set[str]()
    places = source.lines(CHUNKS)
    for row in source.lines(DOCUMENTS):
        document = _document(row)
        cut = [_chunk(document, place) for place in islice(places, int(row["chunks"]))]
        if len(cut) != row["chunks"] or not cut:
            raise ValueError(f"the passages of “{document.title}” are not all there")
        writer.stage(text_of(row["source"]), document, cut)
        identity = text_of(row.get("identity", row["source"]))  # exports of earlier versions have none
        if not document.key.startswith(identity):
            raise ValueError(f"“{document.title}” is known by a key that is not of its file")
        writer.remember_identity(text_of(row["source"]), identity)
        hashes |= {chunk.passage_hash for chunk in cut}
        documents, chunks = documents + 1, chunks + len(cut)
    if next(places, None) is not None:
        raise ValueError("there are passages of no document")
    for row in source.lines(SOURCES):
        report = report_of(json.dumps(row["report"]))
        writer.stage_source(text_of(row["key"]), text_of(row["file_hash"]), report)
    _keep_originals(source, writer)
    return documents, chunks, len(hashes) - _put_vectors(source, writer, hashes)


def _keep_originals(source: ArchiveSource, writer: LibraryWriter) -> None:
    """Keep the files that came along, each of which has the hash that it goes by; its name becomes no path."""
    if not source.has(ORIGINALS_MEMBER):
        return
    with Workspace.temporary() as aside:
        for row in source.lines(ORIGINALS_MEMBER):
            sha256 = text_of(row["sha256"])
            if sha256 not in source.originals:
                raise ValueError("an original is not there")
            file = aside / "original"
            with file.open("wb") as copy:
                for piece in source.pieces(f"{ORIGINALS}/{sha256}"):
                    copy.write(piece)
            if sha256_of(file) != sha256:
                raise ValueError("an original is not what it is said to be")
            writer.keep_original(
                text_of(row["source"]), text_of(row["name"]), file, sha256, lambda: None, pending=True
            )


def _put_vectors(source: ArchiveSource, writer: LibraryWriter, hashes: set[str]) -> int:
    """Store the vectors; how many."""
    dim, count = source.manifest.dim, 0
    records = source.records(VECTORS_MEMBER, HASH_BYTES + 4 * dim)
    while batch := list(islice(records, BATCH)):
        rows = {record[:HASH_BYTES].hex(): record[HASH_BYTES:] for record in batch}
        fault = next((fault for raw in rows.values() if (fault := vector_fault(raw, dim))), "")
        if fault or not rows.keys() <= hashes:
            raise ValueError(f"a vector is damaged: {fault or 'it belongs to no passage'}")
        writer.put_vectors({name: np.frombuffer(raw, dtype="<f4") for name, raw in rows.items()})
        count += len(rows)
    return count


def _document(row: dict[str, Any]) -> Document:
    source_id = row["source_id"]
    return Document(
        key=text_of(row["key"]), title=text_of(row["title"]), path=text_of(row["path"]), format=text_of(row["format"]),
        text=text_of(row["text"]), pages=tuple(Page(*map(number_of, page)) for page in row["pages"]),
        headings=tuple(
            Heading(number_of(level), number_of(start), text_of(text)) for level, start, text in row["headings"]
        ),
        pages_without_text=tuple(map(number_of, row["pages_without_text"])),
        source_id=None if source_id is None else text_of(source_id),
        blocks=blocks_from_json(row.get("blocks", ())),  # exports of earlier versions have none
        pages_by_ocr=tuple(map(number_of, row.get("pages_by_ocr", ()))),
        metadata=metadata_from_wire(row["metadata"]) if "metadata" in row else Metadata(),  # likewise
    )  # fmt: skip


def _chunk(document: Document, place: dict[str, Any]) -> Chunk:
    start, end = number_of(place["start"]), number_of(place["end"])
    if not 0 <= start < end <= len(document.text):
        raise ValueError(f"a passage of “{document.title}” lies outside its text")
    page, page_end = (
        None if place[name] is None else number_of(place[name]) for name in ("page", "page_end")
    )
    return Chunk(
        -1, document.id, document.title[:MAX_TITLE_CHARACTERS], document.path, page=page, page_end=page_end,
        heading=tuple(map(text_of, place["heading"])), start=start, end=end, text=document.text[start:end],
        context=text_of(place.get("context", "")),  # exports of earlier versions have none
    )  # fmt: skip


def _label(row: dict[str, Any]) -> Label:
    fields = row["passage"]
    if fields is not None and passage_hash({"context": "", **fields}) != row["passage_hash"]:
        raise ValueError("the passage of a label is not the one that was judged")
    passage = None if fields is None else LabelledPassage(**fields)
    return Label(
        normal_query(row["query"]), text_of(row["passage_hash"]), Grade(row["grade"]),
        datetime.fromisoformat(row["judged"]), passage,
    )  # fmt: skip


MAX_DIM = 65_536


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an import accepts, in bytes: of all members unpacked, of one line, and of contents and attachments.

    A member that unpacks to over ``ratio`` times its size is refused once it is larger than ``small``: text and JSON
    shrink to a tenth or so, a zip bomb to a thousandth.
    """

    total: int = 64 << 30
    line: int = 512 << 20
    small: int = 16 << 20
    ratio: int = 250


class ArchiveSource:
    """An opened export: its members as streams, whose ends verify their checksums."""

    def __init__(
        self, file: Path, archive: zipfile.ZipFile, attachments: Collection[str], limits: ArchiveLimits
    ) -> None:
        """Raises `NewerFormatError`, `TooLargeError`, and ``ValueError`` and its like for what is no export."""
        self._file, self._archive, self._limits = file, archive, limits
        self._infos = {info.filename: info for info in archive.infolist()}
        self.originals = {
            name.removeprefix(f"{ORIGINALS}/") for name in self._infos if name.startswith(f"{ORIGINALS}/")
        }
        named = {f"{ORIGINALS}/{name}" for name in self.originals if NAME.fullmatch(name)}
        self._check_members({*MEMBERS, CONTENTS, ORIGINALS_MEMBER, *attachments, *named})
        self._members: dict[str, Any] = {}
        contents = json.loads(self.whole(CONTENTS))
        if contents["format"] not in (PLAIN_FORMAT, ARCHIVE_FORMAT):
            raise NewerFormatError(
                f"{file} has the export format {contents['format']}; this version of Second Look reads "
                f"{ARCHIVE_FORMAT}. Update Second Look, or export again with this version."
            )
        self._members = contents["members"]
        if {*self._members, CONTENTS} != self._infos.keys():
            raise ValueError("its members are not those that it lists")
        self.manifest = _manifest(contents["library"])
        self.attached = sorted(self._infos.keys() & set(attachments))

    def _check_members(self, names: set[str]) -> None:
        if len(self._infos) != len(self._archive.infolist()):
            raise ValueError("a member is there twice")
        strange = sorted(self._infos.keys() - names)
        if strange:
            raise ValueError(f"it has a member “{strange[0][:80]}”, which no export has")
        for info in self._infos.values():
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"its member {info.filename} is packed in a way that no export is")
            large = info.file_size > self._limits.small
            if large and info.file_size > self._limits.ratio * max(info.compress_size, 1):
                raise TooLargeError(
                    f"{self._file} is refused: its member {info.filename} unpacks to {info.file_size:,} bytes from "
                    f"{info.compress_size:,}, as a zip bomb does."
                )

    def check_space(self, folder: Path) -> None:
        """Raise `TooLargeError` if the members are over the limit, or over what the disk has free."""
        total = sum(info.file_size for info in self._infos.values())
        room = min(self._limits.total, shutil.disk_usage(folder).free)
        if total > room:
            raise TooLargeError(
                f"{self._file} unpacks to {total:,} bytes; {room:,} are allowed and free in {folder}. Free "
                "the disk, or import it elsewhere."
            )

    def whole(self, name: str) -> bytes:
        """A small member's bytes."""
        if self._infos[name].file_size > self._limits.small:
            raise TooLargeError(f"{self._file} is refused: its member {name} is larger than any export's.")
        raw = self._archive.read(name)
        self._verify(name, hashlib.sha256(raw).hexdigest(), len(raw))
        return raw

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The rows of a member."""
        state, size = hashlib.sha256(), 0
        with self._archive.open(name) as handle:
            while line := handle.readline(self._limits.line + 1):
                if len(line) > self._limits.line:
                    raise TooLargeError(
                        f"{self._file} is refused: a line of {name} is larger than any export's."
                    )
                state.update(line)
                size += len(line)
                yield json.loads(line)
        self._verify(name, state.hexdigest(), size)

    def has(self, name: str) -> bool:
        """Whether the export has this member."""
        return name in self._infos

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of a member of any size."""
        yield from self.records(name, PIECE)

    def records(self, name: str, width: int) -> Iterator[bytes]:
        """The records of ``width`` bytes of a member, none where the export was made without it."""
        if name not in self._infos:
            return
        state, size = hashlib.sha256(), 0
        with self._archive.open(name) as handle:
            while record := handle.read(width):
                state.update(record)
                size += len(record)
                yield record
        self._verify(name, state.hexdigest(), size)

    def _verify(self, name: str, sha256: str, size: int) -> None:
        if name != CONTENTS and self._members[name] != {"bytes": size, "sha256": sha256}:
            raise ValueError(f"the checksum of its member {name} does not agree")


def _manifest(fields: dict[str, Any]) -> Manifest:
    manifest = Manifest(**fields)
    numbers = (manifest.dim, manifest.chunk_tokens, manifest.chunker_version)
    if not all(type(number) is int and number > 0 for number in numbers) or manifest.dim > MAX_DIM:
        raise ValueError("it does not say what made it")
    text_of(manifest.identity)
    if fault := name_fault(text_of(manifest.encoder)):
        raise ValueError(fault)
    return manifest


def text_of(value: object) -> str:
    """The value, which must be text. Raises ``TypeError``."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} stands where text should be")
    return value


def number_of(value: object) -> int:
    """The value, which must be a whole number. Raises ``TypeError``."""
    if type(value) is not int:
        raise TypeError(f"{value!r:.40} stands where a whole number should be")
    return value
