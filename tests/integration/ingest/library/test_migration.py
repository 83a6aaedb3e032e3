"""An old library is migrated whole or not at all, whatever ends the migration; a newer one is refused by name."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ingest.errors import NewerFormatError
from ingest.library import schema, word_index
from ingest.library.files.originals import ORIGINALS
from ingest.library.health.doctor import examine
from ingest.library.library import Library
from ingest.library.schema import FORMAT
from ingest.rebuild import Rebuilt, rebuild
from retrieval.records import CandidateSource
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.integration.ingest.library.test_labels import back_to_format_1, dump

ROOT = Path(__file__).parents[4]
BROKEN = 4  # the migration that is broken off: the one that fills a table from another


@pytest.fixture(params=[1, 2])
def old(desk: Desk, request: pytest.FixtureRequest) -> Desk:
    """Three documents in a library as it was in a format of before."""
    desk.add(*(desk.write(f"{n}.txt", f"The crane number {n} by the river.") for n in range(3)))
    path = desk.library.folder / "library.sqlite"
    shutil.rmtree(desk.library.folder / ORIGINALS)
    if request.param == 1:
        back_to_format_1(path)
    else:
        back_to_format_4(path)
        with sqlite3.connect(path) as db:
            db.execute("DROP TABLE words")
            db.execute("ALTER TABLE chunks DROP COLUMN context")
            db.execute("ALTER TABLE documents DROP COLUMN blocks")
            db.executescript("DROP TRIGGER labels_forget; ALTER TABLE labels DROP COLUMN context;")
            db.executescript(schema.MIGRATIONS[1][schema.MIGRATIONS[1].index("CREATE TRIGGER") :])
            db.execute("PRAGMA user_version = 2")
        db.close()
    return desk


def back_to_format_4(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.executescript(
            "DROP TABLE originals; DROP TABLE replaced; DROP TABLE identities; DROP TABLE metadata; "
            "ALTER TABLE documents DROP COLUMN pages_by_ocr; PRAGMA user_version = 4;"
        )
    db.close()


def version(desk: Desk) -> int:
    """The format, read without the code that migrates."""
    with sqlite3.connect(desk.library.folder / "library.sqlite") as db:
        found: int = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return found


def check_old(desk: Desk, before: dict[str, list[tuple[object, ...]]]) -> None:
    """Every row is there, and nothing of the step that was broken off."""
    assert version(desk) == BROKEN - 1, "an earlier step stays, the broken one does not"
    after = dump(desk.library.folder / "library.sqlite")
    assert {table: after[table] for table in before} == before
    with sqlite3.connect(desk.library.folder / "library.sqlite") as db:
        columns = {row[1] for row in db.execute("PRAGMA table_info(chunks)")}
        words = db.execute("SELECT count(*) FROM words_docsize").fetchone()[0]
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    db.close()
    assert "context" not in columns, "half a migration was kept"
    assert words == 0, "half a migration was kept"


def check_migrated(desk: Desk, before: dict[str, list[tuple[object, ...]]]) -> None:
    """The next opening migrates: the same rows, found by vectors and by words."""
    library = Library(desk.library.folder)
    assert version(desk) == FORMAT
    after = dump(desk.library.folder / "library.sqlite")
    assert {table: after[table] for table in before} == before
    assert before["chunks"]
    for source in CandidateSource:
        assert len(Retriever(library, desk.encoder).retrieve("crane", 10, source).candidates) == 3
    assert examine(desk.library.folder) == []


def test_a_migration_that_fails_in_the_middle_changes_nothing(
    old: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(old.library.folder / "library.sqlite")

    def half(db: sqlite3.Connection) -> None:
        word_index.fill(db)
        raise OSError("the disk is gone")

    monkeypatch.setattr(schema, "FILLED", {BROKEN: half})
    with pytest.raises(OSError, match="disk is gone"):
        Library(old.library.folder)
    check_old(old, before)
    monkeypatch.undo()
    check_migrated(old, before)


DIE_MIGRATING = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from ingest.library import schema, word_index
    from ingest.library.library import Library

    def half(db):
        word_index.fill(db)
        os.kill(os.getpid(), signal.SIGKILL)

    schema.FILLED = {4: half}
    Library(Path(sys.argv[1]))
    """
)


def test_a_migration_that_is_killed_in_the_middle_changes_nothing(old: Desk) -> None:
    before = dump(old.library.folder / "library.sqlite")
    done = subprocess.run([sys.executable, "-c", DIE_MIGRATING, old.library.folder], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL, "the migration was never begun"
    check_old(old, before)
    check_migrated(old, before)


def test_a_library_without_originals_opens_and_gets_them_when_its_files_are_added_again(desk: Desk) -> None:
    paths = [desk.write(f"{n}.txt", f"The crane number {n} by the river.") for n in range(3)]
    desk.add(*paths)
    path = desk.library.folder / "library.sqlite"
    back_to_format_4(path)
    shutil.rmtree(desk.library.folder / ORIGINALS)
    check_migrated(desk, dump(path))
    assert all(document.original is None for document in desk.library.documents())
    assert [document.folder for document in desk.library.documents()] == [str(desk.folder)] * 3
    assert rebuild(desk.library, desk.encoder, 32) == Rebuilt(documents=3, from_text=3)
    assert {file.status for file in desk.add(*paths).files} == {"unchanged"}
    assert rebuild(desk.library, desk.encoder, 32) == Rebuilt(documents=3, from_text=0)


def test_a_newer_format_is_refused_by_name_and_left_as_it_is(desk: Desk) -> None:
    desk.add(desk.write("a.txt", "The crane."))
    path = desk.library.folder / "library.sqlite"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    db.close()
    raw = path.read_bytes()
    with pytest.raises(NewerFormatError, match=f"has format {FORMAT + 1}.*up to {FORMAT}"):
        Library(desk.library.folder)
    assert path.read_bytes() == raw
