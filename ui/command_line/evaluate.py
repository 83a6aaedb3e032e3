"""`secondlook evaluate`: what it runs.

What evaluates is imported when it is run: no other command should wait for it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.encoders.base import Encoder
from ingest.encoders.onnx import open_encoder
from ingest.errors import UsageError
from ingest.library.library import Library
from ingest.models.hub import Hub
from ingest.models.spec import ResolvedModel
from ingest.notices import Notice
from rerank.factory import open_searcher, resolve_models
from rerank.registry import resolve_reranker
from rerank.request import DEFAULT_CANDIDATES
from rerank.search import Searcher
from retrieval.records import CandidateSource
from retrieval.retriever import Retriever
from ui.command_line.options import add_json, add_model_access, named_folder
from ui.command_line.progress import ProgressBar, cancel_on_interrupt, query_bar
from ui.command_line.terminal import print_json
from ui.settings import Settings, add_window_argument

if TYPE_CHECKING:
    from rerank.evaluation.comparison import Comparison
    from rerank.judged.records import JudgedSet

from ui.presentation.remedies import notice_text

# What `--rerankers` says to compare first looks alone.
NO_RERANKER = "none"


@dataclass(frozen=True, slots=True)
class EvaluateArguments:
    """What `secondlook evaluate` was given. ``dataset_library`` is not the library that people search."""

    dataset: Path | None
    split: str
    dataset_library: Path | None
    rerankers: Sequence[str] | None
    candidates_from: tuple[CandidateSource, ...] | None
    candidates: int
    depths: tuple[int, ...] | None
    fusion: bool
    fuse_rerankers: bool
    pairs: bool
    plot: Path | None
    save_run: Path | None
    qrels: Path | None
    runs: Sequence[Path] | None
    json: bool


def run_evaluate(arguments: EvaluateArguments, settings: Settings) -> int:
    """Evaluate, print the report to stdout and notices to stderr; the exit status."""
    check_evaluate_arguments(arguments)
    if arguments.qrels is not None and arguments.runs is not None:
        from rerank.evaluation.runs import compare_run_files

        _report(arguments, compare_run_files(arguments.qrels, arguments.runs, pairs=arguments.pairs), {})
        return 0
    from rerank.judged.dataset import read_judged_set

    assert arguments.dataset is not None
    judged = read_judged_set(arguments.dataset, arguments.split)
    comparison, left_out = (_compare if _asks_for_several(arguments) else _evaluate)(
        judged, arguments, settings
    )
    _say(*left_out)
    _report(arguments, comparison, judged.queries)
    _save(arguments, comparison)  # after the report, which is not lost where this fails
    return 0


def _asks_for_several(arguments: EvaluateArguments) -> bool:
    return any(
        (
            arguments.qrels, arguments.rerankers, arguments.candidates_from, arguments.depths, arguments.fusion,
            arguments.pairs, arguments.plot,
        )
    )  # fmt: skip


def _evaluate(
    judged: JudgedSet, arguments: EvaluateArguments, settings: Settings
) -> tuple[Comparison, tuple[Notice, ...]]:
    """The configured reranker against the first look, and notices of what was left out of the library."""
    from rerank.evaluation.plan import evaluate

    library, encoder, left_out = filled_library(judged, arguments.dataset_library, settings)
    searcher = open_searcher(library, resolve_models(settings.models, library, encoder))
    with query_bar() as show:
        return evaluate(judged, library, searcher, arguments.candidates, show), left_out


def _compare(
    judged: JudgedSet, arguments: EvaluateArguments, settings: Settings
) -> tuple[Comparison, tuple[Notice, ...]]:
    """All systems that were asked for, and notices of what was left out of the library."""
    from rerank.evaluation.plan import Plan, compare
    from rerank.judged.dataset import read_tuning_set

    plan = Plan(
        arguments.depths or (arguments.candidates,),
        arguments.fusion,
        arguments.pairs,
        arguments.candidates_from or (CandidateSource.VECTORS,),
        arguments.fuse_rerankers,
    )
    alone = list(arguments.rerankers or ()) == [NO_RERANKER]
    rerankers = {} if alone else _by_label(arguments.rerankers or [settings.reranker], settings)
    library, encoder, left_out = filled_library(judged, arguments.dataset_library, settings)

    def opener(name: str | None, model: ResolvedModel) -> Callable[[], Searcher]:
        choice = replace(settings.models, reranker=name)
        return lambda: open_searcher(library, resolve_models(choice, library, encoder, model))

    openers = {label: opener(name, model) for label, (name, model) in rerankers.items()}
    tuning = read_tuning_set(judged) if plan.fusion else None
    with query_bar() as show:
        comparison = compare(
            judged, library, openers, plan, tuning, on_progress=show,
            open_first_look=lambda: Searcher(Retriever(library, encoder), None),
        )  # fmt: skip
    return comparison, left_out


def filled_library(
    judged: JudgedSet, folder: Path | None, settings: Settings, *, into_others: bool = True
) -> tuple[Library, Encoder, tuple[Notice, ...]]:
    """The set's library with all its documents, the encoder that made it, and notices of what was left out.

    It is the one in ``folder``, ``None`` for one of the set's own. ``into_others`` as in `fill_library`.
    """
    from rerank.evaluation.corpus import choose_library, fill_library

    folder, model = choose_library(judged, folder, settings.models)
    encoder = open_encoder(model, access=settings.services)
    with cancel_on_interrupt() as cancelled, ProgressBar() as bar:
        library, left_out = fill_library(
            judged, folder, encoder, bar.show, cancelled, into_others=into_others
        )
    return library, encoder, left_out


def _by_label(names: Sequence[str | None], settings: Settings) -> dict[str, tuple[str | None, ResolvedModel]]:
    """Rerankers by a short name: what was asked for, and the model.

    All are found before the first one works, so that a typing error costs no hours.

    Raises `ModelError` for one that cannot be had, and `UsageError` for one that is named twice.
    """
    hub = Hub(settings.models.allow_downloads)
    labels: dict[str, tuple[str | None, ResolvedModel]] = {}
    model_names: set[str] = set()
    for name in names:
        model = resolve_reranker(name, hub, settings.services)
        label = Path(name or model.name).name
        if label in labels or model.name in model_names:
            raise UsageError(f"The reranker {label} is named twice; name each once, and folders differently.")
        labels[label] = name, model
        model_names.add(model.name)
    return labels


def _report(arguments: EvaluateArguments, comparison: Comparison, queries: Mapping[str, str]) -> None:
    """Print the comparison, with its table of systems where several were asked for."""
    from ui.presentation.evaluation.report import evaluation_report
    from ui.presentation.evaluation.text_table import comparison_table, evaluation_table

    _say(*comparison.notices)
    several = _asks_for_several(arguments)
    if arguments.json:
        print_json(evaluation_report(comparison, systems=several))
    else:
        table = comparison_table if several else evaluation_table
        print(table(comparison, queries, shutil.get_terminal_size().columns))


def _save(arguments: EvaluateArguments, comparison: Comparison) -> None:
    """Write the runs and the picture, where they were asked for."""
    from rerank.evaluation.runs import write_both, write_systems
    from ui.presentation.evaluation.frontier import frontier_svg

    if arguments.save_run is not None:
        systems = [row.system for row in (comparison.before, *comparison.rows)]
        if _asks_for_several(arguments):
            write_systems(arguments.save_run, systems)
        else:
            write_both(arguments.save_run, *(system.orders for system in systems))
    if arguments.plot is not None:
        _write(arguments.plot, frontier_svg(comparison))


def _say(*notices: Notice) -> None:
    for notice in notices:
        sys.stderr.write(f"{notice_text(notice)}\n")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}. Choose another place.") from error


def add_evaluate_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Declare the arguments, with the settings as their defaults."""
    parser.add_argument(
        "dataset", type=Path, metavar="DATASET", nargs="?",
        help="a folder with corpus.jsonl or documents/, queries.jsonl and qrels/ (BEIR's layout)",
    )  # fmt: skip
    parser.add_argument("--split", default="test", help="which table of qrels/ judges (default test)")
    # Not `library`: that name is the library people search, which an evaluation must not fill by default.
    parser.add_argument(
        "--library", type=named_folder, dest="dataset_library", metavar="DIR",
        help="library to index the dataset in (default: one of its own in the user's cache folder)",
    )  # fmt: skip
    parser.add_argument("--encoder", default=settings.encoder, help="name or folder of the bi-encoder")
    rerankers = parser.add_mutually_exclusive_group()
    rerankers.add_argument(
        "--reranker", default=settings.reranker, help="name or folder of the cross-encoder"
    )
    rerankers.add_argument(
        "--rerankers",
        type=_names,
        metavar="A,B,…",
        help="compare several, by name, alias or folder; none compares first looks alone",
    )
    parser.add_argument(
        "--candidates-from", type=_sources, metavar="A,B,…",
        help="compare first looks, which also find what is reranked: vectors, words (BM25), both (fused by reciprocal "
        "rank); the others are held against the one named first",
    )  # fmt: skip
    depths = parser.add_mutually_exclusive_group()
    depths.add_argument(
        "--candidates", type=int, default=DEFAULT_CANDIDATES, metavar="N",
        help=f"passages that are retrieved and reranked (default {DEFAULT_CANDIDATES})",
    )  # fmt: skip
    depths.add_argument(
        "--depths", type=_depths, metavar="N,M,…",
        help="compare how many to rerank (10,20,50,100,200 say); each passage is scored once",
    )  # fmt: skip
    parser.add_argument(
        "--fusion", action="store_true",
        help="compare fusions of both looks too: weighted (the weight chosen on up to 200 queries of the train "
        "split, where that is another one, else even) and reciprocal rank",
    )  # fmt: skip
    parser.add_argument(
        "--fuse-rerankers", action="store_true",
        help="compare fusions of all rerankers and the first look too: by even weights and by reciprocal rank",
    )  # fmt: skip
    add_window_argument(parser, settings)
    parser.add_argument(
        "--pairs", action="store_true", help="test the systems of the deepest list against each other too"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw quality against time")
    add_model_access(parser)
    parser.add_argument(
        "--save-run", type=Path, metavar="FILE",
        help="write each order as a TREC run: FILE with the system's name before its suffix (.before and .after "
        "where one reranker is evaluated)",
    )  # fmt: skip
    parser.add_argument(
        "--qrels",
        type=Path,
        metavar="FILE",
        help="measure TREC runs (--run) by these judgements, without models",
    )
    parser.add_argument(
        "--run", type=Path, action="append", dest="runs", metavar="FILE",
        help="with --qrels: the run before; again for the run after, and others",
    )  # fmt: skip
    add_json(parser)


def check_evaluate_arguments(arguments: EvaluateArguments) -> None:
    """Raise `UsageError` for arguments that do not go together, before any model is loaded."""
    if arguments.candidates < 1:
        raise UsageError(f"--candidates must be at least 1; {arguments.candidates} was given.")
    if (arguments.qrels is None) != (arguments.runs is None):
        raise UsageError("Runs are measured by judgements: give --qrels FILE and --run FILE together.")
    if (arguments.dataset is None) == (arguments.qrels is None):
        raise UsageError("Give a dataset's folder, or --qrels FILE with --run FILE, and not both.")
    if arguments.qrels is not None and (arguments.plot or arguments.save_run):
        raise UsageError(
            "A run file holds no times to plot and is saved already: leave out --plot and --save-run."
        )
    if arguments.rerankers and NO_RERANKER in arguments.rerankers:
        if len(arguments.rerankers) > 1:
            raise UsageError("--rerankers none stands alone: name rerankers, or none.")
        if arguments.depths or arguments.fusion:
            raise UsageError(
                "Without rerankers there are no depths or fusions to compare: leave out --depths and --fusion."
            )
    if arguments.fuse_rerankers and len(set(arguments.rerankers or ())) < 2:
        raise UsageError(
            "--fuse-rerankers needs two or more rerankers to fuse: name them with --rerankers A,B."
        )
    for option, path in (("--plot", arguments.plot), ("--save-run", arguments.save_run)):
        if path is not None:
            _check_place(option, path)
    if arguments.plot is not None and arguments.plot.suffix.lower() != ".svg":
        raise UsageError(f"The picture is an SVG; name it so: {arguments.plot.with_suffix('.svg')}")


def _check_place(option: str, path: Path) -> None:
    """Raise `UsageError` where no file can be written: an evaluation may take hours, and is lost if it ends there."""
    if not path.name or path.is_dir():
        raise UsageError(f"{option} {path} is a folder; name a file to write.")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(
            f"{option} {path} cannot be written: {path.parent} is no folder that can be written to. Choose another "
            "place."
        )


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("name at least one reranker")
    return names


def _sources(text: str) -> tuple[CandidateSource, ...]:
    """First looks, each once, in the order given."""
    try:
        return tuple(dict.fromkeys(CandidateSource(part.strip()) for part in text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is not a list of {', '.join(CandidateSource)}") from error


def _depths(text: str) -> tuple[int, ...]:
    """Numbers of candidates, rising, each once."""
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"“{text}” is not a list of whole numbers as 10,50,100 is"
        ) from error
    if numbers[0] < 1:
        raise argparse.ArgumentTypeError(f"{numbers[0]} is too few candidates; give 1 or more")
    return tuple(numbers)
