"""A library on disk. SQLite is the truth, FAISS is derived from it, and a reader sees one generation.

library.sqlite          documents, chunks, vectors, manifest, generations
vectors/NNNNNN.faiss    the active generation's index
originals/SHA256        the files that documents were read from
writer.lock             held while someone writes
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ingest.chunker import CHUNKER_VERSION, DEFAULT_CHUNK_TOKENS
from ingest.disk import refusal, storing
from ingest.errors import (
    DocumentNotFoundError,
    EncoderMismatchError,
    LibraryDamagedError,
    LibraryNotFoundError,
    StorageError,
    UsageError,
)
from ingest.library.files.originals import KEEPS_ORIGINALS
from ingest.library.schema import connect, migrate
from ingest.library.snapshot import DocumentInfo, Generation, Snapshot
from ingest.models.spec import ModelSpec
from ingest.notices import Help, Remedy
from ingest.workspace import MAKING, Workspace

DATABASE = "library.sqlite"
VECTORS = "vectors"
LOCK = "writer.lock"
# Seconds that one process waits for another that makes the same library, which takes milliseconds.
LONGEST_MAKING = 10.0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What made a library: encoder (name and identity), width of its vectors, and how chunks were cut."""

    encoder: str
    identity: str
    dim: int
    chunk_tokens: int
    chunker_version: int

    @classmethod
    def of(cls, spec: ModelSpec, chunk_tokens: int = DEFAULT_CHUNK_TOKENS) -> Manifest:
        """The manifest of a library that is made with this encoder."""
        if spec.dim is None:
            raise UsageError(
                f"The encoder {spec.name} does not say how wide its vectors are; choose another."
            )
        return cls(spec.name, spec.identity, spec.dim, chunk_tokens, CHUNKER_VERSION)


class Library:
    """A library's door. Cheap to make; every call opens its own connection, so threads may share it."""

    def __init__(self, folder: Path) -> None:
        """Open the library in ``folder``. Raises `LibraryNotFoundError`, `NewerFormatError`, `LibraryDamagedError`."""
        self.folder = folder
        if not (folder / DATABASE).is_file():
            raise not_there(folder)
        if not (folder / DATABASE).stat().st_size:  # SQLite takes it for a new one
            raise LibraryDamagedError(
                f"The library file {folder / DATABASE} is empty (0 bytes), and every text is gone with what it held. "
                "Restore it from a copy, or delete it and add the documents again."
            )
        with self.connection() as db:
            migrate(db, folder / DATABASE)

    @classmethod
    def exists(cls, folder: Path) -> bool:
        """Whether ``folder`` holds a library."""
        return (folder / DATABASE).is_file()

    @classmethod
    def create(cls, folder: Path, manifest: Manifest, notes: Mapping[str, object] | None = None) -> Library:
        """Make an empty library in ``folder``, or open the one that is there.

        It appears whole: whoever looks at the same moment sees no library, or one with its manifest and these ``notes``
        (see `note`), which one that is there does not get.
        """
        if not cls.exists(folder):
            with storing(f"A library in {folder}"):
                folder.mkdir(parents=True, exist_ok=True)
                with Workspace(folder, MAKING) as aside:
                    _write_empty(aside / DATABASE, manifest, notes or {})
                    # The lock, and not a link, which fails on sticks and shares: it never takes the place of a
                    # library that came first.
                    with FileLock(folder / LOCK, timeout=LONGEST_MAKING):
                        if not cls.exists(folder):
                            os.rename(aside / DATABASE, folder / DATABASE)
        return cls(folder)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of one's own, closed at the end; SQLite's errors become sentences.

        Raises `StorageError` where the disk refuses, `LibraryNotFoundError` where the library was removed meanwhile,
        `LibraryDamagedError` for whatever else SQLite says.
        """
        try:
            with closing(connect(self.folder / DATABASE)) as db:
                yield db
        except sqlite3.DatabaseError as error:
            raise self._sentence(error) from error

    def _sentence(
        self, error: sqlite3.DatabaseError
    ) -> StorageError | LibraryDamagedError | LibraryNotFoundError:
        if not (self.folder / DATABASE).is_file():
            return not_there(self.folder)  # removed since it was opened
        if refused := refusal(f"The library {self.folder}", error):
            return refused
        if isinstance(error, sqlite3.OperationalError):
            return LibraryDamagedError(f"The library {self.folder} cannot be used just now: {error}.")
        return LibraryDamagedError(
            f"The library file {self.folder / DATABASE} is damaged ({error}). Restore it from a copy, or delete the "
            "folder and add the documents again."
        )

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One unchanging view of the library, whatever a writer does meanwhile."""
        with self.connection() as db, transaction(db, "DEFERRED"):
            yield Snapshot(db)

    def manifest(self) -> Manifest:
        """What made the library."""
        with self.connection() as db:
            return read_manifest(db, self.folder)

    @property
    def is_cut_as_before(self) -> bool:
        """Whether an earlier version cut its passages; a rebuild cuts them anew from the texts that are kept."""
        return self.manifest().chunker_version < CHUNKER_VERSION

    @property
    def keeps_originals(self) -> bool:
        """Whether the files that documents are read from are kept in it: unless somebody said otherwise."""
        return self.noted(KEEPS_ORIGINALS) is not False

    def originals_size(self) -> tuple[int, int]:
        """How many files are kept, and their bytes together; two documents' same file counts once."""
        with self.connection() as db:
            row = db.execute(
                "SELECT count(*), coalesce(sum(bytes), 0) FROM (SELECT sha256, bytes FROM originals "
                "UNION SELECT sha256, bytes FROM replaced)"
            ).fetchone()
        return int(row[0]), int(row[1])

    def note(self, name: str, value: object) -> None:
        """Keep a value for a later stage, as JSON under a name that is no manifest's field; ``None`` forgets it."""
        with self.connection() as db:
            if value is None:
                db.execute("DELETE FROM manifest WHERE key = ?", (name,))
            else:
                db.execute("INSERT OR REPLACE INTO manifest VALUES (?, ?)", (name, json.dumps(value)))

    def noted(self, name: str) -> object:
        """What was kept under that name, ``None`` where nothing is, or nothing that can be read."""
        with self.connection() as db:
            row = db.execute("SELECT value FROM manifest WHERE key = ?", (name,)).fetchone()
        try:
            return None if row is None else json.loads(row["value"])
        except ValueError:
            return None

    def generation(self) -> Generation:
        """The active generation."""
        with self.snapshot() as snapshot:
            return snapshot.generation

    def documents(self) -> list[DocumentInfo]:
        """The library's documents, by title."""
        with self.snapshot() as snapshot:
            return snapshot.documents()

    def find(self, name: str) -> DocumentInfo:
        """The document of that id, path or title. Raises `DocumentNotFoundError`, or `UsageError` for several."""
        documents = self.documents()
        for kind in ("id", "path", "title"):
            matches = [document for document in documents if getattr(document, kind) == name]
            if len(matches) > 1:
                ids = ", ".join(document.id for document in matches)
                raise UsageError(f"{len(matches)} documents are called “{name}”; name one by its id: {ids}.")
            if matches:
                return matches[0]
        raise DocumentNotFoundError(
            f"The library {self.folder} has no document “{name}”. List them.", Help(Remedy.LIST, self.folder)
        )

    def find_with_members(self, name: str) -> list[DocumentInfo]:
        """As `find`, with the documents of files within it; of an archive's or a corpus' path, "
        "all that came from it."""
        with self.snapshot() as snapshot:
            members = snapshot.documents_of_file(name)
        if members and all(document.path != name for document in self.documents()):
            return members
        document = self.find(name)
        with self.snapshot() as snapshot:
            return snapshot.documents_with(document.id)

    def require_encoder(self, spec: ModelSpec) -> None:
        """Raise `EncoderMismatchError` unless this encoder made the library."""
        manifest = self.manifest()
        if manifest.identity != spec.identity:
            raise EncoderMismatchError(
                f"The library {self.folder} was made with the encoder {manifest.encoder}; {spec.name} (revision "
                f"{spec.revision[:12]}) was asked for. Their vectors cannot be compared. Rebuild it.",
                Help(Remedy.REBUILD, self.folder, spec.name),
            )


