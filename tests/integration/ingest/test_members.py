"""Files within files go through an ingest, are replaced and deleted with their file, and cost only themselves."""

from __future__ import annotations

import pytest

from ingest.errors import DocumentNotFoundError
from ingest.library.writer import writing
from ingest.records import FileStatus
from tests.conftest import Desk
from tests.parts import make_documents as make


def paths(desk: Desk) -> list[str]:
    folder = f"{desk.folder}/"
    return sorted(document.path.removeprefix(folder) for document in desk.library.documents())


def test_what_an_archive_holds_is_added_replaced_and_deleted_with_it(desk: Desk) -> None:
    lone = desk.write("lone.txt", "The crane stands alone.")
    files = {
        "a.txt": "The crane stands alone.",
        "b.md": "# Keys\n\nOne.",
        "x.gif": b"GIF89a" + bytes(9),
    }
    archive = desk.write("p.zip", make.packed(files))
    _, report = desk.add(lone, archive).files
    assert report.status is FileStatus.INDEXED
    assert report.reason.startswith("1 file within it is not read.")
    assert "p.zip/x.gif is a GIF picture" in report.reason
    assert paths(desk) == ["lone.txt", "p.zip/a.txt", "p.zip/b.md"], (
        "an archive's file stays, whatever else holds the same"
    )
    assert desk.add(archive).files[0].status is FileStatus.UNCHANGED

    desk.write("p.zip", make.packed({"b.md": "# Keys\n\nTwo."}))
    assert desk.add(archive).files[0].status is FileStatus.REPLACED
    assert paths(desk) == ["lone.txt", "p.zip/b.md"]

    doomed = desk.library.find_with_members(str(archive))
    with writing(desk.library) as writer:
        writer.delete([document.id for document in doomed])
    assert paths(desk) == ["lone.txt"]
    with pytest.raises(DocumentNotFoundError):
        desk.library.find_with_members(str(archive))


def test_a_mail_is_deleted_with_its_attachments_and_one_of_them_alone(desk: Desk) -> None:
    mail = desk.write(
        "m.eml", make.mail(attachments={"r.txt": b"The rules.", "s.txt": b"The sums."}).as_bytes()
    )
    desk.add(mail)
    assert paths(desk) == ["m.eml", "m.eml/r.txt", "m.eml/s.txt"]
    with writing(desk.library) as writer:
        writer.delete([desk.library.find(f"{mail}/s.txt").id])
    assert paths(desk) == ["m.eml", "m.eml/r.txt"]
    with writing(desk.library) as writer:
        writer.delete([desk.library.find(str(mail)).id])
    assert paths(desk) == []


def test_a_file_of_its_own_is_no_duplicate_of_one_within_another(desk: Desk) -> None:
    archive = desk.write("p.zip", make.packed({"a.txt": "The crane stands alone."}))
    lone = desk.write("a.txt", "The crane stands alone.")
    assert [file.status for file in desk.add(archive, lone).files] == [FileStatus.INDEXED] * 2


def test_an_archive_without_anything_to_read_is_refused(desk: Desk) -> None:
    archive = desk.write("p.zip", make.packed({"x.png": b"\x89PNG\r\n\x1a\n" + bytes(9)}))
    (report,) = desk.add(archive).files
    assert report.status is FileStatus.REFUSED
    assert "holds nothing that can be read" in report.reason


def test_a_renamed_archive_keeps_what_lies_within_it(desk: Desk) -> None:
    archive = desk.write(
        "p.zip", make.packed({"a.txt": "The crane stands alone.", "b.txt": "The python sleeps."})
    )
    desk.add(archive)
    before = {document.id for document in desk.library.documents()}
    renamed = archive.rename(archive.with_name("q.zip"))
    (report,) = desk.add(renamed).files
    assert report.status is FileStatus.RENAMED
    assert paths(desk) == ["q.zip/a.txt", "q.zip/b.txt"]
    assert {document.id for document in desk.library.find_with_members(str(renamed))} == before
    desk.write("q.zip", make.packed({"a.txt": "The crane flies."}))
    assert desk.add(renamed).files[0].status is FileStatus.REPLACED
    assert paths(desk) == ["q.zip/a.txt"]
    assert {document.id for document in desk.library.documents()} < before
