"""Labels out of one library and into another, as the files that a browser carries."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from ingest.errors import DamagedFileError, UsageError
from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library, Manifest
from tests.conftest import Desk
from tests.fakes import WORD_ENCODER
from ui.files.labels import as_qrels, as_zip, take_in


@pytest.fixture
def judged(desk: Desk) -> Labels:
    desk.add(desk.write("a.txt", "A snake, a venom."), desk.write("b.txt", "The bank of a river."))
    with desk.library.snapshot() as snapshot:
        chunks = [chunk for document in (1, 2) for chunk in snapshot.chunks([document]).values()]
    labels = Labels(desk.library)
    labels.set("which snake?", chunks[0].passage_hash, Grade.RELEVANT)
    labels.set("which snake?", chunks[1].passage_hash, Grade.NOT)
    return labels


@pytest.fixture
def elsewhere(tmp_path: Path) -> Labels:
    return Labels(Library.create(tmp_path / "elsewhere", Manifest.of(WORD_ENCODER, 32)))


def test_a_zip_carries_labels_into_another_library(judged: Labels, elsewhere: Labels) -> None:
    packed = as_zip(judged.all())
    assert take_in("labels.zip", packed, elsewhere).added == 2
    assert elsewhere.judgements() == judged.judgements()
    assert take_in("labels.zip", packed, elsewhere).kept == 2
    names = zipfile.ZipFile(io.BytesIO(packed)).namelist()
    assert sorted(names) == ["corpus.jsonl", "labels.qrels", "qrels/labels.tsv", "queries.jsonl"]


def test_qrels_are_taken_in_where_their_questions_are_known(judged: Labels, elsewhere: Labels) -> None:
    table = as_qrels(judged.all())
    assert take_in("labels.qrels", table, judged).added == 0
    with pytest.raises(DamagedFileError, match=r"has no text in queries\.jsonl"):
        take_in("labels.qrels", table, elsewhere)
    assert elsewhere.judgements() == {}


def packed(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def test_a_zip_writes_nowhere_else(elsewhere: Labels, tmp_path: Path) -> None:
    outside = tmp_path / "out.txt"
    files = {"../../out.txt": "x", str(outside): "x", "../qrels/labels.tsv": "no\tlabels"}
    with pytest.raises(DamagedFileError, match="No label was imported"):
        take_in("bad.zip", packed(**files), elsewhere)
    assert not outside.exists()


def test_a_zip_around_a_folder_is_read_too(judged: Labels, elsewhere: Labels) -> None:
    inner = zipfile.ZipFile(io.BytesIO(as_zip(judged.all())))
    around = packed(**{f"my labels/{name}": inner.read(name).decode() for name in inner.namelist()})
    assert take_in("labels.zip", around, elsewhere).added == 2


def test_what_holds_no_labels_is_refused(elsewhere: Labels) -> None:
    with pytest.raises(UsageError, match="holds no labels"):
        take_in("empty.zip", packed(readme="nothing"), elsewhere)
    with pytest.raises(DamagedFileError, match="is neither"):
        take_in("notes.txt", b"not a table of qrels at all", elsewhere)
