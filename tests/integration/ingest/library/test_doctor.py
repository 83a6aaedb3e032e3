"""Damage of every kind: noticed, said in a sentence, and repaired where the truth is whole."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from ingest.errors import LibraryDamagedError, LibraryNotFoundError, NewerFormatError, SecondLookError
from ingest.library.health.doctor import examine
from ingest.library.health.repair import Repair, repair
from ingest.library.health.view import Finding, Part
from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library
from ingest.library.schema import FORMAT
from ingest.library.writer import writing
from ingest.notices import Help, Remedy
from ingest.rebuild import rebuild
from retrieval.retriever import Retriever
from tests.conftest import Desk
from ui.command_line.main import main
from ui.presentation.remedies import told

QUERIES = ("crane bird", "river bank", "steel", "snake venom")


@pytest.fixture
def full(desk: Desk) -> Desk:
    """Five documents of some passages each, a label, and a tombstone."""
    words = ("crane bird", "river bank", "steel money", "snake venom", "python code")
    desk.add(
        *(
            desk.write(f"f{n}.txt", " ".join(f"{pair} {n}{k}" for k in range(30)))
            for n, pair in enumerate(words)
        )
    )
    desk.add(desk.write("gone.txt", "a flood that is gone"))
    with writing(desk.library) as writer:
        writer.delete([desk.library.find("gone").id])
    with desk.library.connection() as db:
        (name,) = db.execute("SELECT passage_hash FROM chunks ORDER BY id LIMIT 1").fetchone()
    Labels(desk.library).set("which bird?", name, Grade.RELEVANT)
    return desk


def results(folder: Path, desk: Desk) -> list[list[tuple[str, float]]]:
    searcher = Retriever(Library(folder), desk.encoder)
    return [
        [(c.chunk.text, c.score) for c in searcher.retrieve(query, 100).candidates] for query in QUERIES
    ]  # fmt: skip


def test_a_passage_that_is_hidden_by_a_tombstone_is_noticed_and_found_again(full: Desk) -> None:
    before = results(full.library.folder, full)
    execute(full, "INSERT INTO tombstones SELECT max(id) FROM chunks")
    assert results(full.library.folder, full) != before
    (finding,) = examine(full.library.folder)
    assert finding.part is Part.INDEX
    assert "1 passages are marked as deleted and are not" in finding.text
    assert "1 passages that were hidden as deleted are found again." in sentences(repair(full.library.folder))
    assert examine(full.library.folder) == []
    assert results(full.library.folder, full) == before


def execute(desk: Desk, statement: str, *values: object) -> None:
    """Change the database behind the library's back, as damage would."""
    with sqlite3.connect(desk.library.folder / "library.sqlite") as db:
        db.execute(statement, values)
    db.close()


def parts(findings: list[Finding]) -> set[str]:
    return {str(finding.part) for finding in findings}


def sentences(mended: Repair) -> str:
    return " ".join(message.text for message in mended.done)


def test_a_whole_library_is_whole_and_looking_changes_nothing(full: Desk) -> None:
    before = sha256((full.library.folder / "library.sqlite").read_bytes()).digest()
    assert examine(full.library.folder) == []
    assert repair(full.library.folder).done == ()
    assert sha256((full.library.folder / "library.sqlite").read_bytes()).digest() == before


