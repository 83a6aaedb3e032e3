"""Opening libraries that are missing, damaged, incomplete or from the future."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from ingest.errors import LibraryDamagedError, LibraryNotFoundError, NewerFormatError
from ingest.library.health.doctor import examine
from ingest.library.library import Library, Manifest
from ingest.library.schema import FORMAT
from ingest.notices import Help, Remedy
from ingest.pipeline import ingest
from ingest.sources import Source
from tests.conftest import Desk
from tests.fakes import WORD_ENCODER, WordEncoder


def test_a_missing_library_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFoundError, match="Make one") as caught:
        Library(tmp_path)
    assert caught.value.help == Help(Remedy.INGEST, tmp_path)
    assert list(tmp_path.iterdir()) == [], "looking made something"


def test_a_later_format_is_refused_by_name(desk: Desk) -> None:
    with sqlite3.connect(desk.library.folder / "library.sqlite") as db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(NewerFormatError, match=f"format {FORMAT + 1}"):
        Library(desk.library.folder)


def test_a_missing_field_of_the_manifest_is_damage_not_a_default(desk: Desk) -> None:
    with sqlite3.connect(desk.library.folder / "library.sqlite") as db:
        db.execute("DELETE FROM manifest WHERE key = 'chunk_tokens'")
    with pytest.raises(LibraryDamagedError, match="chunk_tokens"):
        desk.library.manifest()


def test_what_else_lies_in_the_folder_is_left_alone(tmp_path: Path, encoder: WordEncoder) -> None:
    """A library may be made in a folder that people use, and that has a folder of this name."""
    (tmp_path / "vectors" / "logos").mkdir(parents=True)
    for name in ("drawing.svg", ".hidden", "000001.faiss.txt", "logos/crane.svg"):
        (tmp_path / "vectors" / name).write_text("mine")
    (tmp_path / "note.txt").write_text("A crane is a bird.")
    library = Library.create(tmp_path, Manifest.of(WORD_ENCODER, 32))
    for text in ("A crane is a bird.", "A crane lifts steel."):
        (tmp_path / "note.txt").write_text(text)
        assert ingest([Source.of_path(tmp_path / "note.txt")], library, encoder).files[0].status in (
            "indexed",
            "replaced",
        )
    assert examine(tmp_path) == []
    names = {path.name for path in (tmp_path / "vectors").rglob("*")}
    index = library.generation().index
    assert index is not None
    assert names == {"drawing.svg", ".hidden", "000001.faiss.txt", "logos", "crane.svg", index.name}


def test_a_folder_of_vectors_is_no_library_without_its_database(tmp_path: Path) -> None:
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "drawing.svg").write_text("mine")
    with pytest.raises(LibraryNotFoundError, match="There is no library"):
        examine(tmp_path)


@pytest.mark.parametrize("version", [0, 1, FORMAT])
def test_a_database_of_something_else_is_left_as_it_is(tmp_path: Path, version: int) -> None:
    path = tmp_path / "library.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE documents (title TEXT)")
        db.execute("INSERT INTO documents VALUES ('mine')")
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    raw = path.read_bytes()
    with pytest.raises(LibraryNotFoundError, match="of something else"):
        Library.create(tmp_path, Manifest.of(WORD_ENCODER, 32))
    assert path.read_bytes() == raw
    assert [found.name for found in tmp_path.iterdir()] == ["library.sqlite"]


def test_an_emptied_database_is_damage_and_no_new_library(desk: Desk) -> None:
    path = desk.library.folder / "library.sqlite"
    path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(LibraryDamagedError, match="is empty"):
            Library(desk.library.folder)
    assert path.read_bytes() == b""


def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "library.sqlite").write_bytes(
        b"this is not a database, but it is long enough to be read as one" * 40
    )
    with pytest.raises(LibraryDamagedError, match="damaged"):
        Library(tmp_path)


def test_two_processes_may_create_the_same_library(desk: Desk) -> None:
    again = Library.create(desk.library.folder, desk.library.manifest())
    assert again.manifest() == desk.library.manifest()


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_a_library_can_be_made_where_there_are_no_hard_links(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on sticks with exFAT, and on some shares."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    library = Library.create(tmp_path / "stick", Manifest.of(WORD_ENCODER, 32))
    assert library.manifest() == Manifest.of(WORD_ENCODER, 32)


def test_documents_are_listed_by_title_with_their_counts(desk: Desk) -> None:
    desk.add(desk.write("b.txt", "Bank.\n\n" + "river " * 60), desk.write("A.txt", "Crane."))
    listed = [(document.title, document.chunks, document.pages) for document in desk.library.documents()]
    assert [entry[0] for entry in listed] == ["A", "b"]
    assert listed[0][1:] == (1, 0)
    assert listed[1][1] > 1


def test_a_library_appears_whole_to_whoever_looks_while_it_is_made(tmp_path: Path) -> None:
    manifest = Manifest.of(WORD_ENCODER)
    problems: list[Exception] = []
    for round_number in range(15):
        folder = tmp_path / str(round_number)
        start = threading.Barrier(6)

        def look(folder: Path = folder, start: threading.Barrier = start) -> None:
            start.wait()
            for _ in range(40):
                try:
                    if Library.exists(folder):
                        assert Library(folder).manifest() == manifest
                        assert Library(folder).documents() == []
                except Exception as error:  # a thread's error must reach the test
                    problems.append(error)

        def make(folder: Path = folder, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                Library.create(folder, manifest)
            except Exception as error:  # a thread's error must reach the test
                problems.append(error)

        threads = [threading.Thread(target=work) for work in (look, look, look, look, make, make)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert problems == []
