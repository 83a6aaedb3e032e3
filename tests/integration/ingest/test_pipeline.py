"""What becomes of files, with a real library and real FAISS; vectors are counts of words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.errors import DocumentNotFoundError, EncoderMismatchError, LibraryBusyError, UsageError
from ingest.library.library import Library, Manifest
from ingest.library.writer import writing
from ingest.notices import Help, Remedy
from ingest.pipeline import ingest
from ingest.rebuild import Rebuilt, rebuild
from ingest.records import FileReport, FileStatus, Stage
from ingest.sources import Source, walk
from rerank.calibration import store as calibration
from rerank.evaluation import cache as evaluation
from tests.conftest import Desk
from tests.fakes import WORD_ENCODER, WordEncoder


def test_every_file_ends_with_its_status(desk: Desk) -> None:
    good = desk.write("snakes.txt", "The python is a snake without venom.")
    same = desk.write("copy.txt", "The python is a snake without venom.")
    bad = desk.write("broken.pdf", b"%PDF-1.4 nothing more")
    empty = desk.write("empty.md", "")
    unknown = desk.write("song.mp3", b"ID3\x00\x00")
    report = desk.add(good, same, bad, empty, unknown, desk.folder / "gone.txt")
    assert [file.status for file in report.files] == ["indexed", "duplicate"] + ["refused"] * 4
    assert report.files[0].chunks == 1
    assert "snakes.txt" in report.files[1].reason
    assert all(
        file.reason.endswith((".", ".)")) and Path(file.path).name in file.reason for file in report.files[2:]
    )
    assert desk.texts() == ["The python is a snake without venom."]


def test_adding_again_changes_nothing_and_embeds_nothing(desk: Desk) -> None:
    path = desk.write("cranes.txt", "A crane is a bird.\n\n" + "A crane lifts steel. " * 30)
    desk.add(path)
    before, generation = desk.texts(), desk.library.generation()
    desk.encoder.calls.clear()
    (report,) = desk.add(path).files
    assert report.status is FileStatus.UNCHANGED
    assert report.chunks == len(before)
    assert desk.texts() == before
    assert desk.encoder.calls == []
    assert desk.library.generation() == generation


def test_a_change_embeds_only_what_changed(desk: Desk) -> None:
    paragraphs = [f"Paragraph {n}. " + f"word{n} " * 24 for n in range(8)]
    path = desk.write("book.txt", "\n\n".join(paragraphs))
    desk.add(path)
    desk.encoder.calls.clear()
    paragraphs[5] = "A new one about the crane. " + "steel " * 20
    path.write_text("\n\n".join(paragraphs))
    (report,) = desk.add(path).files
    assert report.status is FileStatus.REPLACED
    assert len(desk.encoder.calls) == 1
    assert "A new one about the crane" in desk.encoder.calls[0]
    assert len(desk.library.documents()) == 1
    assert not [text for text in desk.texts() if "Paragraph 5" in text]


def test_a_refused_new_version_leaves_the_old_one(desk: Desk) -> None:
    path = desk.write("note.txt", "The bank keeps money.")
    desk.add(path)
    path.write_bytes(b"")
    (report,) = desk.add(path).files
    assert report.status is FileStatus.REFUSED
    assert desk.texts() == ["The bank keeps money."]


def test_files_that_changed_places_are_both_kept(desk: Desk) -> None:
    one, two = desk.write("1.txt", "A crane is a bird."), desk.write("2.txt", "The bank by the river.")
    desk.add(one, two)
    one.write_text("The bank by the river.")
    two.write_text("A crane is a bird.")
    desk.add(one, two)
    assert sorted(desk.texts()) == ["A crane is a bird.", "The bank by the river."]
    found = {Path(document.path).name: document.title for document in desk.library.documents()}
    assert found == {"1.txt": "1", "2.txt": "2"}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("same_bytes", [True, False])
def test_a_file_that_takes_over_what_another_held_is_no_duplicate(
    desk: Desk, order: tuple[int, int], same_bytes: bool
) -> None:
    old, older = "# Log\n\nThe old crane.", "# Log\n\nThe older crane."
    paths = [desk.write("log.md", old), desk.write("log.1.md", older)]
    desk.add(*paths)
    paths[0].write_text("# Log\n\nThe new crane.")
    paths[1].write_text(old, encoding="utf-8" if same_bytes else "utf-8-sig")
    report = desk.add(*(paths[place] for place in order))
    assert [file.status for file in report.files] == ["replaced", "replaced"]
    assert len(desk.texts()) == 2
    for crane in ("The new crane.", "The old crane."):
        assert any(crane in text for text in desk.texts())


def test_entries_of_a_corpus_come_and_go_with_its_file(desk: Desk) -> None:
    lines = [{"_id": str(n), "title": f"t{n}", "text": f"crane number {n}"} for n in range(5)]
    path = desk.write("corpus.jsonl", "\n".join(map(json.dumps, lines)))
    (first,) = desk.add(path).files
    assert (first.status, first.chunks) == (FileStatus.INDEXED, 5)
    del lines[1]
    lines[2]["text"] = "the river bank"
    path.write_text("\n".join(map(json.dumps, lines)))
    (second,) = desk.add(path).files
    assert (second.status, second.chunks) == (FileStatus.REPLACED, 4)
    assert sorted(desk.texts()) == ["crane number 0", "crane number 2", "crane number 4", "the river bank"]


def test_a_deleted_document_is_gone_at_once_and_can_come_back(desk: Desk) -> None:
    keep = desk.write("keep.txt", "The river may flood.")
    drop = desk.write("drop.txt", "The secret of the bank.")
    desk.add(keep, drop)
    with writing(desk.library) as writer:
        writer.delete([desk.library.find("drop").id])
    assert desk.texts() == ["The river may flood."]
    assert b"secret of the bank" not in (desk.library.folder / "library.sqlite").read_bytes()
    with pytest.raises(DocumentNotFoundError, match="no document"):
        desk.library.find("drop")
    (report,) = desk.add(drop).files
    assert report.status is FileStatus.INDEXED
    assert sorted(desk.texts()) == ["The river may flood.", "The secret of the bank."]


def test_a_stop_keeps_what_was_finished(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.intake.WINDOW", 4)
    first = desk.write("first.txt", "A crane is a bird.")
    long = desk.write("long.txt", "\n\n".join(f"Part {n}. " + f"w{n} " * 25 for n in range(40)))
    stop_at = 12
    report = desk.add(first, long, cancelled=lambda: len(desk.encoder.calls) >= stop_at)
    assert report.cancelled
    assert [file.path for file in report.files] == [str(first)]
    assert desk.texts() == ["A crane is a bird."]
    embedded = len(desk.encoder.calls)
    report = desk.add(first, long)
    assert [file.status for file in report.files] == ["unchanged", "indexed"]
    assert len(desk.encoder.calls) == len(set(desk.encoder.calls)), "a passage was embedded twice"
    assert len(desk.encoder.calls) - embedded == report.files[1].chunks - (embedded - 1)


def test_progress_tells_the_stages_and_reports_only_what_is_visible(desk: Desk) -> None:
    path = desk.write("a.txt", "The python reads code.")
    seen = []

    def watch(progress) -> None:
        seen.append(progress.stage)
        if progress.stage is Stage.DONE:
            assert [document.title for document in desk.library.documents()] == ["a"]

    desk.add(path, on_progress=watch)
    assert seen == [Stage.READING, Stage.EMBEDDING, Stage.EMBEDDING, Stage.PUBLISHING, Stage.DONE]


def test_an_upload_is_known_by_its_name(desk: Desk, library: Library) -> None:
    first = desk.write("tmp1", "Version one of the crane.")
    second = desk.write("tmp2", "Version two of the crane.")

    def add(path: Path, name: str, **options: bool) -> FileReport:
        return ingest([Source.of_upload(path, name, **options)], library, desk.encoder).files[0]

    add(first, "crane.txt")
    report = add(second, "crane.txt")
    assert (report.path, report.status) == ("crane (2).txt", FileStatus.INDEXED)
    assert report.reason == "Another file called crane.txt is in the library; both are kept."
    assert [document.title for document in library.documents()] == ["crane", "crane (2)"]
    again = [add(first, "crane.txt"), add(second, "crane.txt"), add(second, "other.txt")]
    assert [(file.path, file.status) for file in again] == [
        ("crane.txt", FileStatus.UNCHANGED), ("crane (2).txt", FileStatus.UNCHANGED),
        ("other.txt", FileStatus.DUPLICATE),
    ]  # fmt: skip
    rebuild(library, desk.encoder, 64)  # which forgets what bytes the files had
    assert [add(path, "crane.txt").path for path in (first, second)] == ["crane.txt", "crane (2).txt"]
    third = desk.write("tmp3", "Version three of the crane.")
    assert add(third, "crane.txt", replaces=True).status is FileStatus.REPLACED
    assert sorted(desk.texts()) == ["Version three of the crane.", "Version two of the crane."]
    told = add(second, "crane.txt", replaces=True)  # which takes the third version out: that is said
    assert told.status is FileStatus.DUPLICATE
    assert told.reason.endswith("What crane.txt held before is taken out.")
    assert desk.texts() == ["Version two of the crane."]


def test_an_upload_that_is_refused_or_a_duplicate_takes_nothing_out(desk: Desk, library: Library) -> None:
    def add(name: str, content: str) -> str:
        return (
            ingest([Source.of_upload(desk.write("tmp", content), name)], library, desk.encoder)
            .files[0]
            .status
        )

    assert [add("a.txt", "One crane."), add("b.txt", "Two cranes.")] == ["indexed", "indexed"]
    assert [add("a.txt", ""), add("a.txt", "Two cranes.")] == ["refused", "duplicate"]
    assert sorted(desk.texts()) == ["One crane.", "Two cranes."]


def test_folders_are_walked_in_order_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.md", "a/x.bin", ".git/config.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [Path(source.name).name for source in walk([tmp_path])] == ["c.md", "x.bin", "b.txt"]
    assert [Path(source.name).name for source in walk([tmp_path / "a/x.bin"])] == ["x.bin"]


def test_a_library_among_the_files_is_passed_over(desk: Desk) -> None:
    path = desk.write("a.txt", "A crane is a bird.")
    library = Library.create(desk.folder / "sub" / "library", Manifest.of(WORD_ENCODER, 32))
    ingest([Source.of_path(path)], library, desk.encoder)
    for name in (calibration.FILE, evaluation.FILE):
        (library.folder / name).write_text("{}")
    (library.folder / "vectors" / "note.txt").write_text("The bank by the river.")
    with library.connection():  # its log is there meanwhile
        names = [Path(source.name).name for source in walk([desk.folder])]
    assert names == ["a.txt", "note.txt"]
    (library.folder / "library.sqlite").unlink()
    assert len(list(walk([desk.folder]))) == 7, "without the database it is no library"


def test_a_link_to_itself_and_a_name_that_no_disk_takes_cost_only_themselves(desk: Desk) -> None:
    ring, endless = desk.folder / "ring.txt", desk.folder / ("a" * 300)
    ring.symlink_to(ring)
    report = desk.add(*(source.path for source in walk([ring, endless, desk.write("a.txt", "snake venom")])))
    assert [file.status for file in report.files] == [
        FileStatus.REFUSED,
        FileStatus.REFUSED,
        FileStatus.INDEXED,
    ]
    assert all("cannot be read" in file.reason for file in report.files[:2])


def test_another_encoder_is_refused_with_both_names_and_what_helps(desk: Desk) -> None:
    from dataclasses import replace

    other = WordEncoder(replace(WORD_ENCODER, name="other-encoder"))
    with pytest.raises(EncoderMismatchError, match=r"word-encoder; other-encoder .* Rebuild it") as caught:
        ingest([], desk.library, other)
    assert caught.value.help == Help(Remedy.REBUILD, desk.library.folder, "other-encoder")


def test_rebuild_cuts_and_embeds_everything_again(desk: Desk) -> None:
    from dataclasses import replace

    path = desk.write("long.txt", "\n\n".join(f"Part {n}. " + f"w{n} " * 20 for n in range(6)))
    desk.add(path)
    many = len(desk.texts())
    other = WordEncoder(replace(WORD_ENCODER, name="other-encoder"))
    assert rebuild(desk.library, other, 400) == Rebuilt(documents=1, from_text=0)
    assert desk.library.manifest() == Manifest.of(other.model.spec, 400)
    assert many > len(desk.texts()) == 1
    (report,) = ingest([Source.of_path(path)], desk.library, other).files
    assert (report.status, report.chunks) == (FileStatus.UNCHANGED, 1)


def test_a_file_is_read_once_after_a_rebuild(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk.write("crane.md", "# Crane\n\nA crane is a bird.")
    duplicate = desk.write("duplicate.md", "\ufeff# Crane\n\nA crane is a bird.")
    assert [file.status for file in desk.add(path, duplicate).files] == ["indexed", "duplicate"]
    rebuild(desk.library, desk.encoder, 64)
    assert [file.status for file in desk.add(path, duplicate).files] == ["unchanged", "duplicate"]
    monkeypatch.setattr("ingest.intake.read_in_worker", lambda *_, **__: pytest.fail("read again"))
    assert [file.status for file in desk.add(path).files] == ["unchanged"]
    assert len(desk.library.documents()) == 1


def test_a_second_writer_is_refused_in_a_sentence(desk: Desk) -> None:
    busy = pytest.raises(LibraryBusyError, match="Another process is writing")
    with writing(desk.library), busy, writing(desk.library, wait=0.05):
        pytest.fail("two writers at once")


def test_a_title_that_two_documents_have_must_be_named_by_id(desk: Desk) -> None:
    (desk.folder / "x").mkdir()
    desk.add(desk.write("same.txt", "One crane."), desk.write("x/same.txt", "Two cranes."))
    with pytest.raises(UsageError, match="2 documents"):
        desk.library.find("same")
