"""A disk that is full, a folder in which nothing may be written, a file that goes away while it is read."""

from __future__ import annotations

import io
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest import intake
from ingest.errors import LibraryError, StorageError
from ingest.intake import Intake
from ingest.library.archive.export import export_library
from ingest.library.health.doctor import examine
from ingest.library.health.view import Part
from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import DATABASE, Library, Manifest
from ingest.library.writer import writing
from ingest.pipeline import ingest
from ingest.readers.source import Limits
from ingest.records import FileStatus, IngestProgress, Stage
from ingest.sources import Source
from rerank.calibration.calibrate import calibrate
from rerank.calibration.labels import Labelled
from rerank.calibration.methods import Method
from rerank.calibration.records import LibraryState
from rerank.calibration.store import FILE, save
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WORD_ENCODER, WORD_SCORER, WordEncoder
from tests.parts.disks import Disk, disk
from ui.files.uploads import keep

__all__ = ["disk"]  # a fixture is used by its name alone

OLD, NEW = "The old crane.", "The new crane."
FULL = r"the disk is full\. What was there before is kept; free some room|the disk is full, or|room left on the disk\?"
READ_ONLY = r"nothing may be written there\. (Free some room, m|M)ake the folder writable"


@pytest.fixture
def away(disk: Disk, tmp_path: Path) -> Desk:
    """A library on the small disk that holds one document; its files lie on another."""
    library = Library.create(disk.folder / "library", Manifest.of(WORD_ENCODER, 32))
    desk = Desk(tmp_path / "files", library, WordEncoder())
    desk.add(desk.write("old.txt", OLD))
    return desk


def found(library: Library) -> set[str]:
    """What a search finds, by a process that opens the library now."""
    again = Library(library.folder)
    return {c.chunk.text for c in Retriever(again, WordEncoder()).retrieve("crane", 100).candidates}


def check_whole(library: Library, *texts: str) -> None:
    assert found(library) == set(texts)
    findings = [finding for finding in examine(library.folder) if finding.part is not Part.LITTER]
    assert findings == []


def long_text() -> str:
    return NEW + "\n\n" + "\n\n".join(f"river {n} bank " * 10 for n in range(200))


@pytest.mark.parametrize("stage", [Stage.READING, Stage.EMBEDDING, Stage.PUBLISHING])
def test_a_disk_that_fills_up_during_an_ingest(disk: Disk, away: Desk, stage: Stage) -> None:
    new = away.write("new.txt", long_text())
    reported: list[str] = []

    def hear(progress: IngestProgress) -> None:
        if progress.report is not None:
            reported.append(progress.report.path)
        if progress.stage is stage:
            disk.fill()

    with pytest.raises(StorageError, match=FULL):
        away.add(new, on_progress=hear)
    assert reported == []
    check_whole(away.library, OLD)
    with pytest.raises(StorageError, match=FULL):
        away.add(new)
    disk.free()
    assert away.add(new).files[0].status is FileStatus.INDEXED
    assert {OLD, *away.texts()} == found_all(away.library)
    assert examine(away.library.folder) == []


def found_all(library: Library) -> set[str]:
    candidates = Retriever(library, WordEncoder()).retrieve("crane", 10_000).candidates
    return {c.chunk.text for c in candidates}


@pytest.mark.parametrize("step", ["index written", "index verified", "index renamed", "folder synced"])
def test_a_disk_that_fills_up_at_a_step_of_publishing(disk: Disk, away: Desk, step: str) -> None:
    """The old generation or the new one: its commit may still find room in the log that is there."""
    new = Source.of_path(away.write("new.txt", NEW))
    published = False
    with suppress(StorageError):
        with writing(away.library, on_step=lambda at: disk.fill() if at == step else None) as writer:
            run = Intake(writer, away.encoder, 1, None, lambda: False, Limits())
            run.add(1, new)
            run.publish()
        published = True
    check_whole(away.library, *([OLD, NEW] if published else [OLD]))
    disk.free()
    away.add(new.path)
    check_whole(away.library, OLD, NEW)
    assert examine(away.library.folder) == []


