"""The files that documents were read from are kept, opened, read again, and gone with their documents."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import DamagedFileError, LibraryDamagedError, StorageError
from ingest.library.archive.export import export_library
from ingest.library.archive.importing import import_library
from ingest.library.files.originals import KEEPS_ORIGINALS, ORIGINALS, opened
from ingest.library.health.doctor import examine
from ingest.library.health.repair import repair
from ingest.library.health.view import Part
from ingest.library.library import Library
from ingest.library.writer import writing
from ingest.readers.registry import read_documents
from ingest.rebuild import Rebuilt, rebuild
from ingest.records import Document, sha256_of
from tests.conftest import Desk
from ui.command_line.main import main

CORPUS = "".join(json.dumps({"_id": str(n), "text": f"crane number {n}"}) + "\n" for n in range(2))


def kept(library: Library) -> list[str]:
    folder = library.folder / ORIGINALS
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def delete(desk: Desk, title: str) -> None:
    with writing(desk.library) as writer:
        writer.delete([desk.library.find(title).id])


def test_a_file_is_kept_as_it_was_opened_counted_and_gone_with_its_last_document(desk: Desk) -> None:
    note, corpus = desk.write("note.txt", b"\xef\xbb\xbfThe bank.\r\n"), desk.write("cranes.jsonl", CORPUS)
    desk.add(note, corpus, desk.write("copy.txt", note.read_bytes()), desk.write("bad.pdf", b"%PDF-1.4"))
    hashes = sorted((sha256_of(note), sha256_of(corpus)))
    assert kept(desk.library) == hashes
    assert desk.library.originals_size() == (2, len(note.read_bytes()) + len(corpus.read_bytes()))
    note.unlink()
    original = desk.library.find("note").original
    assert original is not None
    assert original.file_name == "note.txt"
    with opened(desk.library.folder, original) as file:
        assert file.read() == b"\xef\xbb\xbfThe bank.\r\n"
    first, second = (d for d in desk.library.documents() if d.source.endswith("cranes.jsonl"))
    with writing(desk.library) as writer:
        writer.delete([first.id])
    assert kept(desk.library) == hashes, "an entry of the corpus is there yet"
    with writing(desk.library) as writer:
        writer.delete([second.id])
    delete(desk, "note")
    assert kept(desk.library) == []
    assert desk.library.originals_size() == (0, 0)


def test_a_changed_file_takes_the_place_of_the_one_before(desk: Desk) -> None:
    path = desk.write("note.txt", "The bank.")
    desk.add(path)
    path.write_text("The river.")
    desk.add(path)
    assert kept(desk.library) == [sha256_of(path)]


def test_nothing_is_kept_where_nobody_wants_it_and_what_an_earlier_version_did_not_keep_is_added(
    desk: Desk,
) -> None:
    path = desk.write("note.txt", "The bank.")
    desk.add(path, originals=False)
    assert kept(desk.library) == []
    desk.library.note(KEEPS_ORIGINALS, False)
    desk.add(path)
    assert kept(desk.library) == []
    desk.library.note(KEEPS_ORIGINALS, None)
    assert desk.add(path).files[0].status == "unchanged"
    assert kept(desk.library) == [sha256_of(path)]
    with writing(desk.library) as writer:
        writer.forget_originals()
    assert kept(desk.library) == []
    assert desk.library.find("note").original is None


WORKER = textwrap.dedent(
    """
    import importlib, os, signal, sys
    from pathlib import Path
    from ingest.library.files import originals
    from ingest.library.library import Library
    from ingest.pipeline import ingest
    from ingest.sources import Source
    from tests.fakes import WordEncoder

    folder, file, where, after = sys.argv[1:]
    owner = originals.os if where in ("replace", "fsync") else originals
    real = getattr(owner, where)

    def dying(*args, **options):
        if after == "after":
            real(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, where, dying)
    ingest([Source.of_path(Path(file))], Library(Path(folder)), WordEncoder())
    """
)


@pytest.mark.parametrize("after", ["before", "after"])
@pytest.mark.parametrize("where", ["replace", "fsync", "insert", "settle", "sweep"])
def test_a_kill_while_a_file_is_kept_loses_nothing_and_leaves_nothing(
    desk: Desk, where: str, after: str
) -> None:
    path = desk.write("note.txt", "The bank.")
    desk.add(path)
    path.write_text("The river.")
    command = [sys.executable, "-c", WORKER, str(desk.library.folder), str(path), where, after]
    done = subprocess.run(command, cwd=Path(__file__).parents[4], check=False)
    assert done.returncode == -signal.SIGKILL, "the step was never reached"
    with writing(desk.library):
        pass
    assert examine(desk.library.folder) == []
    (document,) = desk.library.documents()
    assert document.original is not None
    with opened(desk.library.folder, document.original) as file:
        assert [file.read().decode()] == desk.texts()
    assert kept(desk.library) == [document.original.sha256]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_neither_written_nor_read_through(desk: Desk, tmp_path: Path) -> None:
    path = desk.write("note.txt", "The bank.")
    (tmp_path / "elsewhere").mkdir()
    (desk.library.folder / ORIGINALS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="is a link"):
        desk.add(path)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    (desk.library.folder / ORIGINALS).unlink()
    desk.add(path)
    original = desk.library.find("note").original
    assert original is not None
    place = desk.library.folder / ORIGINALS / original.sha256
    place.unlink()
    place.symlink_to(path)  # the very bytes
    with pytest.raises(LibraryDamagedError, match=r"link or no file.*Repair it"):
        opened(desk.library.folder, original)
    assert [finding.part for finding in examine(desk.library.folder)] == [Part.ORIGINALS]


@pytest.mark.parametrize("damage", ["flip", "gone"])
def test_a_damaged_original_is_noticed_and_kept_anew_by_the_next_ingest(desk: Desk, damage: str) -> None:
    path = desk.write("note.txt", "The bank.")
    desk.add(path)
    (place,) = (desk.library.folder / ORIGINALS).iterdir()
    place.write_text("The tank.") if damage == "flip" else place.unlink()
    (desk.library.folder / ORIGINALS / ("0" * 64)).write_text("an orphan")
    assert {finding.part for finding in examine(desk.library.folder)} == {Part.ORIGINALS, Part.LITTER}
    assert any("original of" in str(message) for message in repair(desk.library.folder).done)
    assert examine(desk.library.folder) == []
    assert kept(desk.library) == []
    desk.add(path)
    assert kept(desk.library) == [sha256_of(path)]
    assert examine(desk.library.folder) == []


def test_a_rebuild_reads_originals_with_todays_readers_and_texts_where_there_are_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, corpus = desk.write("note.txt", "The bank."), desk.write("cranes.jsonl", CORPUS)
    desk.add(text, corpus)
    desk.add(lost := desk.write("lost.txt", "The snake."), originals=False)
    for path in (text, corpus, lost):
        path.unlink()
    ids = {document.id for document in desk.library.documents()}

    def better(path: Path, *, cancelled: object, **options: Any) -> Iterator[Document]:
        for document in read_documents(path, **options):
            yield replace(document, text=f"{document.text} Read better.")

    monkeypatch.setattr("ingest.intake.read_in_worker", better)
    assert rebuild(desk.library, desk.encoder, 32) == Rebuilt(documents=4, from_text=1)
    assert {document.id for document in desk.library.documents()} == ids
    assert sorted(desk.texts()) == [
        "The bank. Read better.", "The snake.", "crane number 0 Read better.", "crane number 1 Read better."
    ]  # fmt: skip
    assert len(kept(desk.library)) == 2
    assert examine(desk.library.folder) == []


def test_a_rebuild_keeps_the_text_of_an_original_that_cannot_be_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.add(desk.write("cranes.jsonl", CORPUS))

    def worse(path: Path, *, cancelled: object, **options: Any) -> Iterator[Document]:
        yield next(read_documents(path, **options))
        raise DamagedFileError("No more can be read.")

    monkeypatch.setattr("ingest.intake.read_in_worker", worse)
    assert rebuild(desk.library, desk.encoder, 32) == Rebuilt(documents=2, from_text=2)
    assert sorted(desk.texts()) == ["crane number 0", "crane number 1"]


def test_an_export_takes_originals_along_where_it_is_asked_to(desk: Desk, tmp_path: Path) -> None:
    path = desk.write("note.txt", "The bank. " * 50)
    desk.add(path)
    export_library(desk.library, tmp_path / "plain.zip")
    import_library(tmp_path / "plain.zip", tmp_path / "plain")
    assert kept(Library(tmp_path / "plain")) == []
    export_library(desk.library, tmp_path / "whole.zip", with_originals=True)
    import_library(tmp_path / "whole.zip", tmp_path / "whole")
    copy = Library(tmp_path / "whole")
    assert kept(copy) == [sha256_of(path)]
    assert examine(copy.folder) == []
    raw = (tmp_path / "whole.zip").read_bytes()
    (tmp_path / "forged.zip").write_bytes(raw.replace(b"The bank. The bank. ", b"The tank. The tank. ", 1))
    with pytest.raises(DamagedFileError):
        import_library(tmp_path / "forged.zip", tmp_path / "forged")
    assert not (tmp_path / "forged").exists()


def test_the_command_writes_the_original_and_takes_no_files_place(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.add(desk.write("note.txt", "The bank."))
    (tmp_path / "out").mkdir()
    command = ["original", "note", str(tmp_path / "out"), "--library", str(desk.library.folder)]
    assert main(command) == 0
    assert (tmp_path / "out" / "note.txt").read_text() == "The bank."
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "note.txt")
    assert main(command) == 2
    assert "there already" in capsys.readouterr().err
    assert main(["documents", "--library", str(desk.library.folder)]) == 0
    assert "1 original, 9 bytes" in capsys.readouterr().err
