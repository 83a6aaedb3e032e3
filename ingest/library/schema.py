"""The library's SQLite schema: numbered migrations, each in its own transaction; none is ever edited.

Tables
    manifest     what made the library: one row a key
    encoders     encoders whose vectors are stored (their identity: name, revision, prefixes, length)
    sources      files as they were read: their hash and their report, so that nothing is read twice
    documents    a document's text and structure; ``born`` is the generation that first shows it
    chunks       passages with their exact place, and in ``context`` what the models read before the text; ids are never
                 used again
    vectors      one vector a (encoder, passage): the truth that FAISS files are derived from
    generations  what readers see; the highest id is active. ``index_file`` holds its FAISS file
    tombstones   chunks that the active FAISS file still holds, but that are deleted
    doomed       documents that the pending generation will drop
    labels       judgements by query and passage hash; they refer to no chunk, so re-indexing leaves them be.
                 The text beside a label is kept only while its document holds it: see ``labels_forget``
    label_pairs  pairs of models whose orders were seen while judging
    label_ranks  where a judged passage stood in both orders of a pair, the last time its query was asked
    originals    files kept as they were read, by the hash that they lie under: see `ingest.library.files.originals`
    replaced     uploads that another one of their name took the place of, kept so that this can be undone
    identities   the path that a renamed file had at first, by which its documents are known yet
    metadata     what a document's file says of itself, and where it lies: a row a document; tags are a JSON array
    words        FTS5's index of the active generation's words, without its texts: see `ingest.library.word_index`

A row whose ``born`` is above the active generation is pending: no reader sees it, and the next
writer discards it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ingest.disk import refusal
from ingest.errors import LibraryNotFoundError, NewerFormatError, StorageError
from ingest.library import word_index
from ingest.library.files import metadata

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE manifest (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE encoders (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE);
    CREATE TABLE sources (
        key TEXT NOT NULL, born INTEGER NOT NULL, file_hash TEXT NOT NULL, report TEXT NOT NULL,
        PRIMARY KEY (key, born)
    );
    CREATE INDEX sources_by_hash ON sources (file_hash);
    CREATE TABLE documents (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, born INTEGER NOT NULL,
        source TEXT NOT NULL, key TEXT NOT NULL, title TEXT NOT NULL, path TEXT NOT NULL,
        format TEXT NOT NULL, content_hash TEXT NOT NULL, source_id TEXT, text TEXT NOT NULL,
        pages TEXT NOT NULL, headings TEXT NOT NULL, pages_without_text TEXT NOT NULL,
        chunk_count INTEGER NOT NULL, page_count INTEGER NOT NULL,
        UNIQUE (id, born)
    );
    CREATE INDEX documents_by_content ON documents (content_hash);
    CREATE INDEX documents_by_source ON documents (source);
    CREATE INDEX documents_by_born ON documents (born);
    CREATE TABLE chunks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
        start INTEGER NOT NULL, "end" INTEGER NOT NULL, page INTEGER, page_end INTEGER,
        heading TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, passage_hash TEXT NOT NULL
    );
    CREATE INDEX chunks_by_document ON chunks (document);
    CREATE INDEX chunks_by_passage ON chunks (passage_hash);
    CREATE TABLE vectors (
        encoder INTEGER NOT NULL REFERENCES encoders (id), passage_hash TEXT NOT NULL, vector BLOB NOT NULL,
        UNIQUE (encoder, passage_hash)
    );
    CREATE TABLE generations (
        id INTEGER PRIMARY KEY, index_file TEXT NOT NULL, index_sha256 TEXT NOT NULL,
        vectors INTEGER NOT NULL, created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
    );
    CREATE TABLE tombstones (chunk INTEGER PRIMARY KEY);
    CREATE TABLE doomed (document TEXT PRIMARY KEY);
    """,
    """
    CREATE TABLE labels (
        query TEXT NOT NULL, passage_hash TEXT NOT NULL, grade INTEGER NOT NULL CHECK (grade IN (0, 1, 2)),
        judged TEXT NOT NULL, document TEXT, path TEXT, title TEXT, page INTEGER, start INTEGER, "end" INTEGER,
        text TEXT,
        PRIMARY KEY (query, passage_hash)
    );
    CREATE INDEX labels_by_passage ON labels (passage_hash);
    CREATE INDEX labels_by_document ON labels (document);
    CREATE TABLE label_pairs (
        id INTEGER PRIMARY KEY, encoder TEXT NOT NULL, encoder_revision TEXT NOT NULL, reranker TEXT NOT NULL,
        reranker_revision TEXT NOT NULL, UNIQUE (encoder, encoder_revision, reranker, reranker_revision)
    );
    CREATE TABLE label_ranks (
        pair INTEGER NOT NULL REFERENCES label_pairs (id), query TEXT NOT NULL, passage_hash TEXT NOT NULL,
        before INTEGER NOT NULL, after INTEGER NOT NULL,
        PRIMARY KEY (pair, query, passage_hash),
        FOREIGN KEY (query, passage_hash) REFERENCES labels (query, passage_hash) ON DELETE CASCADE
    );
    CREATE TRIGGER labels_forget BEFORE DELETE ON documents BEGIN
        UPDATE labels SET document = NULL, path = NULL, title = NULL, page = NULL, start = NULL, "end" = NULL,
            text = NULL
        WHERE (document = OLD.id OR passage_hash IN (SELECT passage_hash FROM chunks WHERE document = OLD.number))
        AND NOT EXISTS (
            SELECT 1 FROM documents AS other
            WHERE other.id = OLD.id AND other.number <> OLD.number AND instr(other.text, labels.text) > 0
        );
    END;
    """,
    """
    CREATE VIRTUAL TABLE words USING fts5 (
        passage, content = '', tokenize = 'porter unicode61 remove_diacritics 2'
    );
    """,
    """
    ALTER TABLE documents ADD COLUMN blocks TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE chunks ADD COLUMN context TEXT NOT NULL DEFAULT '';
    ALTER TABLE labels ADD COLUMN context TEXT NOT NULL DEFAULT '';
    DROP TRIGGER labels_forget;
    CREATE TRIGGER labels_forget BEFORE DELETE ON documents BEGIN
        UPDATE labels SET document = NULL, path = NULL, title = NULL, page = NULL, start = NULL, "end" = NULL,
            text = NULL, context = ''
        WHERE (document = OLD.id OR passage_hash IN (SELECT passage_hash FROM chunks WHERE document = OLD.number))
        AND NOT EXISTS (
            SELECT 1 FROM documents AS other
            WHERE other.id = OLD.id AND other.number <> OLD.number AND instr(other.text, labels.text) > 0
        );
    END;
    """,
    """
    CREATE TABLE originals (
        source TEXT NOT NULL, born INTEGER NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, name TEXT NOT NULL,
        PRIMARY KEY (source, born)
    );
    CREATE INDEX originals_by_hash ON originals (sha256);
    CREATE TABLE replaced (
        source TEXT PRIMARY KEY, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, name TEXT NOT NULL
    );
    """,
    """
    CREATE TABLE identities (source TEXT PRIMARY KEY, identity TEXT NOT NULL UNIQUE);
    """,
    """
    CREATE TABLE metadata (
        document INTEGER PRIMARY KEY REFERENCES documents (number) ON DELETE CASCADE,
        type TEXT NOT NULL, folder TEXT NOT NULL, author TEXT NOT NULL, language TEXT NOT NULL,
        created TEXT NOT NULL, modified TEXT NOT NULL, tags TEXT NOT NULL
    );
    """,
    """
    ALTER TABLE documents ADD COLUMN pages_by_ocr TEXT NOT NULL DEFAULT '[]';
    """,
)
FORMAT = len(MIGRATIONS)
# What a migration fills from the rows that were there before, in its own transaction, by its number.
# The words come with the column that they are read from, not with their own table.
FILLED: Mapping[int, Callable[[sqlite3.Connection], None]] = {4: word_index.fill_new, 7: metadata.fill}


def connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    """A connection in autocommit mode: transactions are begun and ended by name. Raises as `open_file`."""
    connection = open_file(path, mode)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # a deleted document's text does not stay in the file
    return connection


def open_file(path: Path, mode: str) -> sqlite3.Connection:
    """The database, opened in one of SQLite's modes (rwc makes a file that is missing, ro cannot write).

    Where nothing can be written beside it (a read-only folder, a full disk) it is read as it stands. Raises
    `StorageError` where that would leave out commits, `sqlite3.DatabaseError` where it cannot be opened at all.
    """
    address = path.absolute().as_uri()
    connection = sqlite3.connect(f"{address}?mode={mode}", uri=True, timeout=30.0, isolation_level=None)
    try:
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")
    except sqlite3.DatabaseError as error:
        connection.close()
        if refusal("", error) is None or not path.is_file():
            raise
        _require_no_commits_in_log(path, error)
        # Without the locks and the shared memory that SQLite would keep in files beside it.
        return sqlite3.connect(f"{address}?mode=ro&immutable=1", uri=True, isolation_level=None)
    return connection


def _require_no_commits_in_log(path: Path, why: sqlite3.DatabaseError) -> None:
    log = path.with_name(f"{path.name}-wal")
    if log.is_file() and log.stat().st_size:
        raise StorageError(
            f"The library {path.parent} lies where nothing can be written ({why}), and its last changes are in "
            f"{log.name} alone. Make room, make the folder writable, or copy it to another place."
        ) from why


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the database to `FORMAT`.

    Raises `NewerFormatError` for one of a later version, `LibraryNotFoundError` for one that is of something else.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    _require_ours(connection, version, path)
    if version > FORMAT:
        raise NewerFormatError(
            f"The library {path.parent} has format {version}; this version of Second Look knows formats up to "
            f"{FORMAT}. Update Second Look, or use another folder."
        )
    if version == FORMAT:
        return
    connection.execute("PRAGMA journal_mode = WAL")  # readers keep their snapshot while a writer works
    for number, script in enumerate(MIGRATIONS, start=1):
        connection.execute("BEGIN IMMEDIATE")
        # Asked again inside the transaction: another process may have come first.
        if connection.execute("PRAGMA user_version").fetchone()[0] < number:
            for statement in _statements(script):
                connection.execute(statement)
            if number in FILLED:
                FILLED[number](connection)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")


def _require_ours(connection: sqlite3.Connection, version: int, path: Path) -> None:
    """Other programs, too, call their databases library.sqlite: no table of ours goes into theirs."""
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and (version == 0 or not {"manifest", "generations"} <= tables):
        raise LibraryNotFoundError(
            f"{path} is a database of something else, and no library of Second Look; it is left as it is. Use another "
            "folder."
        )


def _statements(script: str) -> Iterator[str]:
    """The statements of a script. A trigger's body holds semicolons of its own, and SQLite knows where it ends."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
