"""Labels in a real library: kept through everything that happens to documents, but not the text of deleted ones."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.errors import UsageError
from ingest.library.label_records import Grade, JudgedRanks, Label, LabelledPassage, ModelPair, Places
from ingest.library.labels import Labels
from ingest.library.library import Library, Manifest
from ingest.library.schema import FORMAT, MIGRATIONS, connect
from ingest.library.writer import writing
from ingest.rebuild import rebuild
from ingest.records import digest
from tests.conftest import Desk
from tests.fakes import WORD_ENCODER

PAIR = ModelPair("word-encoder", "1", "word-scorer", "1")
LONG = " ".join(f"crane{n}" for n in range(60))


@pytest.fixture
def labels(desk: Desk) -> Labels:
    return Labels(desk.library)


def hashes(desk: Desk, document: str) -> list[str]:
    """Passage hashes of a document, in order."""
    with desk.library.connection() as db:
        return [
            row[0]
            for row in db.execute(
                "SELECT passage_hash FROM chunks JOIN documents ON number = document WHERE documents.title = ? "
                "ORDER BY chunks.id",
                (document,),
            )
        ]


def bytes_of(library: Library) -> bytes:
    return b"".join(path.read_bytes() for path in library.folder.glob("library.sqlite*"))


def test_a_label_is_set_changed_counted_and_removed(desk: Desk, labels: Labels) -> None:
    desk.add(
        desk.write("crane.txt", "The crane is a bird."), desk.write("bank.txt", "The bank by the river.")
    )
    (crane,), (bank,) = hashes(desk, "crane"), hashes(desk, "bank")
    labels.set("which  bird\n wades? ", crane, Grade.PARTLY)
    labels.set("which bird wades?", bank, Grade.NOT)
    labels.set(" which bird wades?", crane, Grade.RELEVANT)
    assert labels.grades("which bird\twades?") == {crane: Grade.RELEVANT, bank: Grade.NOT}
    assert labels.grades("Which bird wades?") == {}, "only white space may be taken for the same"
    counts = labels.counts()
    assert (counts.queries, counts.labels, counts.not_indexed) == (1, 2, 0)
    assert counts.by_grade == {Grade.NOT: 1, Grade.PARTLY: 0, Grade.RELEVANT: 1}
    passage = {label.passage_hash: label.passage for label in labels.all()}[crane]
    assert passage is not None
    assert (passage.title, passage.text) == ("crane", "The crane is a bird.")
    assert (passage.start, passage.end) == (0, 20)
    assert passage.document_id == desk.library.find("crane").id
    assert labels.remove("which bird wades?", bank)
    assert not labels.remove("which bird wades?", bank)
    assert labels.grades("which bird wades?") == {crane: Grade.RELEVANT}
    with pytest.raises(UsageError, match="empty"):
        labels.set(" \n", crane, Grade.NOT)
    with pytest.raises(ValueError, match="3"):
        labels.set("x", crane, 3)  # type: ignore[arg-type]


def test_labels_outlive_deleting_adding_again_and_rebuilding(desk: Desk, labels: Labels) -> None:
    path = desk.write("long.txt", LONG)
    desk.add(path)
    first, *_ = hashes(desk, "long")
    labels.set("cranes", first, Grade.RELEVANT)
    was = labels.all()[0].passage

    rebuild(desk.library, desk.encoder, 16)
    assert first not in hashes(desk, "long"), "the passage was not cut otherwise: the test tests nothing"
    (cut,) = labels.all()
    assert not cut.indexed
    assert cut.passage == was, "the label lost the text of a document that is still there"

    rebuild(desk.library, desk.encoder, 32)
    assert labels.all() == [replace(cut, indexed=True)], "the same text came back, and its label did not"

    with writing(desk.library) as writer:
        writer.delete([desk.library.find("long").id])
    assert labels.grades("cranes") == {first: Grade.RELEVANT}
    desk.add(path)
    (back,) = labels.all()
    assert (back.indexed, back.passage) == (True, was)


def test_of_a_deleted_document_only_hash_and_grade_are_left(desk: Desk, labels: Labels) -> None:
    desk.add(desk.write("secret.txt", "The vault opens with marmalade."), desk.write("b.txt", "The bank."))
    (secret,), (bank,) = hashes(desk, "secret"), hashes(desk, "b")
    labels.set("how does it open", secret, Grade.RELEVANT)
    labels.set("how does it open", bank, Grade.NOT)
    assert b"marmalade" in bytes_of(desk.library)
    with writing(desk.library) as writer:
        writer.delete([desk.library.find("secret").id])
    assert b"marmalade" not in bytes_of(desk.library)
    kept = {label.passage_hash: label for label in labels.all()}
    assert (kept[secret].grade, kept[secret].passage, kept[secret].indexed) == (Grade.RELEVANT, None, False)
    assert kept[bank].passage is not None, "another document's label lost its text"
    # The page may still show the answer from before: judging it must not bring anything back.
    labels.set("how does it open", secret, Grade.PARTLY)
    assert labels.all()[-1].passage is None


def test_a_sentence_taken_out_of_a_document_goes_from_its_labels_too(desk: Desk, labels: Labels) -> None:
    path = desk.write("plan.txt", "The plan is marmalade.")
    desk.add(path)
    labels.set("what is the plan", hashes(desk, "plan")[0], Grade.RELEVANT)
    path.write_text("There is no plan.")
    desk.add(path)
    assert labels.all()[0].passage is None
    assert b"marmalade" not in bytes_of(desk.library)


def test_a_deleted_document_s_text_that_another_document_holds_is_found_there(
    desk: Desk, labels: Labels
) -> None:
    for folder in ("one", "two"):
        (desk.folder / folder).mkdir()
    # Duplicates of whole documents are refused: the second one has a passage more.
    one = desk.write("one/same.txt", " ".join(["crane"] * 32))
    two = desk.write("two/same.txt", " ".join(["crane"] * 32) + "\n\n" + " ".join(["bank"] * 32))
    desk.add(one, two)
    shared = set(hashes(desk, "same"))
    labels.set("cranes", hashes(desk, "same")[0], Grade.RELEVANT)
    assert len(shared) == 2, "the two documents share no passage: the test tests nothing"
    first = next(d.id for d in desk.library.documents() if d.chunks == 1)
    with writing(desk.library) as writer:
        writer.delete([first])
    (label,) = labels.all()
    assert label.passage is not None
    assert label.passage.document_id == desk.library.documents()[0].id


def test_places_are_of_one_search_and_of_judged_passages_only(desk: Desk, labels: Labels) -> None:
    one, two, three = (digest(name) for name in "abc")
    labels.set("q", one, Grade.RELEVANT, JudgedRanks(PAIR, {one: Places(3, 1), two: Places(1, 2)}))
    assert labels.places(PAIR) == {"q": {one: Places(3, 1)}}
    labels.set(
        "q", two, Grade.NOT, JudgedRanks(PAIR, {one: Places(4, 2), two: Places(1, 3), three: Places(2, 1)})
    )
    assert labels.places(PAIR) == {"q": {two: Places(1, 3), one: Places(4, 2)}}
    labels.note_ranks("q", JudgedRanks(PAIR, {two: Places(1, 1)}))
    assert labels.places(PAIR) == {"q": {two: Places(1, 1)}}, "an older search's place is mixed in"
    other = replace(PAIR, reranker_revision="2")
    labels.note_ranks("q", JudgedRanks(other, {one: Places(9, 9), two: Places(8, 8)}))
    labels.note_ranks("never judged", JudgedRanks(other, {one: Places(1, 1)}))
    assert labels.pairs() == [other, PAIR]
    assert labels.places(other) == {"q": {two: Places(8, 8), one: Places(9, 9)}}
    labels.remove("q", two)
    assert labels.places(other) == {"q": {one: Places(9, 9)}}


def test_merging_keeps_the_later_judgement_and_is_whole_or_not_at_all(labels: Labels) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    passage = LabelledPassage("t", "text", "d", "p", 1, 0, 4)

    def label(name: str, grade: Grade, minutes: int) -> Label:
        return Label("q", digest(name), grade, noon + timedelta(minutes=minutes), passage)

    done = labels.merge([label("a", Grade.RELEVANT, 0), label("b", Grade.RELEVANT, 5)])
    assert (done.added, done.changed, done.kept) == (2, 0, 0)
    done = labels.merge([label("a", Grade.NOT, 1), label("b", Grade.NOT, 4), label("b", Grade.PARTLY, 5)])
    assert (done.added, done.changed, done.kept) == (0, 1, 2)
    assert labels.grades("q") == {digest("a"): Grade.NOT, digest("b"): Grade.RELEVANT}

    def breaking() -> object:
        yield label("c", Grade.NOT, 9)
        raise UsageError("no more")

    with pytest.raises(UsageError):
        labels.merge(breaking())  # type: ignore[arg-type]
    assert digest("c") not in labels.grades("q")


def test_a_library_of_format_1_is_migrated_with_nothing_lost(tmp_path: Path, desk: Desk) -> None:
    desk.add(desk.write("crane.txt", "The crane is a bird."), desk.write("long.txt", LONG))
    path = desk.library.folder / "library.sqlite"
    back_to_format_1(path)
    before = dump(path)
    opened = Library(desk.library.folder)
    with opened.connection() as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == FORMAT
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    after = dump(path)
    assert {table: after[table] for table in before} == before
    assert before["chunks"], "there was nothing to lose"
    Labels(opened).set("cranes", hashes(desk, "crane")[0], Grade.RELEVANT)
    assert Labels(opened).all()[0].passage is not None


def back_to_format_1(path: Path) -> None:
    """The very file that format 1 made: its script run as it was, and its rows."""
    rows = dump(path)
    for file in path.parent.glob("library.sqlite*"):
        file.unlink()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(MIGRATIONS[0])
        db.execute("PRAGMA user_version = 1")
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table, found in rows.items():
            if found and table in tables:
                marks = ", ".join("?" * len(found[0]))
                db.executemany(f"INSERT INTO {table} VALUES ({marks})", found)
    db.close()


ADDED = {"context", "blocks", "pages_by_ocr"}  # columns that later formats added


def dump(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, without the columns that later formats added and the index of words."""
    with sqlite3.connect(path) as db:
        names = [
            row[0]
            for row in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' "
                "AND name NOT LIKE 'words%'"
            )
        ]
        columns = {
            name: [f'"{row[1]}"' for row in db.execute(f"PRAGMA table_info({name})") if row[1] not in ADDED]
            for name in names
        }
        rows = {name: sorted(db.execute(f"SELECT {', '.join(columns[name])} FROM {name}")) for name in names}
    db.close()
    return rows