def not_there(folder: Path) -> LibraryNotFoundError:
    """That there is no library in ``folder``."""
    return LibraryNotFoundError(f"There is no library in {folder}. Make one.", Help(Remedy.INGEST, folder))


def _write_empty(path: Path, manifest: Manifest, notes: Mapping[str, object]) -> None:
    db = connect(path, "rwc")
    try:
        migrate(db, path)
        with transaction(db):
            write_manifest(db, manifest)
            rows = [(name, json.dumps(value)) for name, value in notes.items()]
            db.executemany("INSERT INTO manifest VALUES (?, ?)", rows)
    finally:
        db.close()  # the last connection folds the write-ahead log into the file


@contextmanager
def transaction(db: sqlite3.Connection, mode: str = "IMMEDIATE") -> Iterator[None]:
    """A transaction that is committed at the end and rolled back by any exception."""
    db.execute(f"BEGIN {mode}")
    try:
        yield
    except BaseException:
        if db.in_transaction:  # after some errors SQLite has rolled back already
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def write_manifest(db: sqlite3.Connection, manifest: Manifest) -> None:
    """Store the manifest, replacing the one before."""
    values = {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}
    db.executemany(
        "INSERT OR REPLACE INTO manifest VALUES (?, ?)", [(k, json.dumps(v)) for k, v in values.items()]
    )


def read_manifest(db: sqlite3.Connection, folder: Path) -> Manifest:
    """The manifest; a missing field is damage, never a default."""
    values = {row["key"]: json.loads(row["value"]) for row in db.execute("SELECT key, value FROM manifest")}
    try:
        return Manifest(**{name: values[name] for name in Manifest.__dataclass_fields__})
    except KeyError as error:
        raise LibraryDamagedError(
            f"The library {folder} does not say what made it ({error} is missing). Delete it and add the files again."
        ) from error