def test_a_place_without_a_library_and_one_of_a_later_version_are_refused(full: Desk, tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFoundError, match="There is no library"):
        examine(tmp_path)
    execute(full, f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(NewerFormatError, match=f"format {FORMAT + 1}"):
        examine(full.library.folder)


CONTENT_DAMAGE = {
    "a chunk's text": ("UPDATE chunks SET text = replace(text, 'crane', 'drone')", {"content"}),
    "a chunk's title": ("UPDATE chunks SET title = 'x' WHERE id = 1", {"content"}),
    "a document's text, which its passages give again": (
        "UPDATE documents SET text = replace(text, 'crane', 'drone')",
        {"content"},
    ),
    "a vector that is too short": (
        "UPDATE vectors SET vector = substr(vector, 5) WHERE rowid = 2",
        {"vectors"},
    ),
    "a vector's last bits": (
        "UPDATE vectors SET vector = x'01' || substr(vector, 2) WHERE rowid = 2",
        {"vectors"},
    ),
    "a vector that is gone": ("DELETE FROM vectors WHERE rowid = 3", {"vectors", "index"}),
    "a report of a file": ("UPDATE sources SET report = '{' WHERE key LIKE '%f1.txt'", {"content"}),
    "a passage of no document": (
        'INSERT INTO chunks SELECT 9999, 777, start, "end", page, page_end, heading, title, text, passage_hash, '
        "context FROM chunks LIMIT 1",
        {"content"},
    ),
    "rows that are pending": ("INSERT INTO doomed VALUES ('x')", {"litter"}),
    "an index of another state": ("DELETE FROM tombstones", {"index"}),
}


@pytest.mark.parametrize("damage", CONTENT_DAMAGE)
def test_damage_within_sqlite_is_noticed_and_repaired(full: Desk, damage: str) -> None:
    """Each of these leaves the truth whole somewhere: in the document, its passages, or the index."""
    statement, where = CONTENT_DAMAGE[damage]
    good = results(full.library.folder, full)
    execute(full, statement)
    found = examine(full.library.folder)
    assert parts(found) == where
    assert all(finding.help is not None and finding.text.endswith(".") for finding in found)
    assert repair(full.library.folder).done
    assert examine(full.library.folder) == []
    assert results(full.library.folder, full) == good


def test_a_damaged_passage_is_never_shown_as_if_it_were_whole(full: Desk) -> None:
    execute(full, "UPDATE chunks SET text = replace(text, 'crane', 'drone')")
    with pytest.raises(LibraryDamagedError, match=r"f0\.txt is damaged") as caught:
        Retriever(full.library, full.encoder).retrieve("crane", 3)
    assert caught.value.help == Help(Remedy.DIAGNOSE)


def test_a_lost_passage_is_cut_again_from_the_whole_text(full: Desk) -> None:
    good = results(full.library.folder, full)
    execute(full, "DELETE FROM chunks WHERE id = 2")
    with pytest.raises(LibraryDamagedError, match="lacks 1 passages that its index holds"):
        Retriever(full.library, full.encoder).retrieve("crane", 200)
    assert parts(examine(full.library.folder)) == {"content", "index"}
    assert "“f0” lacks 1 passages; its text is whole" in sentences(repair(full.library.folder))
    rebuild(full.library, full.encoder, 32)
    assert examine(full.library.folder) == []
    assert results(full.library.folder, full) == good


def test_what_cannot_be_repaired_says_what_helps_and_it_does(full: Desk) -> None:
    """A document whose text and passages are both damaged comes back from its file, though its bytes are known."""
    good = results(full.library.folder, full)
    execute(full, "UPDATE documents SET text = replace(text, 'crane', 'drone')")
    execute(full, "UPDATE chunks SET text = replace(text, 'crane', 'drone')")
    (message,) = [one for one in repair(full.library.folder).done if one.help is not None]
    assert "“f0” cannot be repaired. Add its file again" in told(message)
    assert (
        f"secondlook ingest “{full.folder / 'f0.txt'}”; or delete the document with: secondlook delete"
        in told(message)
    )
    assert parts(examine(full.library.folder)) == {"content"}
    assert full.add(full.folder / "f0.txt").files[0].status == "replaced"
    assert examine(full.library.folder) == []
    assert sorted(map(sorted, results(full.library.folder, full))) == sorted(map(sorted, good))


def test_lost_vectors_without_an_index_need_a_rebuild(full: Desk) -> None:
    good = results(full.library.folder, full)
    execute(full, "DELETE FROM vectors WHERE rowid = 3")
    index_of(full).unlink()
    repair(full.library.folder)
    (finding,) = examine(full.library.folder)
    assert "1 passages have no vector" in finding.text
    assert finding.help == Help(Remedy.REBUILD, full.library.folder)
    rebuild(full.library, full.encoder, 32)
    assert examine(full.library.folder) == []
    assert results(full.library.folder, full) == good


def index_of(desk: Desk) -> Path:
    (path,) = (desk.library.folder / "vectors").glob("*.faiss")
    return path


def flip(path: Path) -> None:
    raw = path.read_bytes()
    middle = len(raw) // 2
    path.write_bytes(raw[:middle] + bytes([raw[middle] ^ 0xFF]) + raw[middle + 1 :])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
def test_the_index_is_noticed_and_built_again(full: Desk, damage: Callable[[Path], None]) -> None:
    good = results(full.library.folder, full)
    damage(index_of(full))
    (finding,) = examine(full.library.folder)
    assert finding.part is Part.INDEX
    assert ".faiss" in finding.text
    assert "built again" in repair(full.library.folder).done[-1].text
    assert examine(full.library.folder) == []
    assert results(full.library.folder, full) == good


def test_an_older_format_is_brought_up_and_not_taken_for_damage(full: Desk) -> None:
    good = results(full.library.folder, full)
    tables = (
        "label_ranks",
        "label_pairs",
        "labels",
        "words",
        "originals",
        "replaced",
        "identities",
        "metadata",
    )
    for statement in ("TRIGGER labels_forget", *(f"TABLE {table}" for table in tables)):
        execute(full, f"DROP {statement}")
    execute(full, "ALTER TABLE chunks DROP COLUMN context")
    execute(full, "ALTER TABLE documents DROP COLUMN blocks")
    execute(full, "ALTER TABLE documents DROP COLUMN pages_by_ocr")
    execute(full, "PRAGMA user_version = 1")
    (finding,) = examine(full.library.folder)
    assert "has format 1" in finding.text
    assert repair(full.library.folder).saved_to is None
    assert examine(full.library.folder) == []
    assert results(full.library.folder, full) == good


def test_litter_is_found_and_swept(full: Desk) -> None:
    folder = full.library.folder
    (folder / "vectors" / "000001.faiss").write_bytes(b"old")
    (folder / "vectors" / ".000009.faiss.tmp").write_bytes(b"half")
    (folder / ".making-x").mkdir()
    (folder / ".making-x" / ".alive").touch()  # which nobody holds
    (folder / ".making-x" / "library.sqlite").write_bytes(b"half")
    (folder / ".making-of.mp4").write_bytes(b"mine")  # what was left behind are folders
    found = examine(folder)
    assert parts(found) == {"litter"}
    assert len(found) == 3
    with writing(full.library):
        assert examine(folder) == [], "what a writer has under way is no litter"
    repair(folder)
    assert examine(folder) == []


def test_what_is_saved_of_the_library_here_lies_beside_it(
    full: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = full.library.folder / "library.sqlite"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])
    monkeypatch.chdir(full.library.folder)
    saved = repair(Path(".")).saved_to
    assert saved == tmp_path.resolve() / f"{full.library.folder.name}-saved-1"


