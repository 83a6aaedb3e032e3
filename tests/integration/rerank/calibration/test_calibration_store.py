"""A calibration's file, and what makes it void: another reranker, another way of reading, another library."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.errors import LibraryError
from ingest.library.archive.export import export_library
from ingest.library.archive.importing import import_library
from ingest.library.library import Library
from ingest.library.snapshot import DIGITS, SIZE, Sketch
from ingest.library.writer import writing
from ingest.models.spec import ModelSource, ResolvedModel
from ingest.notices import Help, Remedy
from ingest.records import digest
from rerank.calibration.calibrate import calibrate
from rerank.calibration.labels import Labelled, halves
from rerank.calibration.methods import FITTED, Method
from rerank.calibration.records import FittedFor, LibraryState
from rerank.calibration.store import FILE, Loaded, load, load_for, save
from rerank.records import Models
from tests.conftest import Desk
from tests.fakes import WORD_ENCODER, WORD_SCORER
from tests.unit.rerank.calibration.test_calibration import LIBRARY, NO_RELEVANCE, drawn
from ui.presentation.remedies import Face, notice_text


@pytest.mark.parametrize("method", FITTED)
def test_the_file_gives_back_what_was_saved(tmp_path: Path, method: Method) -> None:
    rows, others = halves(drawn(600, 1.0, -1.0))
    found = calibrate(rows, WORD_SCORER, LIBRARY, method, 0.6, held_out=others)
    save(tmp_path / FILE, found)
    assert load(tmp_path / FILE) == found
    save(tmp_path / FILE, replace(found, labels=1))
    assert load(tmp_path / FILE).labels == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE], "something was left beside it"


def test_a_calibration_without_evidence_is_kept_too(tmp_path: Path) -> None:
    found = calibrate([Labelled("a", 1.0, True), Labelled("a", 1.0, False)], NO_RELEVANCE, LIBRARY)
    assert not found.separation.clean
    save(tmp_path / FILE, found)
    assert load(tmp_path / FILE) == found
    with pytest.raises(LibraryError, match="cannot be written"):
        save(tmp_path / "nowhere" / FILE, found)


def models(**changed: object) -> Models:
    def resolved(spec: object) -> ResolvedModel:
        return ResolvedModel(spec, ModelSource.FOLDER, Path("fake"))  # type: ignore[arg-type]

    return Models(resolved(WORD_ENCODER), resolved(replace(WORD_SCORER, **changed)))  # type: ignore[arg-type]


def test_a_calibration_is_void_once_its_pair_has_changed(desk: Desk) -> None:
    library = desk.library
    assert load_for(library, models()) == Loaded(None)
    state = LibraryState.of(library)
    found = calibrate(drawn(300, 1.0, 0.0), WORD_SCORER, state, Method.PLATT, window=64)
    save(library.folder / FILE, found)
    now = replace(models(), window=64)
    assert load_for(library, now) == Loaded(found)
    assert load_for(library, Models(models().encoder, None)).calibration is None
    changes = [
        (models(revision="2"), "is now of revision 2, and was of 1"),
        (models(name="other"), "fitted for the reranker word-scorer, and other is used"),
        (models(bi_weight=30.0), "counts 30 times in the logit, and did 0 times"),
        (replace(now, window=128), "now reads 128 tokens at most, and did 64 tokens at most"),
        (models(), "now reads as much as it has room for, and did 64 tokens at most"),
    ]
    for other, words in changes:
        loaded = load_for(library, other)
        assert loaded.calibration is None
        assert loaded.notice is not None
        assert words in loaded.notice.text
        assert "void" in loaded.notice.text
        assert loaded.notice.help == Help(Remedy.CALIBRATE, library.folder)
        assert f"secondlook calibrate --library {library.folder}" in notice_text(loaded.notice)
        assert "secondlook" not in notice_text(loaded.notice, Face.PAGE)
    made = [
        (replace(state.manifest, identity="another"), "of the encoder another, and was of"),
        (replace(state.manifest, chunk_tokens=99), "of 99 tokens"),
    ]
    for manifest, words in made:
        assert words in found.fitted_for.why_not(
            FittedFor.of(WORD_SCORER, replace(state, manifest=manifest), 64)
        )


def passages(desk: Desk, first: int, last: int) -> None:
    desk.add(*(desk.write(f"{n}.txt", f"snake number {n}") for n in range(first, last)))


def test_another_library_voids_it_and_a_grown_one_says_how_much(desk: Desk, tmp_path: Path) -> None:
    passages(desk, 0, 40)
    found = calibrate(drawn(300, 1.0, 0.0), WORD_SCORER, LibraryState.of(desk.library), Method.PLATT)
    save(desk.library.folder / FILE, found)
    shutil.copytree(desk.library.folder, tmp_path / "copy")
    copy = Desk(tmp_path / "others", Library(tmp_path / "copy"), desk.encoder)
    assert load_for(copy.library, models()) == Loaded(found), "a copy holds the same"
    passages(desk, 40, 41)
    assert load_for(desk.library, models()) == Loaded(found), "one of forty is not worth a word"
    passages(desk, 41, 50)
    grown = load_for(desk.library, models())
    assert grown.calibration == found
    assert grown.notice is not None
    assert "it had 40 passages then and has 50 now, and about 80% of all are in both" in grown.notice.text
    with writing(copy.library) as writer:
        writer.delete([document.id for document in copy.library.documents()][:30])
    passages(copy, 100, 130)
    other = load_for(copy.library, models())
    assert other.calibration is None
    assert other.notice is not None
    assert (
        "most of the library's passages are others: it had 40 passages then and has 40 now"
        in other.notice.text
    )


def test_an_imported_library_keeps_its_calibration(desk: Desk, tmp_path: Path) -> None:
    passages(desk, 0, 12)
    found = calibrate(drawn(300, 1.0, 0.0), WORD_SCORER, LibraryState.of(desk.library), Method.PLATT)
    save(desk.library.folder / FILE, found)
    export_library(desk.library, tmp_path / "library.zip", attachments=(FILE,))
    import_library(tmp_path / "library.zip", tmp_path / "imported", attachments=(FILE,))
    assert load_for(Library(tmp_path / "imported"), models()) == Loaded(found)


def test_a_sketch_says_what_share_two_libraries_have_in_common() -> None:
    def sketch(first: int, last: int) -> Sketch:
        names = sorted(digest(str(n))[:DIGITS] for n in range(first, last))
        return Sketch(len(names), tuple(names[:SIZE]))

    assert sketch(0, 30).shared(sketch(10, 40)) == 0.5, "of few passages all are known"
    assert sketch(0, 0).shared(sketch(0, 0)) == 1.0
    assert sketch(0, 0).shared(sketch(0, 1)) == 0.0
    assert sketch(0, 3000).shared(sketch(0, 3000)) == 1.0
    assert sketch(0, 3000).shared(sketch(1000, 4000)) == pytest.approx(0.5, abs=0.1)
    assert sketch(0, 100).shared(sketch(0, 5000)) == pytest.approx(0.02, abs=0.02)


def test_one_of_the_earlier_form_is_said_to_be_fitted_again_and_is_not_lost(desk: Desk) -> None:
    path = desk.library.folder / FILE
    save(path, calibrate(drawn(300, 1.0, 0.0), WORD_SCORER, LibraryState.of(desk.library), Method.PLATT))
    stored = json.loads(path.read_text())
    library = stored["fitted_for"].pop("library")
    stored["fitted_for"].pop("window")
    path.write_text(
        json.dumps(
            stored | {"format": 1, "fitted_for": stored["fitted_for"] | {"library": library["manifest"]}}
        )
    )
    before = path.read_bytes()
    loaded = load_for(desk.library, models())
    assert loaded.calibration is None
    assert loaded.notice is not None
    assert "was fitted by an earlier version" in loaded.notice.text
    assert notice_text(loaded.notice).endswith(
        f"fit it again on the page, or with: secondlook calibrate --library {desk.library.folder}"
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"scale": ', '"scale": -'),
        ('"method": "platt"', '"method": "magic"'),
        ('"format": 2', '"format": 9'),
        ("{", ""),
    ],
)
def test_a_damaged_file_costs_the_calibration_and_nothing_else(desk: Desk, old: str, new: str) -> None:
    path = desk.library.folder / FILE
    save(path, calibrate(drawn(300, 1.0, 0.0), WORD_SCORER, LIBRARY, Method.PLATT))
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    loaded = load_for(desk.library, models())
    assert loaded.calibration is None
    assert loaded.notice is not None
    assert FILE in loaded.notice.text
    assert loaded.notice.help == Help(Remedy.CALIBRATE, desk.library.folder)


def test_the_file_is_plain_json_with_its_identity_and_date(tmp_path: Path) -> None:
    save(tmp_path / FILE, calibrate(drawn(300, 1.0, 0.0), WORD_SCORER, LIBRARY, Method.PLATT))
    stored = json.loads((tmp_path / FILE).read_text())
    assert stored["fitted_for"]["reranker"] == "word-scorer"
    assert stored["fitted_for"]["library"]["manifest"]["encoder"] == "word-encoder"
    assert len(stored["made"].split("-")) == 3
    assert set(stored["curve"]) == {"scale", "shift", "temperature"}
    assert stored["candidates_from"] == "vectors"
    assert len(stored.pop("sha256")) == 64
    (tmp_path / FILE).write_text(json.dumps(stored))
    with pytest.raises(LibraryError, match="checksum"):
        load(tmp_path / FILE)
