"""`secondlook evaluate`: what it runs.

What evaluates is imported when it is run: no other command should wait for it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ingest.command import ProgressBar, cancel_on_interrupt
from ingest.encoders.base import Encoder
from ingest.encoders.onnx import open_encoder
from ingest.errors import UsageError
from ingest.library.library import Library
from ingest.models.hub.hub import Hub
from rerank.factory import open_searcher
from rerank.registry import resolve_reranker
from rerank.search import OnProgress, Searcher
from retrieval.records import CandidateSource
from retrieval.retriever import Retriever
from ui.evaluate_arguments import NO_RERANKER, check_evaluate_arguments
from ui.settings import Settings

if TYPE_CHECKING:
    from rerank.evaluation.comparison import Comparison
    from rerank.judged.records import JudgedSet


def run_evaluate(parsed: argparse.Namespace, settings: Settings) -> int:
    """Evaluate, print the report to stdout and notices to stderr; the exit status."""
    check_evaluate_arguments(parsed)
    if parsed.qrels is not None:
        return _runs(parsed)
    several = (
        parsed.rerankers,
        parsed.candidates_from,
        parsed.depths,
        parsed.fusion,
        parsed.pairs,
        parsed.plot,
    )
    if any(several):
        return _several(parsed, settings)
    return _one(parsed, settings)


def _one(parsed: argparse.Namespace, settings: Settings) -> int:
    from rerank.evaluation.run import evaluate
    from rerank.evaluation.runs import write_runs
    from rerank.judged.dataset import read_judged_set
    from ui.presentation.evaluation_json import evaluation_report
    from ui.presentation.evaluation_text import evaluation_table

    judged = read_judged_set(parsed.dataset, parsed.split)
    library, encoder, left_out = filled_library(judged, parsed, settings)
    searcher = open_searcher(library, settings.models, encoder)
    with query_bar() as show:
        evaluation = evaluate(judged, library, searcher, parsed.candidates, show)
    _say(*left_out, *evaluation.notices)
    _print(parsed, lambda: evaluation_report(evaluation), lambda: evaluation_table(evaluation))
    if parsed.save_run is not None:  # after the report, which is not lost where this fails
        write_runs(parsed.save_run, evaluation.runs)
    return 0


def _several(parsed: argparse.Namespace, settings: Settings) -> int:
    from rerank.evaluation.plan import Plan, compare
    from rerank.evaluation.runs import write_systems
    from rerank.judged.dataset import read_judged_set, read_tuning_set
    from ui.presentation.frontier import frontier_svg

    judged = read_judged_set(parsed.dataset, parsed.split)
    plan = Plan(
        parsed.depths or (parsed.candidates,),
        parsed.fusion,
        parsed.pairs,
        parsed.candidates_from or (CandidateSource.VECTORS,),
        parsed.fuse_rerankers,
    )
    alone = parsed.rerankers == [NO_RERANKER]
    names = {} if alone else _by_label(parsed.rerankers or [settings.reranker], settings)
    library, encoder, left_out = filled_library(judged, parsed, settings)

    def opener(name: str | None) -> Callable[[], Searcher]:
        return lambda: open_searcher(library, replace(settings.models, reranker=name), encoder)

    openers = {label: opener(name) for label, name in names.items()}
    tuning = read_tuning_set(judged) if plan.fusion else None
    with query_bar() as show:
        comparison = compare(
            judged, library, openers, plan, tuning, show,
            looker=lambda: Searcher(Retriever(library, encoder), None),
        )  # fmt: skip
    _say(*left_out)
    _print_comparison(parsed, comparison, judged.queries)
    if parsed.save_run is not None:
        write_systems(parsed.save_run, [row.system for row in (comparison.before, *comparison.rows)])
    if parsed.plot is not None:
        _write(parsed.plot, frontier_svg(comparison))
    return 0


def _runs(parsed: argparse.Namespace) -> int:
    from rerank.evaluation.runs import compare_run_files

    _print_comparison(parsed, compare_run_files(parsed.qrels, parsed.runs, pairs=parsed.pairs), {})
    return 0


def filled_library(
    judged: JudgedSet, parsed: argparse.Namespace, settings: Settings, *, into_others: bool = True
) -> tuple[Library, Encoder, tuple[str, ...]]:
    """The set's library with all its documents, the encoder that made it, and notices of what was left out.

    ``into_others`` as in `fill_library`.
    """
    from rerank.evaluation.corpus import choose_library, fill_library

    folder, model = choose_library(judged, parsed.dataset_library, settings.models)
    encoder = open_encoder(model, access=settings.services)
    with cancel_on_interrupt() as cancelled, ProgressBar() as bar:
        library, left_out = fill_library(
            judged, folder, encoder, bar.show, cancelled, into_others=into_others
        )
    return library, encoder, left_out


def _by_label(names: list[str | None], settings: Settings) -> dict[str, str | None]:
    """Rerankers by a short name. All are found before the first one works, so that a typing error costs no hours.

    Raises `ModelError` for one that cannot be had, and `UsageError` for one that is named twice.
    """
    hub = Hub(settings.models.allow_downloads)
    labels: dict[str, str | None] = {}
    found: set[str] = set()
    for name in names:
        model = resolve_reranker(name, hub, settings.services)
        label = Path(name or model.name).name
        if label in labels or model.name in found:
            raise UsageError(f"The reranker {label} is named twice; name each once, and folders differently.")
        labels[label] = name
        found.add(model.name)
    return labels


@contextmanager
def query_bar() -> Iterator[OnProgress]:
    """Queries as a bar on stderr with the time that is left, where that is a terminal."""
    with tqdm(unit=" queries", disable=not sys.stderr.isatty(), file=sys.stderr, dynamic_ncols=True) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def _print_comparison(parsed: argparse.Namespace, comparison: Comparison, queries: Mapping[str, str]) -> None:
    from ui.presentation.evaluation_json import comparison_report
    from ui.presentation.evaluation_text import comparison_table

    _say(*comparison.notices)
    _print(parsed, lambda: comparison_report(comparison), lambda: comparison_table(comparison, queries))


def _print(
    parsed: argparse.Namespace, report: Callable[[], dict[str, Any]], table: Callable[[], str]
) -> None:
    text = json.dumps(report(), ensure_ascii=False, indent=2) if parsed.json else table()
    sys.stdout.write(f"{text}\n")


def _say(*notices: str) -> None:
    for notice in notices:
        sys.stderr.write(f"{notice}\n")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}. Choose another place.") from error