def test_a_label_on_a_full_disk_is_refused_and_those_before_are_kept(disk: Disk, away: Desk) -> None:
    labels = Labels(away.library)
    labels.set("crane", "a" * 64, Grade.RELEVANT)
    disk.fill()
    with pytest.raises(StorageError, match=FULL):
        labels.set("crane", "b" * 64, Grade.NOT)
    assert labels.grades("crane") == {"a" * 64: Grade.RELEVANT}
    disk.free()
    labels.set("crane", "b" * 64, Grade.NOT)
    assert labels.grades("crane") == {"a" * 64: Grade.RELEVANT, "b" * 64: Grade.NOT}


def fit(library: Library) -> None:
    rows = [Labelled(f"question {n % 2}", float(n), n % 3 == 0) for n in range(8)]
    save(library.folder / FILE, calibrate(rows, WORD_SCORER, LibraryState.of(library), Method.PLATT))


def test_an_export_and_a_calibration_on_a_full_disk_leave_those_before(disk: Disk, away: Desk) -> None:
    export = disk.folder / "export.zip"
    export_library(away.library, export)
    fit(away.library)
    before = export.read_bytes(), (away.library.folder / FILE).read_bytes()
    disk.fill()
    with pytest.raises(
        LibraryError, match=r"No space left on device\. Free the disk, or choose another place"
    ):
        export_library(away.library, export)
    with pytest.raises(LibraryError, match=r"The calibration cannot be written .* Free the folder"):
        fit(away.library)
    assert (export.read_bytes(), (away.library.folder / FILE).read_bytes()) == before
    assert sorted(path.name for path in disk.folder.iterdir()) == ["export.zip", "filler", "library"]
    disk.free()
    export_library(away.library, export)
    fit(away.library)
    assert export.read_bytes() == before[0]


class Dropped(io.BytesIO):
    name = "dropped.txt"


