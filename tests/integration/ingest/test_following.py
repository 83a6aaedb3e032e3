"""Folders that a library follows: what is gone from them goes, also while they are watched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.errors import UsageError
from ingest.folders import forget_deleted, prune
from ingest.library.health.doctor import examine
from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library
from ingest.library.writer import writing
from ingest.pipeline import ingest
from ingest.records import FileStatus
from ingest.sources import Source, walk
from tests.conftest import AS_A_USER, Desk, needs_a_user
from tests.integration.ingest.test_folders import INGEST


def titles(library: Library) -> list[str]:
    return [document.title for document in library.documents()]


def test_what_programs_leave_beside_files_is_passed_over(desk: Desk) -> None:
    for name in (
        "~$lease.docx",
        ".~lock.lease.odt#",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "notes.txt~",
        "a.part",
    ):
        desk.write(name, "left behind")
    (desk.folder / "__MACOSX").mkdir()
    desk.write("__MACOSX/b.txt", "left behind")
    desk.write("c.txt", "The crane.")
    assert [source.path.name for source in walk([desk.folder])] == ["c.txt"]


def test_what_is_gone_from_a_folder_goes_and_nothing_else(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other, upload = tmp_path / "other" / "d.txt", tmp_path / "upload-1"
    other.write_text("The river.")
    upload.write_text("The bank.")
    desk.write("gone.txt", "The snake.")
    desk.write("here.txt", "The crane.")
    sources = [*walk([desk.folder, other]), Source.of_upload(upload, "minutes.txt")]
    ingest(sources, desk.library, desk.encoder)
    for path in (desk.folder / "gone.txt", other, upload):
        path.unlink()
    pruned = prune(desk.library, [desk.folder])
    assert (pruned.documents, pruned.paths) == (1, (str(desk.folder / "gone.txt"),))
    assert titles(desk.library) == ["d", "here", "minutes"]
    assert prune(desk.library, [desk.folder]).documents == 0


def test_an_empty_folder_and_one_that_is_not_there_are_not_pruned_unless_that_is_meant(desk: Desk) -> None:
    path = desk.write("a.txt", "The crane.")
    desk.add(path)
    path.unlink()
    with pytest.raises(UsageError, match=r"is empty.*nothing is"):
        prune(desk.library, [desk.folder])
    desk.folder.rmdir()
    with pytest.raises(UsageError, match="cannot be read"):
        prune(desk.library, [desk.folder])
    assert forget_deleted(desk.library, [desk.folder], [path]).documents == 0
    assert titles(desk.library) == ["a"]
    assert prune(desk.library, [desk.folder], even_empty=True).documents == 1


PRUNE = """
import sys
from pathlib import Path
from ingest.folders import prune
from ingest.library.library import Library
print(prune(Library(Path(sys.argv[1])), [Path(sys.argv[2])]).documents)
"""


@needs_a_user
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_file_in_a_folder_that_may_not_be_read_is_not_gone(desk: Desk) -> None:
    (desk.folder / "locked").mkdir()
    ingest(
        [Source.of_path(desk.write(name, f"The crane {name}.")) for name in ("a.txt", "locked/b.txt")],
        desk.library, desk.encoder,
    )  # fmt: skip
    (desk.folder / "locked").chmod(0)
    try:
        command = [*AS_A_USER, sys.executable, "-c", PRUNE, str(desk.library.folder), str(desk.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    finally:
        (desk.folder / "locked").chmod(0o700)
    assert done.stdout.strip() == "0"


@pytest.fixture
def watching(desk: Desk, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A real `ingest --watch` of the desk's folder, with the library in it."""
    desk.write("first.txt", "The crane number one.")
    command = [sys.executable, "-c", INGEST, str(desk.folder)]
    command += ["--library", str(desk.folder / "library"), "--watch"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def until(process: subprocess.Popen[str], holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"{what}: {process.communicate()[0]}")
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)


