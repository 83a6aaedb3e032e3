"""Export and import: the same library comes back, the same bytes go out, and a hostile file gets nowhere."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.errors import (
    DamagedFileError,
    LibraryDamagedError,
    LibraryError,
    NewerFormatError,
    SecondLookError,
    TooLargeError,
    UsageError,
)
from ingest.library.archive.export import (
    CHUNKS,
    CONTENTS,
    DOCUMENTS,
    LABELS_MEMBER,
    VECTORS_MEMBER,
    export_library,
)
from ingest.library.archive.importing import ArchiveLimits, import_library
from ingest.library.health.doctor import examine
from ingest.library.health.view import Part
from ingest.library.label_records import Grade, JudgedRanks, ModelPair, Places
from ingest.library.labels import Labels
from ingest.library.library import Library
from ingest.library.writer import writing
from ingest.notices import Help, Remedy
from ingest.pipeline import ingest
from ingest.rebuild import rebuild
from ingest.sources import Source
from retrieval.retriever import Retriever
from tests.conftest import Desk

PAIR = ModelPair("word-encoder", "1", "word-scorer", "1")
ATTACHED = ("calibration.json",)


@pytest.fixture
def full(desk: Desk) -> Desk:
    """Documents of several formats, one replaced, one deleted, labels with places, one of a passage that is gone."""
    crane = desk.write("crane.txt", "Old news of a crane.")
    desk.add(crane, desk.write("bank.md", "# Money\n\nThe bank.\n\n## River\n\n" + "river bank flood " * 40))
    corpus = "".join(json.dumps({"_id": str(n), "title": "", "text": f"steel {n}"}) + "\n" for n in range(3))
    desk.add(desk.write("corpus.jsonl", corpus), desk.write("gone.txt", "venom of a snake"))
    labels = Labels(desk.library)
    with desk.library.connection() as db:
        found = {
            row["text"]: row["passage_hash"] for row in db.execute("SELECT text, passage_hash FROM chunks")
        }
    places = {found["steel 1"]: Places(3, 1), found["Old news of a crane."]: Places(1, 2)}
    for text, grade in (("steel 1", Grade.RELEVANT), ("Old news of a crane.", Grade.PARTLY)):
        labels.set("what is steel?", found[text], grade, JudgedRanks(PAIR, places))
    labels.set("which snake?", found["venom of a snake"], Grade.NOT)
    desk.write("crane.txt", "New news of a crane “über” a 𝒸rane.")
    desk.add(crane)
    with writing(desk.library) as writer:
        writer.delete([desk.library.find("gone").id])
    (desk.library.folder / "calibration.json").write_text('{"format": 1}\n')
    return desk


def content(library: Library) -> dict[str, list[tuple[object, ...]]]:
    """All that a library holds, without the numbers that it gives its rows, and the mark that each state has alone."""
    queries = {
        "documents": "SELECT id, source, key, title, path, format, content_hash, source_id, text, pages, headings, "
        "pages_without_text, chunk_count, page_count FROM documents ORDER BY number",
        "chunks": 'SELECT d.id, c.start, c."end", c.page, c.page_end, c.heading, c.title, c.text, c.passage_hash '
        "FROM chunks AS c JOIN documents AS d ON d.number = c.document ORDER BY c.id",
        "sources": "SELECT key, file_hash, report FROM sources ORDER BY key",
        "vectors": "SELECT DISTINCT passage_hash, vector FROM vectors JOIN chunks USING (passage_hash) ORDER BY 1",
        "manifest": "SELECT key, value FROM manifest WHERE key <> 'generation_mark' ORDER BY key",
    }
    with library.connection() as db:
        return {name: [tuple(row) for row in db.execute(query)] for name, query in queries.items()}


def results(library: Library, desk: Desk) -> list[list[tuple[object, ...]]]:
    searcher = Retriever(library, desk.encoder)
    return [
        [(c.rank, c.score, c.chunk.path, c.chunk.start, c.chunk.text) for c in searcher.retrieve(query, 50).candidates]
        for query in ("crane bird", "river bank", "steel", "nothing of that")
    ]  # fmt: skip


def test_a_round_trip_gives_the_same_library_and_the_same_bytes(full: Desk, tmp_path: Path) -> None:
    first, again, third = (tmp_path / f"{name}.zip" for name in ("first", "again", "third"))
    done = export_library(full.library, first, attachments=ATTACHED)
    assert (done.documents, done.labels, done.bytes) == (5, 3, first.stat().st_size)
    export_library(full.library, again, attachments=ATTACHED)
    assert first.read_bytes() == again.read_bytes()
    imported = import_library(first, tmp_path / "deep" / "new", attachments=ATTACHED)
    assert (imported.documents, imported.chunks, imported.without_vector) == (5, done.chunks, 0)
    library = Library(tmp_path / "deep" / "new")
    assert content(library) == content(full.library)
    assert results(library, full) == results(full.library, full)
    was, now = Labels(full.library), Labels(library)
    assert now.all() == was.all()
    assert now.places(PAIR) == was.places(PAIR) != {}
    assert (library.folder / "calibration.json").read_bytes() == b'{"format": 1}\n'
    export_library(library, third, attachments=ATTACHED)
    assert third.read_bytes() == first.read_bytes()
    assert examine(library.folder) == []
    assert {path.name for path in tmp_path.iterdir()} == {
        "first.zip",
        "again.zip",
        "third.zip",
        "deep",
        "library",
        "files",
    }
    report = ingest([Source.of_path(full.folder / "crane.txt")], library, full.encoder)
    assert report.files[0].status == "unchanged", "the file was read twice"


def test_without_vectors_a_rebuild_makes_them(full: Desk, tmp_path: Path) -> None:
    small = tmp_path / "small.zip"
    export_library(full.library, small, vectors=False)
    imported = import_library(small, tmp_path / "new")
    assert imported.without_vector == imported.chunks > 0
    library = Library(tmp_path / "new")
    assert results(library, full)[0] == []
    assert [finding.part for finding in examine(library.folder)] == [Part.VECTORS]
    rebuild(library, full.encoder, 32)
    assert results(library, full) == results(full.library, full)


def test_an_empty_library_goes_out_and_comes_back(desk: Desk, tmp_path: Path) -> None:
    export_library(desk.library, tmp_path / "empty.zip")
    import_library(tmp_path / "empty.zip", tmp_path / "new")
    library = Library(tmp_path / "new")
    assert (library.documents(), library.manifest()) == ([], desk.library.manifest())


def test_a_link_to_an_empty_folder_may_be_imported_into(desk: Desk, tmp_path: Path) -> None:
    export_library(desk.library, tmp_path / "empty.zip")
    (tmp_path / "there").mkdir()
    for name in ("there", "not-yet"):
        (tmp_path / f"link-{name}").symlink_to(tmp_path / name)
        import_library(tmp_path / "empty.zip", tmp_path / f"link-{name}")
        assert (tmp_path / f"link-{name}").is_symlink()
        assert Library(tmp_path / name).manifest() == desk.library.manifest()


def test_a_damaged_library_is_not_exported(full: Desk, tmp_path: Path) -> None:
    with full.library.connection() as db:
        db.execute("UPDATE documents SET text = replace(text, 'steel', 'stool')")
    with pytest.raises(LibraryDamagedError, match="Repair it first") as caught:
        export_library(full.library, tmp_path / "out.zip")
    assert caught.value.help == Help(Remedy.REPAIR, full.library.folder)
    with pytest.raises(LibraryError, match="cannot be written"):
        export_library(full.library, tmp_path / "no" / "folder.zip")
    assert {path.name for path in tmp_path.iterdir()} == {"library", "files"}, "litter"


def test_an_export_does_not_take_the_place_of_its_own_library(full: Desk, tmp_path: Path) -> None:
    before = content(full.library)
    (tmp_path / "link").symlink_to(full.library.folder)
    for file in (full.library.folder / "library.sqlite", tmp_path / "link" / "vectors" / "out.zip"):
        with pytest.raises(UsageError, match="within the library"):
            export_library(full.library, file)
    assert content(full.library) == before


def test_an_export_takes_no_other_files_place(full: Desk, tmp_path: Path) -> None:
    (tmp_path / "lease.pdf").write_bytes(b"%PDF-1.7 and more")
    with zipfile.ZipFile(tmp_path / "lease.docx", "w") as word:
        word.writestr("word/document.xml", "<w:document/>")
    for file in (tmp_path / "lease.pdf", tmp_path / "lease.docx"):
        before = file.read_bytes()
        with pytest.raises(UsageError, match="is no export"):
            export_library(full.library, file)
        assert file.read_bytes() == before
    export_library(full.library, tmp_path / "out.zip")
    export_library(full.library, tmp_path / "out.zip")
    assert {path.name for path in tmp_path.iterdir()} == {
        "library", "files", "lease.pdf", "lease.docx", "out.zip"
    }  # fmt: skip


def test_a_library_is_never_imported_over_another(full: Desk, tmp_path: Path) -> None:
    export_library(full.library, tmp_path / "out.zip")
    before = content(full.library)
    with pytest.raises(UsageError, match="is where you are"):
        import_library(tmp_path / "out.zip", Path())
    with pytest.raises(UsageError, match="not empty"):
        import_library(tmp_path / "out.zip", full.library.folder)
    assert content(full.library) == before


def remade(file: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The export with its members changed."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    target = file.with_name("changed.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return target


def a_later_format(members: dict[str, bytes]) -> None:
    members[CONTENTS] = members[CONTENTS].replace(b'"format": 1', b'"format": 3')


def another_text(members: dict[str, bytes]) -> None:
    members[DOCUMENTS] = members[DOCUMENTS].replace(b"news", b"lies")


def a_path_upwards(members: dict[str, bytes]) -> None:
    members["../../evil.txt"] = b"x"


def a_pickle(members: dict[str, bytes]) -> None:
    members["index.pkl"] = b"x"


def a_member_less(members: dict[str, bytes]) -> None:
    del members[VECTORS_MEMBER]


def a_bomb(members: dict[str, bytes]) -> None:
    members[DOCUMENTS] = b"0" * (32 << 20)


def no_contents(members: dict[str, bytes]) -> None:
    del members[CONTENTS]


def contents_of_another_kind(members: dict[str, bytes]) -> None:
    members[CONTENTS] = b"[" * 100_000


def listed(members: dict[str, bytes]) -> None:
    """Make the list of members say what they are now, as somebody would who means harm."""
    contents = json.loads(members[CONTENTS])
    for name in contents["members"]:
        raw = members[name]
        contents["members"][name] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    members[CONTENTS] = json.dumps(contents).encode()


def a_page_beyond_all_numbers(members: dict[str, bytes]) -> None:
    members[CHUNKS] = members[CHUNKS].replace(b'"page":null', b'"page":' + b"9" * 30, 1)
    listed(members)


def endlessly_many_passages(members: dict[str, bytes]) -> None:
    members[DOCUMENTS] = re.sub(rb'"chunks":\d+', b'"chunks":Infinity', members[DOCUMENTS], count=1)
    listed(members)


def a_label_after_all_days(members: dict[str, bytes]) -> None:
    members[LABELS_MEMBER] = re.sub(
        rb'"judged":"[^"]*"', b'"judged":"9999-12-31T23:59:59-23:00"', members[LABELS_MEMBER], count=1
    )
    listed(members)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (a_later_format, NewerFormatError, "export format 3"),
        (another_text, DamagedFileError, "checksum"),
        (a_path_upwards, DamagedFileError, r"“\.\./\.\./evil\.txt”"),
        (a_pickle, DamagedFileError, "index.pkl"),
        (a_member_less, DamagedFileError, "not those that it lists"),
        (a_bomb, TooLargeError, "zip bomb"),
        (no_contents, DamagedFileError, "contents.json"),
        (contents_of_another_kind, DamagedFileError, "no export of Second Look"),
        (a_page_beyond_all_numbers, DamagedFileError, "too large"),
        (endlessly_many_passages, DamagedFileError, "infinity"),
        (a_label_after_all_days, DamagedFileError, "out of range"),
    ],
)
def test_a_strange_file_is_refused_and_leaves_nothing(
    full: Desk,
    tmp_path: Path,
    change: Callable[[dict[str, bytes]], None],
    kind: type[SecondLookError],
    words: str,
) -> None:
    export_library(full.library, tmp_path / "out.zip")
    changed = remade(tmp_path / "out.zip", change)
    with pytest.raises(kind, match=words):
        import_library(changed, tmp_path / "new")
    assert {path.name for path in tmp_path.iterdir()} == {"out.zip", "changed.zip", "library", "files"}


def test_limits_hold_for_the_whole_and_for_a_line(full: Desk, tmp_path: Path) -> None:
    file = tmp_path / "out.zip"
    export_library(full.library, file)
    for limits in (ArchiveLimits(total=1000), ArchiveLimits(line=100)):
        with pytest.raises(TooLargeError):
            import_library(file, tmp_path / "new", limits=limits)
    assert not (tmp_path / "new").exists()


def test_every_flipped_byte_and_every_cut_of_an_export_is_noticed(full: Desk, tmp_path: Path) -> None:
    file, bad = tmp_path / "out.zip", tmp_path / "bad.zip"
    export_library(full.library, file)
    raw = file.read_bytes()
    accepted = []
    for at in range(0, len(raw), max(len(raw) // 60, 1)):
        for damaged in (raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :], raw[:at]):
            bad.write_bytes(damaged)
            target = tmp_path / f"new-{at}-{len(damaged)}"
            try:
                import_library(bad, target)
            except SecondLookError as error:
                assert str(bad) in str(error)  # noqa: PT017 - one damage of many
            else:
                accepted.append(at)
                same = content(Library(target)) == content(full.library)
                assert same, f"a flip at {at} changed the library unnoticed"
    # What nothing reads (a member's time, its attributes) may differ; what a library is made of may not.
    assert len(accepted) < 20


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_is_neither_written_nor_waited_for(kind: str, full: Desk, tmp_path: Path) -> None:
    file = Path("/dev/null") if kind == "device" else tmp_path / "pipe"
    if kind == "pipe":
        os.mkfifo(file)
    before = file.stat()
    for work in (
        lambda: export_library(full.library, file),
        lambda: import_library(file, tmp_path / "new"),
    ):
        with pytest.raises(UsageError, match=f"{file} is a device, a pipe or a socket, not a file"):
            work()
    assert (file.stat().st_ino, file.stat().st_mode) == (before.st_ino, before.st_mode)
    assert not (tmp_path / "new").exists()
