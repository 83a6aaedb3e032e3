"""What is known of documents besides their text: read, stored, listed, carried along, and kept by a rebuild."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.library.archive.export import export_library
from ingest.library.archive.importing import import_library
from ingest.library.library import Library
from ingest.pipeline import ingest
from ingest.readers.process.wire import BrokenFrameError, from_wire, to_wire
from ingest.readers.registry import read_documents
from ingest.rebuild import rebuild
from ingest.records import Document, Metadata
from ingest.sources import Source
from tests.conftest import Desk
from ui.command_line.main import main

KNOWN = Metadata("Amara Lind", "en", "2020-01-02", "", ("lease", "north wing"))


def telling(path: Path, *, cancelled: object, **options: Any) -> Iterator[Document]:
    """A reader that fills what readers may fill."""
    for document in read_documents(path, **options):
        yield replace(document, metadata=KNOWN)


def test_metadata_is_stored_listed_and_carried_along(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, upload = desk.write("lease.txt", "The bank."), tmp_path / "upload-0"
    upload.write_text("The river.")
    os.utime(path, (0, 86_400))
    monkeypatch.setattr("ingest.intake.read_in_worker", telling)
    ingest([Source.of_path(path), Source.of_upload(upload, "up.txt")], desk.library, desk.encoder)
    known = replace(KNOWN, modified="1970-01-02T00:00:00+00:00")
    wanted = [(str(desk.folder), known), ("", KNOWN)]
    monkeypatch.undo()
    export_library(desk.library, tmp_path / "out.zip")
    import_library(tmp_path / "out.zip", tmp_path / "copy")
    for library in (desk.library, Library(tmp_path / "copy")):
        assert [(document.folder, document.metadata) for document in library.documents()] == wanted
    assert main(["documents", "--json", "--library", str(desk.library.folder)]) == 0
    (row, _) = json.loads(capsys.readouterr().out)["documents"]
    assert row["metadata"]["tags"] == ["lease", "north wing"]
    assert row["metadata"]["modified"] == "1970-01-02T00:00:00+00:00"


@pytest.mark.parametrize("originals", [True, False])
def test_a_rebuild_keeps_the_date_of_a_file(desk: Desk, originals: bool) -> None:
    path = desk.write("lease.txt", "The bank.")
    os.utime(path, (0, 86_400))
    desk.add(path, originals=originals)
    path.unlink()
    rebuild(desk.library, desk.encoder, 32)
    assert desk.library.find("lease").metadata.modified == "1970-01-02T00:00:00+00:00"


@pytest.mark.parametrize("values", [{"author": 3}, {"tags": ["x" * 2000]}, {"colour": "red"}])
def test_metadata_of_another_form_is_refused_at_the_wire(values: dict[str, object]) -> None:
    message = to_wire(Document("k", "t", "p", "text", "The bank.", metadata=KNOWN))
    assert from_wire(message).metadata == KNOWN
    message["metadata"] |= values
    with pytest.raises(BrokenFrameError):
        from_wire(message)
