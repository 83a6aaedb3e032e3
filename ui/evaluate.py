"""`secondlook evaluate`: its arguments, its table and its JSON.

What evaluates is imported when it is run: no other command should wait for it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ingest.command import ProgressBar, cancel_on_interrupt
from ingest.errors import UsageError
from ingest.onnx_encoder import open_encoder
from rerank.search import DEFAULT_CANDIDATES, OnProgress, open_searcher
from ui.settings import Settings

if TYPE_CHECKING:
    from rerank.evaluation.records import Evaluation, JudgedSet

SHOWN = 5  # queries that are listed as losses, and as gains
NARROWEST = 80


def add_evaluate_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Declare the arguments, with the settings as their defaults."""
    parser.add_argument(
        "dataset", type=Path, metavar="DATASET",
        help="a folder with corpus.jsonl or documents/, queries.jsonl and qrels/ (BEIR's layout)",
    )  # fmt: skip
    parser.add_argument("--split", default="test", help="which table of qrels/ judges (default test)")
    parser.add_argument(
        "--candidates", type=int, default=DEFAULT_CANDIDATES, metavar="N",
        help=f"passages that are retrieved and reranked (default {DEFAULT_CANDIDATES})",
    )  # fmt: skip
    # Not `library`: that name is the library people search, which an evaluation must not fill by default.
    parser.add_argument(
        "--library", type=Path, dest="dataset_library", metavar="DIR",
        help="library to index the dataset in (default: one of its own in the user's cache folder)",
    )  # fmt: skip
    parser.add_argument("--encoder", default=settings.encoder, help="name or folder of the bi-encoder")
    parser.add_argument("--reranker", default=settings.reranker, help="name or folder of the cross-encoder")
    parser.add_argument("--offline", action="store_true", help="use only models that are on this machine")
    parser.add_argument(
        "--save-run", type=Path, metavar="FILE",
        help="write both orders as TREC runs: FILE with .before and .after before its suffix",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")


def run_evaluate(parsed: argparse.Namespace, settings: Settings) -> int:
    """Evaluate, print the report to stdout and notices to stderr; the exit status."""
    from rerank.evaluation.dataset import read_judged_set
    from rerank.evaluation.trec import write_runs

    if parsed.candidates < 1:
        raise UsageError(f"--candidates must be at least 1; {parsed.candidates} was given.")
    judged = read_judged_set(parsed.dataset, parsed.split)
    evaluation = _evaluate(judged, parsed, settings)
    if parsed.save_run is not None:
        write_runs(parsed.save_run, evaluation.runs)
    for notice in evaluation.notices:
        sys.stderr.write(f"{notice}\n")
    if parsed.json:
        sys.stdout.write(json.dumps(evaluation_report(evaluation), ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write(evaluation_table(evaluation) + "\n")
    return 0


def _evaluate(judged: JudgedSet, parsed: argparse.Namespace, settings: Settings) -> Evaluation:
    from rerank.evaluation.corpus import choose_library, fill_library
    from rerank.evaluation.run import evaluate

    folder, model = choose_library(judged, parsed.dataset_library, settings.models)
    encoder = open_encoder(model)
    with cancel_on_interrupt() as cancelled, ProgressBar() as bar:
        library, left_out = fill_library(judged, folder, encoder, bar.show, cancelled)
    searcher = open_searcher(library, settings.models, encoder)
    with query_bar() as show:
        evaluation = evaluate(judged, library, searcher, parsed.candidates, show)
    return replace(evaluation, notices=(*left_out, *evaluation.notices))


@contextmanager
def query_bar() -> Iterator[OnProgress]:
    """Queries as a bar on stderr, where that is a terminal."""
    with tqdm(unit=" queries", disable=not sys.stderr.isatty(), file=sys.stderr, dynamic_ncols=True) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def evaluation_report(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as the JSON that `secondlook evaluate --json` promises."""
    reranker = evaluation.models.reranker
    encoder = evaluation.models.encoder
    median, slow = evaluation.latency
    return {
        "dataset": evaluation.judged.name,
        "queries": len(evaluation.runs),
        "documents": evaluation.documents,
        "before": evaluation.mean_before,
        "after": evaluation.mean_after,
        "difference": {
            name: {"mean": found.mean, "ci95": [found.low, found.high], "p": found.p}
            for name, found in evaluation.differences.items()
        },
        "verdict": str(evaluation.verdict),
        "latency_ms": {"p50": round(median, 2), "p95": round(slow, 2)},
        "models": {
            "encoder": encoder.name,
            "encoder_revision": encoder.spec.revision,
            "reranker": reranker.name if reranker else None,
            "reranker_revision": reranker.spec.revision if reranker else None,
        },
    }


def evaluation_table(evaluation: Evaluation) -> str:
    """The evaluation for people: figures, verdict, time, and the queries that lost and gained most."""
    reranker = evaluation.models.reranker
    median, slow = evaluation.latency
    return "\n".join(
        [
            f"{evaluation.judged.name}, split {evaluation.judged.split}: {len(evaluation.runs)} queries, "
            f"{evaluation.documents} documents, {evaluation.candidates} candidates",
            f"first look   {evaluation.models.encoder.name}",
            f"second look  {reranker.name if reranker else 'none'}",
            "",
            *_figures(evaluation),
            "",
            verdict_sentence(evaluation),
            f"A search took {median:.0f} ms at the median and {slow:.0f} ms at the 95th percentile.",
            *_movers("Worst losses", evaluation, losses=True),
            *_movers("Best gains", evaluation, losses=False),
        ]
    )


def _figures(evaluation: Evaluation) -> list[str]:
    rows = [f"{'':<12}{'before':>8}{'after':>9}{'difference':>13}   {'95 % interval':<20}{'p':>7}"]
    for name, found in evaluation.differences.items():
        interval = f"[{found.low:+.4f}, {found.high:+.4f}]"
        rows.append(
            f"{name:<12}{evaluation.mean_before[name]:>8.4f}{evaluation.mean_after[name]:>9.4f}"
            f"{found.mean:>+13.4f}   {interval:<20}{found.p:>7.4f}"
        )
    return rows


def verdict_sentence(evaluation: Evaluation) -> str:
    """The verdict for people, with what it rests on."""
    found = evaluation.differences["nDCG@10"]
    gains = [row.gain for row in evaluation.by_gain]
    counts = f"{sum(gain > 0 for gain in gains)} queries rose, {sum(gain < 0 for gain in gains)} fell"
    figures = f"nDCG@10 {found.mean:+.4f}, p = {found.p:.4f}; {counts}"
    if not any(gains):
        return f"Undecided: both orders score the same on every one of {len(gains)} queries."
    return {
        "helps": f"Reranking helps here: {figures}.",
        "hurts": f"Reranking hurts here: {figures}. Turn it off, or try another reranker.",
        "undecided": f"Undecided: {figures}. Chance alone could do that with {len(gains)} queries.",
    }[str(evaluation.verdict)]


def _movers(title: str, evaluation: Evaluation, *, losses: bool) -> list[str]:
    """The queries whose nDCG@10 moved most one way, the largest move first."""
    rows = evaluation.by_gain if losses else evaluation.by_gain[::-1]
    moved = [row for row in rows if (row.gain < 0 if losses else row.gain > 0)][:SHOWN]
    if not moved:
        return ["", f"{title} (nDCG@10): none"]
    width = max(NARROWEST, shutil.get_terminal_size().columns)
    lines = ["", f"{title} (nDCG@10)"]
    for row in moved:
        asked = textwrap.shorten(
            f"{row.query} {evaluation.judged.queries[row.query]}", width - 28, placeholder="…"
        )
        lines.append(f"  {row.gain:+.4f}  {row.before:.4f} → {row.after:.4f}  {asked}")
    return lines