def test_uploads_on_a_full_disk_are_refused_and_leave_nothing(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
    with pytest.raises(
        StorageError, match="A copy of the uploaded files cannot be written: the disk is full"
    ):
        keep([Dropped(b"short"), Dropped(b"x" * 9_000_000)])
    assert list(disk.folder.iterdir()) == []


def test_a_library_where_nothing_may_be_written_is_searched_and_refuses_to_change(
    disk: Disk, away: Desk, tmp_path: Path
) -> None:
    library = away.library
    refused: list[Callable[[], object]] = [
        lambda: away.add(away.write("new.txt", NEW)),
        lambda: Labels(library).set("crane", "a" * 64, Grade.NOT),
        lambda: delete(library),
        lambda: Library.create(disk.folder / "another", Manifest.of(WORD_ENCODER, 32)),
    ]
    with disk.locked():
        assert sorted(path.name for path in library.folder.iterdir()) == [
            DATABASE, "originals", "vectors", "writer.lock"
        ]  # fmt: skip
        check_whole(library, OLD)
        for change in refused:
            with pytest.raises(StorageError, match=READ_ONLY):
                change()
        with pytest.raises(LibraryError, match="Read-only file system"):
            export_library(library, disk.folder / "export.zip")
        with pytest.raises(LibraryError, match="or make it writable"):
            fit(library)
        export_library(library, tmp_path / "export.zip")
        check_whole(library, OLD)
    away.add(away.folder / "new.txt")
    check_whole(library, OLD, NEW)


def delete(library: Library) -> None:
    with writing(library) as writer:
        writer.delete([library.find("old").id])


def test_a_damaged_index_where_nothing_may_be_written_is_built_in_memory(disk: Disk, away: Desk) -> None:
    index = away.library.generation().index
    assert index is not None
    (away.library.folder / "vectors" / index.name).write_bytes(b"damaged")
    with disk.locked():
        retrieved = Retriever(Library(away.library.folder), away.encoder).retrieve("crane", 10)
    assert [c.chunk.text for c in retrieved.candidates] == [OLD]
    assert "built again from the library's own vectors" in retrieved.notices[0].text


def test_commits_that_cannot_be_reached_are_said_and_not_left_out(disk: Disk, away: Desk) -> None:
    """A copy of a library that somebody has open, without the shared memory beside it."""
    with away.library.connection():
        away.add(away.write("new.txt", NEW))
        copied = shutil.copytree(
            away.library.folder, disk.folder / "copy", ignore=shutil.ignore_patterns("*-shm")
        )
    with disk.locked(), pytest.raises(StorageError, match=f"its last changes are in {DATABASE}-wal alone"):
        Library(copied)
    assert found(Library(copied)) == {OLD, NEW}


LIMITED = textwrap.dedent(
    """
    import resource, sys
    from pathlib import Path
    from ingest.errors import SecondLookError
    from ingest.library.library import Library
    from ingest.pipeline import ingest
    from ingest.sources import Source
    from tests.fakes import WordEncoder

    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
    try:
        ingest([Source.of_path(Path(sys.argv[2]))], Library(Path(sys.argv[1])), WordEncoder())
    except SecondLookError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    """
)


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on the size of files here")
def test_files_that_may_not_grow_are_a_disk_that_is_full(desk: Desk) -> None:
    desk.add(desk.write("old.txt", OLD))
    new = desk.write("new.txt", long_text())
    command = [sys.executable, "-c", LIMITED, str(desk.library.folder), str(new), "60000"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[4], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr.startswith("StorageError: The library "), done.stderr
    assert done.stderr.count("\n") == 1, "more than a sentence"
    check_whole(desk.library, OLD)
    assert desk.add(new).files[0].status is FileStatus.INDEXED


class MeddlingEncoder(WordEncoder):
    """Something happens to a file when the first passages are embedded: in the middle of a long corpus."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        super().__init__()
        self._meddle = meddle

    def encode_passages(
        self, passages: list[str], on_batch: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        if not self.calls:
            self._meddle()
        return super().encode_passages(passages, on_batch)


def corpus(entries: int, word: str) -> str:
    rows = ({"_id": str(n), "title": "", "text": f"{word} {n}, a crane."} for n in range(entries))
    return "".join(json.dumps(row) + "\n" for row in rows)


def replace(path: Path, text: str) -> None:
    path.with_suffix(".next").write_text(text)
    path.with_suffix(".next").replace(path)


@pytest.mark.parametrize(
    ("meddle", "sentence"),
    [
        (lambda path: path.unlink(), "cannot be read: No such file or directory"),
        (lambda path: path.write_text(corpus(1_500, "after")), "changed while it was being read"),
        (lambda path: replace(path, corpus(2, "other")), "changed while it was being read"),
    ],
    ids=["removed", "cut", "replaced"],
)
def test_a_file_that_changes_while_it_is_read_leaves_the_library_as_it_was(
    desk: Desk, meddle: Callable[[Path], object], sentence: str
) -> None:
    path = desk.write("corpus.jsonl", corpus(3, "before"))
    desk.add(path)
    before = set(desk.texts())
    desk.write("corpus.jsonl", corpus(2_000, "after"))
    other = desk.write("other.txt", OLD)
    encoder = MeddlingEncoder(lambda: meddle(path))
    report = ingest([Source.of_path(path), Source.of_path(other)], desk.library, encoder)
    assert [file.status for file in report.files] == [FileStatus.REFUSED, FileStatus.INDEXED]
    assert sentence in report.files[0].reason
    check_whole(desk.library, *before, OLD)
    desk.write("corpus.jsonl", corpus(2, "again"))
    assert desk.add(path).files[0].status is FileStatus.REPLACED
    assert found(desk.library) == {"again 0, a crane.", "again 1, a crane.", OLD}


def test_a_file_that_goes_before_it_is_parsed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = intake.sha256_of

    def hash_and_remove(path: Path) -> str:
        digest = hashed(path)
        path.unlink()
        return digest

    gone, other = desk.write("gone.txt", NEW), desk.write("other.txt", OLD)
    with monkeypatch.context() as patch:
        patch.setattr(
            intake, "sha256_of", lambda path, *_: (hash_and_remove if path == gone else hashed)(path)
        )
        report = desk.add(gone, other)
    assert [file.status for file in report.files] == [FileStatus.REFUSED, FileStatus.INDEXED]
    assert (
        "gone.txt cannot be opened (No such file or directory); check that it is there"
        in report.files[0].reason
    )
    check_whole(desk.library, OLD)
