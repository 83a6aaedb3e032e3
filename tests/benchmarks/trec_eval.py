"""Our figures against trec_eval's own: `secondlook evaluate --save-run`, measured again by pytrec_eval.

    .venv/bin/python -m tests.benchmarks.trec_eval DATASET [--split test] [ARGUMENTS OF secondlook evaluate]

The runs are read back from the files, and the judgements from the dataset's table, with none of our own code in
between. Prints both means of every measure and the greatest difference; the status is 1 where that is 1e-6 or more.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytrec_eval

ALLOWED = 1e-6
# Ours → trec_eval's. It has no MRR with a cut-off, so that the run is cut to ten documents for that one.
NAMES = {
    "nDCG@10": "ndcg_cut_10",
    "MRR@10": "recip_rank",
    "recall@10": "recall_10",
    "recall@100": "recall_100",
    "success@1": "success_1",
}
CUT = {"MRR@10": 10}

Run = Mapping[str, Mapping[str, float]]
Qrels = Mapping[str, Mapping[str, int]]


def evaluated(arguments: list[str], saved: Path) -> dict[str, Any]:
    """The JSON of `secondlook evaluate` with ``arguments``, its runs saved."""
    command = [
        sys.executable,
        "-m",
        "ui.command_line.main",
        "evaluate",
        *arguments,
        "--save-run",
        str(saved),
        "--json",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def read_table(path: Path) -> dict[str, dict[str, int]]:
    """BEIR's table of judgements, with a header line and tabs between."""
    qrels: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            qrels.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    return qrels


def means(qrels: Qrels, run: Run) -> dict[str, float]:
    """trec_eval's figure of every measure, averaged over all judged queries as its option -c does."""
    found = {}
    for ours, theirs in NAMES.items():
        documents = {query: _first(row, CUT.get(ours)) for query, row in run.items()}
        figures = pytrec_eval.RelevanceEvaluator(qrels, set(NAMES.values())).evaluate(documents)
        found[ours] = sum(figures[query][theirs] for query in figures) / len(qrels)
    return found


def _first(row: Mapping[str, float], count: int | None) -> dict[str, float]:
    """The ``count`` documents with the highest scores, all where ``None``; ours leave no ties."""
    return dict(sorted(row.items(), key=lambda scored: scored[1], reverse=True)[:count])


def main() -> int:
    """Evaluate, measure again, compare."""
    parser = argparse.ArgumentParser(prog="trec_eval", description=__doc__, add_help=True)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split", default="test")
    given, rest = parser.parse_known_args()
    qrels = read_table(given.dataset / "qrels" / f"{given.split}.tsv")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        report = evaluated([str(given.dataset), "--split", given.split, *rest], Path(folder) / "saved.run")
        for side in ("before", "after"):
            if report[side] is None:
                continue
            (path,) = Path(folder).glob(f"*{side}*")
            with path.open(encoding="utf-8") as lines:
                theirs = means(qrels, pytrec_eval.parse_run(lines))
            for name, value in theirs.items():
                apart = abs(report[side][name] - value)
                worst = max(worst, apart)
                print(
                    f"{side:<7} {name:<11} ours {report[side][name]:.9f}   trec_eval {value:.9f}   {apart:.1e}"
                )
    print(f"{report['queries']} queries; greatest difference {worst:.1e}, {ALLOWED:.0e} allowed")
    return int(worst >= ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