def test_a_watched_folder_is_followed_until_ctrl_c(desk: Desk, watching: subprocess.Popen[str]) -> None:
    place = desk.folder / "library"

    def held(*wanted: str) -> Callable[[], bool]:
        return lambda: Library.exists(place) and titles(Library(place)) == list(wanted)

    until(watching, held("first"), "the files that are there are read first")
    (desk.folder / "sub").mkdir()
    desk.write("sub/second.txt", "The bank number two.")
    desk.write("~$lock.docx", "left behind")
    desk.write("broken.pdf", b"%PDF-1.4 and no more")
    until(watching, held("first", "second"), "a new file in a new folder")
    with writing(Library(place)):  # it waits, and goes on
        desk.write("third.txt", "The river number three.")
        time.sleep(1)
    until(watching, held("first", "second", "third"), "a change while somebody else wrote")
    shutil.rmtree(desk.folder / "sub")
    desk.write("first.txt", "The crane number four.")
    until(watching, held("first", "third"), "a folder was deleted")
    until(watching, lambda: "The crane number four." in passages(place), "a file was changed")
    watching.send_signal(signal.SIGINT)
    out, _ = watching.communicate(timeout=30)
    assert watching.returncode == 0, out
    assert "Traceback" not in out
    assert "refused    " in out
    assert "lock.docx" not in out
    assert "library.sqlite" not in out
    assert "taken out" in out


def passages(place: Path) -> list[str]:
    with Library(place).snapshot() as snapshot:
        return snapshot.sample_texts(100)


def test_a_renamed_file_keeps_its_id_labels_and_vectors(desk: Desk) -> None:
    old = desk.write("old.txt", "The crane is a bird.")
    desk.add(old)
    (before,) = desk.library.documents()
    with desk.library.connection() as db:
        (passage,) = db.execute("SELECT passage_hash FROM chunks").fetchone()
    Labels(desk.library).set("which bird?", passage, Grade.RELEVANT)
    mark = desk.library.generation()
    new = old.rename(desk.folder / "new.txt")
    desk.encoder.calls.clear()
    (report,) = desk.add(new).files
    assert (report.status, report.reason) == (FileStatus.RENAMED, f"It was {old} before.")
    (after,) = desk.library.documents()
    assert (after.id, after.path) == (before.id, str(new))
    assert after.original is not None
    assert after.original.file_name == "new.txt"
    assert desk.encoder.calls == []
    assert desk.library.generation() != mark, "what shows the old path is asked for again"
    (label,) = Labels(desk.library).all()
    assert label.passage is not None
    assert label.passage.path == str(new)
    assert prune(desk.library, [desk.folder]).documents == 0
    assert [file.status for file in desk.add(new).files] == [FileStatus.UNCHANGED]
    new.write_text("The crane is a bird, and lifts steel.")
    assert [file.status for file in desk.add(new).files] == [FileStatus.REPLACED]
    assert [document.id for document in desk.library.documents()] == [before.id]
    other = desk.write("old.txt", "The bank.")  # another file at the path of before
    assert [file.status for file in desk.add(other).files] == [FileStatus.INDEXED]
    assert len({document.id for document in desk.library.documents()} - {before.id}) == 1
    assert len(desk.texts()) == 2
    assert examine(desk.library.folder) == []


def test_a_file_that_took_anothers_name_is_renamed_and_the_other_one_gone(desk: Desk) -> None:
    one, two = desk.write("one.txt", "The crane."), desk.write("two.txt", "The bank.")
    desk.add(one, two)
    two.replace(one)
    assert [file.status for file in desk.add(one).files] == [FileStatus.RENAMED]
    assert desk.texts() == ["The bank."]
    assert [document.path for document in desk.library.documents()] == [str(one)]
    assert examine(desk.library.folder) == []


def test_a_file_whose_bytes_lie_at_both_places_is_a_duplicate(desk: Desk) -> None:
    one = desk.write("one.txt", "The crane.")
    desk.add(one)
    assert [file.status for file in desk.add(desk.write("two.txt", "The crane.")).files] == [
        FileStatus.DUPLICATE
    ]
    assert [document.path for document in desk.library.documents()] == [str(one)]
