"""One list of hostile names through every way that a file comes in by: none becomes a path, none costs an error."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pytest

from ingest.errors import SecondLookError
from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library, Manifest
from ingest.workspace import ALIVE
from tests.conftest import Desk
from tests.fakes import WORD_ENCODER
from tests.integration.ui.files.test_uploads import Dropped
from tests.parts.datasets import beir_files, packed
from ui.files.datasets import uploaded_dataset
from ui.files.labels import as_qrels, as_zip, take_in
from ui.files.uploads import keep, short_name

NAMES = [
    "../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\boot.ini", "a\x00b.zip", "..", ".", "", "/", "...zip",
    "n" * 300 + ".zip", "é" * 127 + ".zip", "\U0001d49c" * 70 + ".zip", "queries.jsonl", "corpus.jsonl", "qrels/x.tsv",
    "CON.zip", "a\nb\rc.zip", "-rf.zip", "~.zip", "%2e%2e%2fx.zip", "\ud800.zip", "\u202egpj.zip", "a:b.zip", " .zip",
]  # fmt: skip
LONG = "qrels/" + "\U0001d49c" * 70 + ".tsv"  # 60 letters are the most, and four bytes each


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made, so that the test sees every file that is written."""
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    return room


@pytest.fixture
def judged(desk: Desk) -> Labels:
    desk.add(desk.write("a.txt", "A snake, a venom."))
    labels = Labels(desk.library)
    with desk.library.snapshot() as snapshot:
        labels.set("which snake?", snapshot.chunks([1])[1].passage_hash, Grade.RELEVANT)
    return labels


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ALIVE)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_document(name: str, room: Path) -> None:
    (source,), clean_up = keep([Dropped(name, b"text")])
    assert files_in(room) == [source.path.name] == ["upload-0"]
    clean_up()
    assert not list(room.iterdir())


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_dataset(name: str, room: Path) -> None:
    dataset = uploaded_dataset(io.BytesIO(packed(beir_files())), name)
    assert files_in(room) == ["corpus.jsonl", "queries.jsonl", "test.tsv"]
    assert dataset.folder.name == "dataset"
    with pytest.raises(SecondLookError) as refused:
        uploaded_dataset(io.BytesIO(b"no zip"), name)
    assert str(room) not in str(refused.value)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_labels(name: str, judged: Labels, room: Path, tmp_path: Path) -> None:
    elsewhere = Labels(Library.create(tmp_path / "elsewhere", Manifest.of(WORD_ENCODER, 32)))
    assert take_in(name, as_zip(judged.all()), elsewhere).added == 1
    assert take_in(name, as_qrels(judged.all()), elsewhere).changed == 1
    for wrong in (b"no labels", b"q\td\t1\n", packed({"qrels/a.tsv": "no labels"}), packed({"x": ""})):
        with pytest.raises(SecondLookError) as refused:
            take_in(name, wrong, elsewhere)
        assert str(room) not in str(refused.value), "a path of ours was shown"
        assert wrong[:2] == b"PK" or (short_name(name) or "The file") in str(refused.value)
    assert not list(room.iterdir())


@pytest.mark.parametrize(
    "member", ["qrels/../../../x.tsv", "qrels/a\nb.tsv", "qrels/..tsv", "qrels/n" + "n" * 300 + ".tsv", LONG]
)
def test_members_of_an_archive(member: str, judged: Labels, room: Path, tmp_path: Path) -> None:
    table = as_qrels(judged.all()).decode()
    done = take_in("labels.zip", packed({member: table, "qrels/b.tsv": table}), judged)
    assert (done.added, done.changed) == (0, 1)
    uploaded_dataset(
        io.BytesIO(packed(beir_files("") | {member: beir_files("")["qrels/test.tsv"]})), "set.zip"
    )
    assert [path for path in tmp_path.rglob("*.tsv") if room not in path.parents] == []