def test_a_truncated_database_is_noticed_and_never_touched(full: Desk) -> None:
    """The end of the file is lost: SQLite says so, and what stands before it is saved, or said to be beyond saving."""
    database = full.library.folder / "library.sqlite"
    raw = database.read_bytes()
    titles = {document.title for document in full.library.documents()}
    kept = []
    for share in (0.9, 0.6, 0.3):
        database.write_bytes(raw[: int(len(raw) * share)])
        was = database.read_bytes()
        assert parts(examine(full.library.folder)) == {"database"}
        with pytest.raises(LibraryDamagedError, match=r"damaged|cannot be used"):
            Retriever(Library(full.library.folder), full.encoder).retrieve("crane", 10)
        for path in full.library.folder.glob("library.sqlite-*"):
            path.unlink()
        try:
            mended = repair(full.library.folder)
            assert mended.saved_to is not None
            kept.append({document.title for document in Library(mended.saved_to).documents()})
        except LibraryDamagedError as error:
            assert "Nothing can be saved" in str(error)  # noqa: PT017 - one of three cuts
        assert database.read_bytes() == was, "the original was touched"
    assert kept
    assert all(titles_kept <= titles for titles_kept in kept)


DIE_AFTER_DELETING = """
import os, signal, sys
from pathlib import Path
from ingest.library.library import Library
from ingest.library.writer import writing
library = Library(Path(sys.argv[1]))
with writing(library) as writer:
    for document in library.documents()[:2]:
        writer.delete([document.id])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_damaged_log_is_noticed_which_sqlite_passes_over(full: Desk) -> None:
    """A process that is killed leaves its commits in the log; SQLite drops those behind a damaged frame in silence."""
    subprocess.run([sys.executable, "-c", DIE_AFTER_DELETING, full.library.folder], check=False)
    log = full.library.folder / "library.sqlite-wal"
    raw = log.read_bytes()
    assert examine(full.library.folder) == []
    for at in (2, 17, 40, len(raw) // 2, len(raw) - 9):
        log.write_bytes(raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1 :])
        (finding,) = examine(full.library.folder)
        assert "library.sqlite-wal" in finding.text
    log.write_bytes(raw)
    assert examine(full.library.folder) == []
    assert len(full.library.documents()) == 3, "the commits in the log are what is searched"


def test_a_lost_database_is_said_to_be_lost(full: Desk) -> None:
    (full.library.folder / "library.sqlite").unlink()
    (finding,) = examine(full.library.folder)
    assert "is gone, and with it every text" in finding.text
    with pytest.raises(LibraryDamagedError, match="Nothing can be saved"):
        repair(full.library.folder)


def test_pages_of_the_database_overwritten_one_by_one(full: Desk) -> None:
    """Whichever page is lost: it is noticed, or held nothing; what is saved is true; the rest is named."""
    database = full.library.folder / "library.sqlite"
    raw = database.read_bytes()
    texts = set(full.texts())
    titles = {document.title for document in full.library.documents()}
    good = results(full.library.folder, full)
    size = int.from_bytes(raw[16:18], "big")
    saved_all = 0
    for page in range(len(raw) // size):
        damaged = raw[: page * size] + b"\xa5" * size + raw[(page + 1) * size :]
        database.write_bytes(damaged)
        found = examine(full.library.folder)
        if parts(found) != {"database"}:
            assert found or results(full.library.folder, full) == good, f"page {page} went unnoticed"
            continue
        try:
            mended = repair(full.library.folder)
        except LibraryDamagedError as error:
            assert "Nothing can be saved" in str(error)  # noqa: PT017 - one page of many
        else:
            assert mended.saved_to is not None
            new = Library(mended.saved_to)
            if new.manifest().encoder == "unknown":
                assert "What made the library could not be read" in mended.done[1].text
                rebuild(new, full.encoder, 32)
            assert {c.chunk.text for c in Retriever(new, full.encoder).retrieve("x", 999).candidates} <= texts
            named = sentences(mended)
            kept = {document.title for document in new.documents()}
            assert all(title in kept or title in named or "could not be read" in named for title in titles)
            saved_all += kept == titles
        assert database.read_bytes() == damaged, "the original was touched"
    assert saved_all > 5, "only pages of documents may cost documents"


def test_flipped_bytes_never_give_a_traceback_nor_a_wrong_text(full: Desk) -> None:
    """Seeded flips all over the database: a search gives true passages or a sentence, the doctor likewise."""
    database = full.library.folder / "library.sqlite"
    raw = database.read_bytes()
    texts = set(full.texts())
    seed = random.Random(11)
    for _ in range(80):
        at = seed.randrange(len(raw))
        database.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << seed.randrange(8))]) + raw[at + 1 :])
        try:
            examine(full.library.folder)
            found = Retriever(Library(full.library.folder), full.encoder).retrieve("crane", 200)
            assert {c.chunk.text for c in found.candidates} <= texts, at
        except SecondLookError as error:
            assert len(str(error).split()) > 5  # noqa: PT017 - one flip of many
        for path in full.library.folder.glob("library.sqlite-*"):
            path.unlink()


def test_the_command_tells_people_and_programs(full: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["doctor", "--library", str(full.library.folder)]
    assert main(command) == 0
    assert "is whole." in capsys.readouterr().out
    index_of(full).unlink()
    (full.library.folder / "calibration.json").write_text("{")
    assert main(command) == 1
    out = capsys.readouterr().out
    assert ".faiss cannot be read" in out
    assert "secondlook calibrate" in out
    assert main([*command, "--repair", "--json"]) == 1, "a calibration is fitted anew by its own command"
    report = json.loads(capsys.readouterr().out)
    assert [row["part"] for row in report["findings"]] == ["index", "calibration"]
    assert [row["part"] for row in report["left"]] == ["calibration"]
    (full.library.folder / "calibration.json").unlink()
    assert main(command) == 0
    assert main(["export", str(full.folder / "all.zip"), "--library", str(full.library.folder)]) == 0
    assert main(["import", str(full.folder / "all.zip"), "--library", str(full.folder / "new")]) == 0
    assert "5 documents" in capsys.readouterr().err
    assert results(full.folder / "new", full) == results(full.library.folder, full)
