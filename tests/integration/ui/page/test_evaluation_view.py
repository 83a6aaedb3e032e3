"""The Evaluate view: from a dataset, the sample or labels to a verdict, beside a page that goes on working."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library
from tests.integration.ui.page.conftest import TEXTS, Screen
from tests.parts.datasets import QUERIES, beir_files, lines, packed
from ui.page import samples
from ui.page.components import literal

QUESTION = "which snake kills without venom?"


def evaluation(screen: Screen) -> Screen:
    """Until the evaluation is over, as the polling fragment does in a browser."""
    job = screen.state.evaluation
    assert job is not None
    job.wait(30)
    screen.app.run()
    assert not screen.app.exception, screen.app.exception
    return screen


def begin(screen: Screen) -> None:
    screen.app.button(key="evaluate-begin").click().run()
    assert not screen.app.exception, screen.app.exception


def choose(screen: Screen, key: str, value: str) -> Screen:
    screen.app.segmented_control(key=key).set_value(value).run()
    assert not screen.app.exception, screen.app.exception
    return screen


def upload(screen: Screen, name: str, content: bytes) -> Screen:
    choose(screen, "evaluate-origin", "A dataset")
    screen.app.file_uploader(key=f"dataset-{screen.state.dataset_uploader}").set_value(
        (name, content, "application/zip")
    ).run()
    assert not screen.app.exception, screen.app.exception
    return screen


def tables(app: AppTest) -> str:
    return "\n".join(str(element.proto.body) for element in app.get("html"))


def labels_of(app: AppTest, kind: str) -> list[str]:
    return [element.label for element in app.get(kind)]


@pytest.fixture
def view(screen: Screen, fill: Any) -> Screen:
    fill(TEXTS, screen.library, screen.encoder)
    return screen.open(view="Evaluate")


def test_a_dataset_that_is_uploaded_ends_in_a_verdict_with_its_table_and_files(view: Screen) -> None:
    upload(view, "helping.zip", packed(beir_files()))
    assert "helping: 11 judged questions in test; 22 documents" in view.texts()
    view.app.multiselect(key="evaluate-depths").set_value([10, 20]).run()
    begin(view)
    evaluation(view)
    assert (
        "Reranking helps here: it answers these questions better than the first look alone." in view.texts()
    )
    assert "nDCG@10 0.631 → 1.000, a difference of +0.369" in view.texts()
    assert "Of 11 questions, 11 rose, 0 fell, 0 stayed." in view.texts()
    table = tables(view.app)
    assert table.count("<tr") == 4  # the head, the first look and two depths
    assert "p (Holm)" in table
    assert [label for label in labels_of(view.app, "download_button") if label != "Original"] == [
        "Table as CSV", "Questions as CSV", "All as JSON", "TREC runs",
    ]  # fmt: skip
    assert len(view.app.image) == 1
    assert "▲ +0.369   0.631 → 1.000   first relevant at\u00a02\u00a0→\u00a01" in view.texts()


def test_first_looks_are_compared_alone_and_under_a_reranker(view: Screen) -> None:
    upload(view, "helping.zip", packed(beir_files()))
    looks = view.app.multiselect(key="evaluate-sources")
    assert looks.value == ["vectors"]
    looks.set_value(["Vectors", "Words (BM25)", "Vectors and words"]).run()
    rerankers = view.app.multiselect(key="evaluate-rerankers")
    chosen = rerankers.value
    rerankers.set_value([]).run()
    assert view.app.multiselect(key="evaluate-depths").disabled
    assert "11 questions, from each of 3 first looks. Nothing is reranked" in view.texts()
    begin(view)
    evaluation(view)
    assert view.scorer.calls == []
    assert "words (BM25): nDCG@10" in view.texts()
    assert tables(view.app).count("<tr") == 4
    view.app.multiselect(key="evaluate-rerankers").set_value(chosen).run()
    begin(view)
    evaluation(view)
    table = tables(view.app)
    assert table.count("<tr") == 1 + 3 + 3
    assert f"{chosen[0]}, from vectors and words (RRF)" in table
    assert "Reranking helps here" in view.texts()
    job = view.state.evaluation
    assert job is not None
    assert job.outcome is not None
    files = {export.label: export.data for export in job.outcome.exports}
    rows = list(csv.DictReader(io.StringIO(files["Table as CSV"].decode("utf-8-sig"))))
    assert [row["candidates from"] for row in rows] == [
        "vectors",
        "words",
        "both",
        "vectors",
        "words",
        "both",
    ]
    with zipfile.ZipFile(io.BytesIO(files["TREC runs"])) as runs:
        assert {"run.words-BM25.txt", f"run.{chosen[0]}-from-words-BM25-100.txt"} < set(runs.namelist())
        assert len(runs.namelist()) == 6


@pytest.mark.parametrize(
    ("emptied", "said"),
    [
        ("evaluate-sources", "Choose a first look."),
        ("evaluate-rerankers", "Choose a reranker, or two first looks to compare."),
        ("evaluate-depths", "Choose how deep to rerank."),
    ],
)
def test_what_is_still_to_choose_is_said_beside_the_button(view: Screen, emptied: str, said: str) -> None:
    upload(view, "helping.zip", packed(beir_files()))
    view.app.multiselect(key=emptied).set_value([]).run()
    assert said in view.texts()
    assert view.app.button(key="evaluate-begin").disabled


def test_a_question_opens_in_the_search_view_and_the_result_is_there_on_return(view: Screen) -> None:
    upload(view, "helping.zip", packed(beir_files()))
    begin(view)
    evaluation(view)
    view.app.button(key="open-rose-qsnake").click().run()
    view.settle()
    assert view.app.segmented_control(key="view").value == "Search"
    assert view.payload()["query"] == "which snake kills without"
    assert view.app.query_params["q"] == "which snake kills without"
    assert view.app.text_input(key="question").value == "which snake kills without"
    choose(view, "view", "Evaluate")
    assert "Reranking helps here" in view.texts()


def test_the_view_is_in_the_address_and_follows_it(screen: Screen, fill: Any) -> None:
    fill(TEXTS, screen.library, screen.encoder)
    screen.open(q=QUESTION)
    choose(screen, "view", "Evaluate")
    assert screen.app.query_params["view"] == "Evaluate"
    del screen.app.query_params["view"]  # as the browser's Back button does
    screen.app.run()
    screen.settle()
    assert screen.app.segmented_control(key="view").value == "Search"
    assert screen.payload()["query"] == QUESTION
    screen.app.query_params["view"] = "evaluate"
    screen.app.run()
    assert screen.app.segmented_control(key="view").value == "Evaluate"


def test_the_search_is_as_it_was_after_a_visit_to_the_view(screen: Screen, fill: Any) -> None:
    fill(TEXTS, screen.library, screen.encoder)
    screen.open(q=QUESTION)
    calls = len(screen.scorer.calls)
    screen.app.slider(key="results").set_value(3).run()
    choose(screen, "view", "Evaluate")
    choose(screen, "view", "Search")
    screen.settle()
    assert screen.app.text_input(key="question").value == QUESTION
    assert len(screen.payload()["after"]["cards"]) == 3
    assert screen.app.query_params["q"] == QUESTION
    assert len(screen.scorer.calls) == calls


def test_searching_goes_on_while_it_runs_and_cancel_stops_it(view: Screen) -> None:
    upload(view, "helping.zip", packed(beir_files()))
    view.scorer.gate.clear()
    begin(view)
    assert view.scorer.waiting.wait(10)
    view.app.run()
    assert "You can go on searching" in view.texts()
    assert view.app.button(key="evaluate-begin").disabled
    choose(view, "view", "Search")
    assert view.app.text_input(key="question").value == ""
    choose(view, "view", "Evaluate")
    view.app.button(key="evaluate-cancel").click().run()
    view.scorer.gate.set()
    evaluation(view)
    assert "Stopped. What was scored until then is kept" in view.texts()
    assert len(view.scorer.calls) == 1
    assert not view.app.button(key="evaluate-begin").disabled


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK no zip at all", "helping.zip is not a zip archive that can be read"),
        (packed({"readme.txt": "nothing"}), "helping.zip holds no corpus.jsonl. Pack one dataset in BEIR's layout"),
        (packed(beir_files(qrels="qsnake\tanswer-snake\thigh\n")), "Line 1 of qrels/test.tsv is not “query-id,"),
    ],
    ids=["no zip", "no dataset", "a bad line"],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_refused_in_a_sentence(view: Screen, content: bytes, said: str) -> None:
    upload(view, "helping.zip", content)
    assert view.errors() == "This dataset cannot be used."
    assert said in view.texts()
    assert "/second-look-" not in view.texts()
    assert view.app.button(key="evaluate-begin").disabled


def test_an_evaluation_that_fails_says_why_and_can_be_begun_again(view: Screen) -> None:
    upload(view, "helping.zip", packed(beir_files(corpus=lines({"other": "not a judged one"}))))
    begin(view)
    evaluation(view)
    assert view.errors() == "The evaluation could not be finished."
    assert "None of the 11 relevant documents of helping's qrels/test.tsv is in its corpus" in view.texts()
    assert not view.app.button(key="evaluate-begin").disabled


def test_words_of_a_dataset_are_shown_literally(view: Screen) -> None:
    awkward = "which *snake* <kills :red[without] $x$"
    files = beir_files("a*b*/", queries=lines(QUERIES | {"qsnake": awkward}))
    upload(view, "a*b*.zip", packed(files))
    begin(view)
    evaluation(view)
    label = view.app.button(key="open-rose-qsnake").label
    assert label == literal(awkward)


def test_the_sample_is_evaluated_on_the_split_that_is_chosen(
    view: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sample"
    for name, text in beir_files("").items():
        for path in (folder / name, folder / name.replace("test", "train")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    monkeypatch.setattr(samples, "QUERIES", folder / "queries.jsonl")
    view.app.run()
    choose(view, "evaluate-origin", "The sample")
    split = next(box for box in view.app.selectbox if box.label == "Split")
    assert split.value == "test"
    split.set_value("train").run()
    begin(view)
    evaluation(view)
    assert "sample, split train: 11 judged questions, 22 documents." in view.texts()


def test_labels_are_evaluated_on_the_passages_that_were_judged(view: Screen) -> None:
    choose(view, "evaluate-origin", "Your labels")
    assert "Nothing is judged yet." in view.texts()
    assert view.app.button(key="evaluate-begin").disabled
    library = Library(view.library)
    with library.snapshot() as snapshot:
        ids = [row[0] for row in snapshot._db.execute("SELECT id FROM chunks")]
        chunks = list(snapshot.chunks(ids).values())
    Labels(library).set(QUESTION, chunks[0].passage_hash, Grade.NOT)
    view.app.run()
    begin(view)
    assert view.errors() == "This cannot be evaluated."
    assert "No passage is judged relevant or partly yet" in view.texts()
    assert "one that you judged for another question does, and counts as not relevant" in view.texts()
    for chunk in chunks:
        grade = Grade.RELEVANT if chunk.title == "python" else Grade.NOT
        Labels(library).set(QUESTION, chunk.passage_hash, grade)
    view.app.run()
    begin(view)
    evaluation(view)
    assert "labels, split labels: 1 judged question, 4 documents." in view.texts()
    assert "Undecided: chance alone could make such a difference with 1 question." in view.texts()
    assert "1 question cannot speak for others; judge more." in view.texts()


def test_a_passage_that_was_judged_for_another_question_takes_part_as_not_relevant(view: Screen) -> None:
    library = Library(view.library)
    with library.snapshot() as snapshot:
        ids = [row[0] for row in snapshot._db.execute("SELECT id FROM chunks")]
        by_title = {chunk.title: chunk for chunk in snapshot.chunks(ids).values()}
    first, second, *_ = by_title
    Labels(library).set("river", by_title[first].passage_hash, Grade.RELEVANT)
    Labels(library).set("snake", by_title[second].passage_hash, Grade.RELEVANT)
    view.app.run()
    choose(view, "evaluate-origin", "Your labels")
    begin(view)
    evaluation(view)
    assert "labels, split labels: 2 judged questions, 2 documents." in view.texts()
    assert view.state.evaluation is not None
    outcome = view.state.evaluation.outcome
    assert outcome is not None
    assert {len(order) for order in outcome.comparison.before.system.orders.values()} == {2}
