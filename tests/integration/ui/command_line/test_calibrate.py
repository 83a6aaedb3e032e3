"""`secondlook calibrate`: what it learns is written, measured on other queries, and every fault is a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library, Manifest
from ingest.library.snapshot import Sketch
from ingest.pipeline import ingest
from ingest.sources import Source
from rerank.calibration.calibrate import calibrate
from rerank.calibration.collect import Unjudged, label_candidates, label_passages
from rerank.calibration.labels import Labelled
from rerank.calibration.methods import Method
from rerank.calibration.records import FittedFor, LibraryState
from rerank.calibration.store import FILE, load
from rerank.labels.files import export_labels
from rerank.request import SearchRequest
from rerank.search import Searcher
from retrieval.records import CandidateSource
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WORD_ENCODER, WORD_SCORER, WordEncoder, WordScorer
from tests.parts.evaluation_parts import open_set, searcher, write_set
from ui.command_line.calibrate import calibration_report, calibration_table
from ui.command_line.main import main
from ui.jobs.calibration import FitJob

CORPUS = {
    "boa": "A boa coils around its prey and tightens until the blood no longer flows.",
    "cobra": "The venom of a cobra stops the nerves from working.",
    "list": "A list holds values in order; a dictionary finds them by key.",
    "delta": "Rivers drop their sand where they meet the sea.",
}
QUERIES = {
    "q1": "which snake kills without venom?",
    "q2": "where does a river lay down sand?",
    "q3": "lists",
    "q4": "nerves",
}
QRELS = [("q1", "boa", 2), ("q1", "cobra", 0), ("q2", "delta", 1), ("q3", "list", 1), ("q4", "cobra", 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("calibrate") / "snakes", CORPUS, QUERIES, QRELS, "train")


def test_it_learns_from_one_half_reports_on_the_other_and_writes_into_the_library(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = folder.parent / "library"
    call = ["calibrate", str(folder), "--library", str(library), "--offline", "--method", "platt"]
    call += ["--candidates-from", "both"]
    assert main([*call, "--dry-run"]) == 0
    assert "Not written (--dry-run)." in capsys.readouterr().out
    assert not (library / FILE).exists()
    assert main([*call, "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["written"] == str(library / FILE)
    assert (found["method"], found["queries"], found["labels"]) == ("platt", 2, 8)
    assert found["evidence"]["source"] == "2 held-out queries"
    assert found["evidence"]["after"]["labels"] == 8
    assert found["candidates_from"] == "both"
    assert "too few to rely on" in err
    kept = load(library / FILE)
    assert kept.fitted_for.library == LibraryState.of(Library(library))
    assert (kept.method, kept.candidates_from) == (Method.PLATT, CandidateSource.BOTH)
    assert json.loads(json.dumps(calibration_report(kept, library / FILE))) == found  # tuples are lists there


def status_of(call: list[str]) -> int | str | None:
    try:
        return main(call)
    except SystemExit as stopped:  # argparse's own way
        return stopped.code


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["{folder}", "--split", "dev"], 2, "Splits of this dataset: train"),
        (["{folder}", "--report-split", "train"], 2, "would flatter"),
        (["{folder}", "--candidates", "0"], 2, "--candidates must be at least 1"),
        (["{folder}", "--precision", "80"], 2, "is no precision"),
    ],
)
def test_faults_are_sentences(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    call = ["calibrate", *[argument.format(folder=folder) for argument in arguments], "--offline"]
    assert status_of(call) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err


def test_people_get_figures_before_and_after_with_the_thresholds() -> None:
    random = np.random.default_rng(4)
    rows = [
        Labelled(f"q{n // 20}", float(x), bool(random.random() < 1 / (1 + np.exp(3 - x))))
        for n, x in enumerate(random.normal(0, 3, 2000))
    ]
    manifest = LibraryState(Manifest.of(WORD_ENCODER), Sketch(0, ()))
    found = calibrate(rows[:1000], WORD_SCORER, manifest, Method.PLATT, 0.8, held_out=rows[1000:])
    table = calibration_table(found, Path("library/calibration.json"))
    assert "learnt from 1000 labels of 50 queries" in table
    assert "Figures on 50 held-out queries: 1000 labels" in table
    assert "expected calibration error, equal mass" in table
    assert "precision 0.8   learnt" in table
    assert "“Nothing here answers this” is said where" in table
    assert "candidates from vectors" in table
    assert table.endswith("Written to library/calibration.json")
    noise = [Labelled(row.query, row.logit, n % 3 == 0) for n, row in enumerate(rows)]
    alone = calibrate(noise, WORD_SCORER, manifest, Method.PLATT)
    assert "No clean separation" in calibration_table(alone, None)


def test_candidates_are_labelled_by_their_documents_best_passage(tmp_path: Path) -> None:
    far = " ".join(["steel"] * 400)  # several passages about something else, then the one that answers
    corpus = {"long": f"{far}\n\n{'snake ' * 120}", "short": "bird", "judged": "river"}
    folder = write_set(tmp_path / "set", corpus, {"q": "snake"}, [("q", "long", 2), ("q", "judged", 0)])
    judged, library, encoder = open_set(folder, tmp_path / "library")
    asked = searcher(library, encoder, WordScorer())
    rows, notices = label_candidates(judged, library, asked, 100)
    assert (sorted((row.logit, row.relevant) for row in rows), notices) == (
        [(-1, False), (-1, False), (0, True)],
        (),
    )
    few, _ = label_candidates(judged, library, asked, 100, unjudged=Unjudged.SKIP)
    assert sorted((row.logit, row.relevant) for row in few) == [(-1, False), (0, True)]
    strict, _ = label_candidates(judged, library, asked, 100, min_grade=3)
    assert not any(row.relevant for row in strict)
    worded, _ = label_candidates(judged, library, asked, 100, source=CandidateSource.WORDS)
    assert worded == [Labelled("q", 0, True)]


def test_judged_passages_get_the_logit_that_the_order_goes_by(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {"a": "snake venom", "b": "bird"}, {"q": "snake"}, [("q", "a", 1)])
    _, library, encoder = open_set(folder, tmp_path / "library")
    asked = searcher(library, encoder, WordScorer())
    hits = asked.search(SearchRequest("snake")).after
    judgements = {"snake": {hit.candidate.chunk.passage_hash: 2 - hit.rank for hit in hits} | {"gone": 1}}
    assert label_passages(judgements, asked, 10) == [
        Labelled("snake", hits[0].logit, True),
        Labelled("snake", hits[1].logit, False),
    ]


TOPICS = ("snake", "venom", "river", "bank", "crane", "steel")


@pytest.fixture
def judged(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A library in which six questions have a relevant passage and two others."""
    for topic in TOPICS:
        desk.add(*(desk.write(f"{topic}{n}.txt", f"{topic} {topic} {'other ' * n}") for n in range(3)))
    searcher = Searcher(Retriever(desk.library, desk.encoder), WordScorer())
    labels = Labels(desk.library)
    for topic in TOPICS:
        for hit in searcher.search(SearchRequest(topic)).after[:3]:
            labels.set(topic, hit.candidate.chunk.passage_hash, Grade(2 * (hit.rank == 1)))
    searcher.models = replace(searcher.models, window=32)
    monkeypatch.setattr("ui.command_line.calibrate.resolve_models", lambda *_: None)
    monkeypatch.setattr("ui.command_line.calibrate.open_searcher", lambda *_: searcher)
    monkeypatch.setattr("ui.command_line.evaluate.open_encoder", lambda *_, **__: WordEncoder())
    return desk.library


