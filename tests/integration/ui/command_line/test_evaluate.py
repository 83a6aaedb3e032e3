"""`secondlook evaluate`: the promised JSON, the table for people, the runs, and every fault a sentence."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import pytrec_eval

from rerank.evaluation.comparison import Comparison
from rerank.evaluation.plan import Plan, compare, evaluate
from tests.integration.ui.command_line.test_cli import run
from tests.parts.evaluation_parts import Planted, as_before, open_set, reversed_order, searcher, write_set
from ui.command_line.progress import query_bar
from ui.presentation.evaluation.report import evaluation_report
from ui.presentation.evaluation.text_table import comparison_table, evaluation_table

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
        (["evaluate", "{folder}", "--depths", "10,many"], 2, "not a list of whole numbers"),
        (["evaluate", "{folder}", "--rerankers", "bundled,bundled", "--offline"], 2, "named twice"),
        (
            ["evaluate", "{folder}", "--rerankers", "bundled,second-look-reranker", "--offline"],
            2,
            "named twice",
        ),
        (["evaluate", "{folder}", "--plot", "front.png"], 2, "front.svg"),
        (["evaluate", "{folder}", "--plot", "."], 2, "--plot . is a folder"),
        (["evaluate", "{folder}", "--save-run", "."], 2, "--save-run . is a folder"),
        (["evaluate", "{folder}", "--save-run", "{folder}/no/run.txt"], 2, "/no is no folder"),
        (["evaluate", "--run", "a.run"], 2, "--qrels FILE and --run FILE together"),
        (["evaluate", "--offline"], 2, "Give a dataset's folder"),
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


def judge(tmp_path: Path, planted: Planted) -> Comparison:
    judged, library, encoder = open_set(topics(tmp_path), tmp_path / "library")
    return evaluate(judged, library, searcher(library, encoder, planted), 3)


def topics(tmp_path: Path) -> Path:
    """Eight queries, each with its answer second of three before reranking."""
    names = ("snake", "venom", "python", "code", "bank", "river", "money", "flood")
    corpus = {f"{t}{n}": f"{t} {'other ' * n}".strip() for t in names for n in range(3)}
    qrels = [(topic, f"{topic}{n}", grade) for topic in names for n, grade in ((0, 2), (1, 1))]
    return write_set(tmp_path / "topics", corpus, {t: t for t in names}, qrels)


def test_the_table_lists_five_losses_worst_first_and_says_that_it_hurts(tmp_path: Path) -> None:
    table = evaluation_table(judge(tmp_path, Planted("reversed", reversed_order)), {}).splitlines()
    assert any(line.startswith("Reranking hurts here: nDCG@10 -0.") for line in table)
    losses = table[table.index("Worst losses (nDCG@10)") + 1 :]
    assert len([line for line in losses if line.startswith("  -0.")]) == 5
    assert "Best gains (nDCG@10): none" in losses


def test_losses_are_listed_from_the_worst_and_gains_from_the_largest(tmp_path: Path) -> None:
    found = judge(tmp_path, Planted("reversed", reversed_order))
    names = ("snake", "venom", "python", "code", "bank", "river", "money", "flood")
    moves = dict(zip(names, (0.1, -0.3, 0.4, -0.1, 0.2, -0.4, -0.2, 0.0), strict=True))
    before = {measure: dict.fromkeys(names, 0.5) for measure in MEASURES}
    after = {measure: {name: 0.5 + move for name, move in moves.items()} for measure in MEASURES}
    lines = evaluation_table(
        replace(
            found, before=replace(found.before, figures=before), rows=(replace(found.rows[0], figures=after),)
        ),
        {},
    ).splitlines()
    losses, gains = lines.index("Worst losses (nDCG@10)"), lines.index("Best gains (nDCG@10)")
    assert [line.split()[-1] for line in lines[losses + 1 : gains - 1]] == ["river", "venom", "money", "code"]
    assert [line.split()[-1] for line in lines[gains + 1 :]] == ["python", "bank", "snake"]


def test_an_identical_order_is_said_to_be_one(tmp_path: Path) -> None:
    found = judge(tmp_path, Planted("same", as_before))
    assert "Undecided: both orders score the same on every one of 8 queries." in evaluation_table(found, {})
    report = evaluation_report(found, systems=False)
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


def test_several_systems_are_compared_drawn_and_saved(folder: Path) -> None:
    """The real models: two rerankers, two depths and their fusions, from one scoring of each."""
    place = folder.parent
    status, out, err = ask(
        folder, "--rerankers", "bundled,maxsim", "--depths", "2,4", "--fusion", "--pairs", "--json",
        "--plot", place / "front.svg", "--save-run", place / "all.trec",
    )  # fmt: skip
    assert status == 0, err
    found = json.loads(out)
    assert list(found["before"]) == list(found["after"]) == list(found["difference"]) == MEASURES
    systems = {(system["name"], system["depth"]): system for system in found["systems"]}
    assert [name for name, depth in systems if depth == 4] == [
        "bundled", "bundled, logit alone", "bundled + weighted 0.5", "bundled + reciprocal rank",
        "maxsim", "maxsim + weighted 0.5", "maxsim + reciprocal rank",
    ]  # fmt: skip
    assert len(systems) == 1 + 2 * 7
    assert systems["bundled", 4]["figures"] == found["after"]
    for system in systems.values():
        assert list(system["per_query"]) == list(QUERIES)
        for name in MEASURES:
            rows = [row[name] for row in system["per_query"].values()]
            assert sum(rows) / len(rows) == pytest.approx(system["figures"][name])
    assert 0 < systems["bundled", 2]["latency_ms"]["p50"] < systems["bundled", 4]["latency_ms"]["p50"]
    assert systems["first look", 0]["front"]
    assert systems["first look", 0]["difference"] is None
    assert systems["maxsim", 2]["difference"]["nDCG@10"]["p_holm"] == 1.0
    assert len(found["pairs"]) == 7 * 6 / 2
    assert "even weights" in err
    picture = ElementTree.fromstring((place / "front.svg").read_text())
    points = [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")][1:]
    assert len(points) == len(systems)
    runs = [path.name for path in place.glob("all.*")]
    assert len(runs) == len(systems)
    assert {"all.first-look.trec", "all.bundled-weighted-0.5-4.trec"} <= set(runs)
    with_models = run("evaluate", "--qrels", trec_qrels(place), "--run", place / "all.first-look.trec",
                      "--run", place / "all.bundled-4.trec", "--json")  # fmt: skip
    again = json.loads(with_models.stdout)
    assert (again["before"], again["after"]) == (found["before"], found["after"]), with_models.stderr
    assert again["models"] is again["latency_ms"] is None


def trec_qrels(folder: Path) -> Path:
    path = folder / "judged.qrels"
    path.write_text("".join(f"{query} 0 {document} {grade}\n" for query, document, grade in QRELS))
    return path


def test_the_comparison_for_people_says_how_p_was_corrected(tmp_path: Path) -> None:
    found = contest(tmp_path, Planted("reversed", reversed_order), Planted("same", as_before))
    table = comparison_table(found, {}).splitlines()
    (head,) = [line for line in table if line.startswith("system")]
    assert "p (Holm)" in head
    assert [line.split()[0] for line in table[3:6]] == ["first", "reversed", "same"]
    assert "hurts" in table[4]
    assert "undecided" in table[5]
    assert any("corrected by Holm's method for 2 systems" in line for line in table)
    alone = comparison_table(contest(tmp_path, Planted("reversed", reversed_order)), {"snake": "What?"})
    losses = table[table.index("Worst losses of reversed over 3 (nDCG@10)") + 1 :]
    assert next(line for line in losses if line.startswith("  -0.")).endswith(" snake")
    assert "Best gains of reversed over 3 (nDCG@10): none" in losses
    assert "Worst losses (nDCG@10)" in alone
    assert "snake What?" in alone
    assert "Holm" not in alone


def contest(tmp_path: Path, *planted: Planted) -> Comparison:
    judged, library, encoder = open_set(topics(tmp_path), tmp_path / "library")
    openers = {p.model.name: (lambda p=p: searcher(library, encoder, p)) for p in planted}
    return compare(judged, library, openers, Plan((3,)))
