"""Run files and judgements in TREC's form, measured as trec_eval measures them, and compared without a model."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import pytrec_eval

from ingest.errors import DamagedFileError, UsageError
from rerank.evaluation.runs import compare_run_files
from rerank.judged.beir import read_qrels
from rerank.judged.dataset import read_judged_set
from rerank.judged.measures import measure
from rerank.judged.records import Verdict
from rerank.judged.trec import read_run, write_run
from tests.parts.evaluation_parts import write_set

TREC = {
    "nDCG@10": "ndcg_cut_10", "recall@10": "recall_10", "recall@100": "recall_100", "success@1": "success_1"
}  # fmt: skip


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_foreign_runs_are_ordered_and_measured_as_trec_eval_does(tmp_path: Path) -> None:
    """Ranks that lie, equal scores, scores that are equal in single precision only, lines in any order."""
    throw = random.Random(3)
    names = [f"d{number}" for number in range(40)]
    lines, judged = [], []
    for query in range(30):
        for rank, name in enumerate(throw.sample(names, 25)):
            score = throw.choice([1.0, 2.5, 2.5 + 1e-9, 1e7, 1e7 + 0.1, throw.random()])
            lines.append(f"q{query} Q0 {name} {rank} {score!r} other")
        judged += [f"q{query}\t0 {name}  {throw.choice([-1, 0, 1, 2])}" for name in throw.sample(names, 20)]
    throw.shuffle(lines)
    run, qrels = write(tmp_path / "a.run", lines), write(tmp_path / "qrels", judged)
    ours = measure(read_qrels(qrels), read_run(run))
    theirs = pytrec_eval.RelevanceEvaluator(
        pytrec_eval.parse_qrel(qrels.read_text().splitlines()),
        {"ndcg_cut", "recall", "success", "recip_rank"},
    ).evaluate(pytrec_eval.parse_run(run.read_text().splitlines()))
    for query, row in theirs.items():
        for name, key in TREC.items():
            assert ours[name][query] == pytest.approx(row[key], abs=1e-6), (name, query)
        reciprocal = row["recip_rank"] if row["recip_rank"] >= 0.1 else 0.0
        assert ours["MRR@10"][query] == pytest.approx(reciprocal, abs=1e-6)


def runs(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Twelve queries whose relevant document stands second before, and first after."""
    qrels = write(tmp_path / "qrels.txt", [f"q{n} 0 good 1" for n in range(12)])
    before, after = tmp_path / "bm25.run", tmp_path / "ours.run"
    write_run(before, "bm25", {f"q{n}": ["bad", "good", "worse"] for n in range(12)})
    write_run(after, "ours", {f"q{n}": ["good", "bad", "worse"] for n in range(11)})
    return qrels, before, after


def test_two_runs_are_compared_and_an_unanswered_query_counts_as_nothing(tmp_path: Path) -> None:
    qrels, before, after = runs(tmp_path)
    found = compare_run_files(qrels, [before, after])
    assert (found.queries, found.documents, found.before.system.name) == (12, 3, "bm25.run")
    assert found.before.means["MRR@10"] == 0.5
    (row,) = found.rows
    assert row.means["MRR@10"] == pytest.approx(11 / 12)
    assert row.contrast.verdict is Verdict.HELPS
    assert row.system.latency is None
    assert [notice.text for notice in found.notices] == [
        "ours.run does not answer 1 of 12 judged queries; they count as 0."
    ]
    assert compare_run_files(qrels, [before, before]).rows[0].contrast.verdict is Verdict.UNDECIDED


def test_one_run_alone_is_measured(tmp_path: Path) -> None:
    qrels, before, _ = runs(tmp_path)
    found = compare_run_files(qrels, [before])
    assert (found.rows, found.main) == ((), None)
    assert found.before.means["success@1"] == 0.0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q0 Q0 good 1 0.5", "Line 1 of .* is not “query Q0"),
        ("q0 Q0 good 1 much tag", "Line 1"),
        ("q0 Q0 good 1 nan tag", "score that is a number"),
        ("q0 Q0 good 1 0.5 tag\nq0 Q0 good 2 0.4 tag", "Line 2 .* good a second time for the query q0"),
        ("", "holds no run"),
    ],
)
def test_damaged_runs_are_named(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(DamagedFileError, match=words):
        read_run(write(tmp_path / "a.run", [line]))


def test_runs_of_other_queries_and_missing_files_are_refused(tmp_path: Path) -> None:
    qrels, before, _ = runs(tmp_path)
    other = write(tmp_path / "other.qrels", ["x 0 good 1"])
    with pytest.raises(UsageError, match="answers none of the 1 queries"):
        compare_run_files(other, [before])
    with pytest.raises(UsageError, match=r"gone\.run cannot be read"):
        compare_run_files(qrels, [tmp_path / "gone.run"])


def test_a_dataset_may_hold_trec_judgements(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {"a": "snake"}, {"q": "snake"}, [("q", "a", 2)])
    expected = read_judged_set(folder, "test").qrels
    (folder / "qrels" / "test.tsv").unlink()
    write(folder / "qrels" / "test.qrels", ["q 0 a 2"])
    assert read_judged_set(folder, "test").qrels == expected == {"q": {"a": 2}}