def test_without_a_dataset_it_learns_from_the_librarys_own_labels_as_the_page_does(
    judged: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    before = judged.documents()
    call = ["calibrate", "--library", str(judged.folder), "--offline"]
    assert main([*call, "--dry-run"]) == 0
    assert not (judged.folder / FILE).exists()
    assert main([*call, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.split("(--dry-run).\n")[1])
    assert found["written"] == str(judged.folder / FILE)
    assert (found["labels"], found["relevant"], found["queries"]) == (18, 6, 6)
    by_command = load(judged.folder / FILE)
    assert by_command.fitted_for == FittedFor.of(WORD_SCORER, LibraryState.of(judged), 32)
    asked = Searcher(Retriever(judged, WordEncoder()), WordScorer())
    asked.models = replace(asked.models, window=32)
    job = FitJob(judged, asked, 100).start()
    job.wait(60)
    assert job.succeeded
    assert load(judged.folder / FILE) == by_command
    assert judged.documents() == before


@pytest.mark.parametrize("dataset", ["export", "renamed"])
def test_an_export_of_labels_is_refused_and_never_taken_in(
    judged: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str], dataset: str
) -> None:
    before = judged.documents()
    folder = tmp_path / "my-labels"
    export_labels(Labels(judged).all(), folder)
    if dataset == "renamed":
        (folder / "qrels" / "labels.tsv").rename(folder / "qrels" / "train.tsv")
        (folder / "labels.qrels").unlink()
    split = ["--split", "labels"] if dataset == "export" else []
    for command in ("calibrate", "evaluate"):
        more = ["--split", "train"] if command == "evaluate" and dataset == "renamed" else split
        assert main([command, str(folder), "--library", str(judged.folder), "--offline", *more]) == 2
        assert f"secondlook calibrate --library {judged.folder}" in capsys.readouterr().err
    assert main(["calibrate", str(folder), "--offline"]) == 2
    assert "is an export of labels" in capsys.readouterr().err
    assert judged.documents() == before
    assert not (judged.folder / FILE).exists()


def test_a_dataset_adds_nothing_to_a_library_with_other_documents(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_set(tmp_path / "snakes", CORPUS, QUERIES, QRELS, "train")
    desk.add(desk.write("own.txt", "A boa is a snake."))
    searcher = Searcher(Retriever(desk.library, desk.encoder), WordScorer())
    monkeypatch.setattr("ui.command_line.calibrate.resolve_models", lambda *_: None)
    monkeypatch.setattr("ui.command_line.calibrate.open_searcher", lambda *_: searcher)
    monkeypatch.setattr("ui.command_line.evaluate.open_encoder", lambda *_, **__: WordEncoder())
    monkeypatch.setattr("rerank.evaluation.corpus.encoder_for", lambda *_: desk.encoder.model)
    before = desk.library.documents()
    call = ["calibrate", str(folder), "--library", str(desk.library.folder), "--offline", "--method", "platt"]
    assert main(call) == 2
    err = capsys.readouterr().err
    assert "holds none of the 4 documents that snakes calls relevant" in err
    assert desk.library.documents() == before
    ingest([Source.of_path(folder / "corpus.jsonl")], desk.library, desk.encoder)
    before = desk.library.documents()
    assert main(call) == 0, "its documents are there, beside others"
    assert desk.library.documents() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--split", "test"], "--split"),
        (["--report-split", "test"], "--report-split"),
        (["--unjudged", "non-relevant"], "--unjudged"),
    ],
)
def test_what_is_of_a_dataset_needs_one(
    desk: Desk, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["calibrate", "--library", str(desk.library.folder), *arguments]) == 2
    assert f"{words} is about a DATASET" in capsys.readouterr().err


def test_too_few_labels_say_how_many_are_missing(judged: Library, capsys: pytest.CaptureFixture[str]) -> None:
    labels = Labels(judged)
    for label in labels.all()[4:]:
        labels.remove(label.query, label.passage_hash)
    assert main(["calibrate", "--library", str(judged.folder), "--offline"]) == 1
    assert "4 labels so far; 6 more are needed" in capsys.readouterr().err