def test_labels_do_not_wait_for_a_writer(desk: Desk, labels: Labels) -> None:
    desk.add(desk.write("crane.txt", "The crane is a bird."))
    (crane,) = hashes(desk, "crane")
    with writing(desk.library):
        started = time.monotonic()
        labels.set("cranes", crane, Grade.RELEVANT)
        assert time.monotonic() - started < 2, "it waited for the writer's lock"
    assert labels.grades("cranes") == {crane: Grade.RELEVANT}


def test_two_threads_judge_while_documents_are_added(desk: Desk, labels: Labels) -> None:
    desk.add(desk.write("crane.txt", "The crane is a bird."))
    (crane,) = hashes(desk, "crane")
    files = [desk.write(f"f{n}.txt", f"bank number {n}") for n in range(10)]
    problems: list[Exception] = []

    def judge(name: str) -> None:
        try:
            for number in range(40):
                judged_ranks = JudgedRanks(PAIR, {crane: Places(1, number + 1)})
                Labels(Library(desk.library.folder)).set(
                    f"{name} {number}", crane, Grade.PARTLY, judged_ranks
                )
                labels.set("the same", crane, Grade(number % 3), judged_ranks)
        except Exception as error:  # a thread's error must reach the test
            problems.append(error)

    threads = [threading.Thread(target=judge, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for file in files:
        desk.add(file)
    for thread in threads:
        thread.join()
    assert problems == []
    assert labels.counts().labels == 81
    assert len(labels.places(PAIR)) == 81
    assert len(desk.library.documents()) == 11


WORKER = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from ingest.library.label_records import Grade, ModelPair, Places, JudgedRanks
    from ingest.library.labels import Labels
    from ingest.library.library import Library

    folder, passage, die_at, die_on = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    number = 0

    def step(name):
        if name == die_at and number == die_on:
            os.kill(os.getpid(), signal.SIGKILL)

    labels = Labels(Library(folder), step)
    for number in range(100_000):
        judged_ranks = JudgedRanks(ModelPair("e", "1", "r", "1"), {passage: Places(number + 1, 1)})
        labels.set(f"question {number}", passage, Grade.RELEVANT, judged_ranks)
        print(number, flush=True)
    """
)


@pytest.mark.parametrize(("step", "kept"), [("label written", 3), ("label committed", 4)])
def test_a_kill_while_judging_leaves_the_label_whole_or_not_there(
    desk: Desk, labels: Labels, step: str, kept: int
) -> None:
    desk.add(desk.write("crane.txt", "The crane is a bird."))
    (crane,) = hashes(desk, "crane")
    process = _work(desk.library, crane, step, "3")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, "the step was never reached"
    _check(labels, crane, kept)
    labels.set("question 3", crane, Grade.NOT)
    assert labels.grades("question 3") == {crane: Grade.NOT}


def test_a_kill_at_any_moment_loses_no_label_that_was_given(desk: Desk, labels: Labels) -> None:
    desk.add(desk.write("crane.txt", "The crane is a bird."))
    (crane,) = hashes(desk, "crane")
    process = _work(desk.library, crane, "never", "0")
    assert process.stdout is not None
    for _ in range(25):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    told = 25 + len(process.communicate(timeout=60)[0].splitlines())
    found = labels.counts().labels
    assert told <= found <= told + 1
    _check(labels, crane, found)


def _work(library: Library, passage: str, die_at: str, die_on: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WORKER, str(library.folder), passage, die_at, die_on]
    return subprocess.Popen(arguments, cwd=Path(__file__).parents[4], stdout=subprocess.PIPE, text=True)


def _check(labels: Labels, passage: str, count: int) -> None:
    """The first ``count`` labels are there, each with its place, and the file is sound."""
    queries = {f"question {number}" for number in range(count)}
    assert {label.query for label in labels.all()} == queries
    places = labels.places(ModelPair("e", "1", "r", "1"))
    assert {query: found[passage].before for query, found in places.items()} == {
        f"question {number}": number + 1 for number in range(count)
    }
    with labels.library.connection() as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_new_library_has_the_same_tables_as_a_migrated_one(tmp_path: Path, desk: Desk) -> None:
    back_to_format_1(desk.library.folder / "library.sqlite")
    Library(desk.library.folder)
    Library.create(tmp_path / "new", Manifest.of(WORD_ENCODER, 32))
    schemas = []
    for folder in (desk.library.folder, tmp_path / "new"):
        db = connect(folder / "library.sqlite")
        schemas.append({tuple(row) for row in db.execute("SELECT type, name, sql FROM sqlite_master")})
        db.close()
    strip = [{(kind, name, " ".join((sql or "").split())) for kind, name, sql in found} for found in schemas]
    assert strip[0] == strip[1]
    assert ("trigger", "labels_forget") in {row[:2] for row in strip[0]}
