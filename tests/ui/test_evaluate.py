"""`secondlook evaluate`: the promised JSON, the table for people, the runs, and every fault a sentence."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import pytrec_eval

from rerank.evaluation.records import Evaluation
from rerank.evaluation.run import evaluate
from tests.rerank.evaluation_parts import Planted, as_before, open_set, reversed_order, searcher, write_set
from tests.ui.test_cli import run
from ui.evaluate import evaluation_report, evaluation_table, query_bar

MEASURES = ["nDCG@10", "MRR@10", "recall@10", "recall@100", "success@1"]
CORPUS = {
    "boa": "A boa coils around its prey and tightens until the blood no longer flows.",
    "cobra": "The venom of a cobra stops the nerves from working.",
    "list": "A list holds values in order; a dictionary finds them by key.",
    "delta": "Rivers drop their sand where they meet the sea.",
}
QUERIES = {"q1": "which snake kills without venom?", "q2": "where does a river lay down sand?", "q3": "lists"}
QRELS = [("q1", "boa", 2), ("q1", "cobra", 0), ("q2", "delta", 1), ("q3", "list", 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("evaluate") / "snakes", CORPUS, QUERIES, QRELS)


def ask(folder: Path, *more: object) -> tuple[int, str, str]:
    done = run("evaluate", folder, "--library", folder.parent / "library", "--offline", *more)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_the_json_is_what_was_promised_and_agrees_with_the_runs(folder: Path) -> None:
    status, out, err = ask(folder, "--json", "--save-run", folder.parent / "run.trec")
    assert status == 0, err
    found = json.loads(out)
    assert list(found) == [
        "dataset", "queries", "documents", "before", "after", "difference", "verdict", "latency_ms", "models"
    ]  # fmt: skip
    assert (found["dataset"], found["queries"], found["documents"]) == ("snakes", 3, 4)
    assert list(found["before"]) == list(found["after"]) == list(found["difference"]) == MEASURES
    assert set(found["difference"]["nDCG@10"]) == {"mean", "ci95", "p"}
    assert found["verdict"] == "undecided", "three queries can decide nothing"
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"]
    assert found["models"]["encoder"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert found["models"]["reranker"]
    for order in ("before", "after"):
        lines = (folder.parent / f"run.{order}.trec").read_text().splitlines(keepends=True)
        qrels = {q: {d: g for other, d, g in QRELS if other == q} for q in QUERIES}
        theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10"}).evaluate(pytrec_eval.parse_run(lines))
        mean = sum(row["ndcg_cut_10"] for row in theirs.values()) / len(QUERIES)
        assert found[order]["nDCG@10"] == pytest.approx(mean, abs=1e-6)
    status, again, _ = ask(folder, "--json")
    assert json.loads(again) == found, "the second run is not the first one's, latency included"


def test_people_get_a_table(folder: Path) -> None:
    status, out, err = ask(folder)
    assert status == 0, err
    assert "3 queries, 4 documents, 100 candidates" in out
    assert all(name in out for name in MEASURES)
    assert "Undecided" in out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["evaluate", "{folder}/nowhere", "--offline"], 2, "is not a judged set"),
        (["evaluate", "{folder}", "--split", "dev", "--offline"], 2, "Splits of this dataset: test"),
        (["evaluate", "{folder}", "--candidates", "0"], 2, "--candidates must be at least 1"),
        (
            ["evaluate", "{folder}", "--reranker", "no/such", "--offline", "--library", "{folder}/l"],
            1,
            "no/such",
        ),
    ],
)
def test_faults_are_sentences(folder: Path, arguments: list[str], status: int, words: str) -> None:
    done = run(*[argument.format(folder=folder) for argument in arguments])
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def judge(tmp_path: Path, planted: Planted) -> Evaluation:
    """Eight queries, each with its answer second of three before reranking."""
    topics = ("snake", "venom", "python", "code", "bank", "river", "money", "flood")
    corpus = {f"{t}{n}": f"{t} {'other ' * n}".strip() for t in topics for n in range(3)}
    qrels = [(topic, f"{topic}{n}", grade) for topic in topics for n, grade in ((0, 2), (1, 1))]
    folder = write_set(tmp_path / "topics", corpus, {t: t for t in topics}, qrels)
    judged, library, encoder = open_set(folder, tmp_path / "library")
    return evaluate(judged, library, searcher(library, encoder, planted), 3)


def test_the_table_lists_five_losses_worst_first_and_says_that_it_hurts(tmp_path: Path) -> None:
    table = evaluation_table(judge(tmp_path, Planted("reversed", reversed_order))).splitlines()
    assert any(line.startswith("Reranking hurts here: nDCG@10 -0.") for line in table)
    losses = table[table.index("Worst losses (nDCG@10)") + 1 :]
    assert len([line for line in losses if line.startswith("  -0.")]) == 5
    assert "Best gains (nDCG@10): none" in losses


def test_an_identical_order_is_said_to_be_one(tmp_path: Path) -> None:
    found = judge(tmp_path, Planted("same", as_before))
    assert "Undecided: both orders score the same on every one of 8 queries." in evaluation_table(found)
    report = evaluation_report(found)
    assert report["verdict"] == "undecided"
    assert report["difference"]["nDCG@10"] == {"mean": 0.0, "ci95": [0.0, 0.0], "p": 1.0}
    assert report["models"]["reranker"] == "same"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "drawn"), [(Terminal(), True), (io.StringIO(), False)])
def test_a_bar_is_drawn_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, drawn: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with query_bar() as show:
        show(3, 4)
        show(4, 4)
    assert ("4/4" in stream.getvalue()) is drawn
