"""`secondlook search`: both orders, as JSON or side by side, with scores read as was asked for.

What reads scores is imported when a search is run: no other command should wait for it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.errors import UsageError
from ingest.library.library import Library
from ingest.notices import Notice, NoticeKind
from rerank.records import SearchResult
from rerank.request import (
    DEFAULT_CANDIDATES,
    STABLE_SLICES,
    STABLE_TOP,
    SearchRequest,
    SecondLookPlan,
    StableRule,
)
from retrieval.fusion import Fusion
from retrieval.records import CandidateSource
from ui.command_line.options import add_json, add_library, add_model_access, positive
from ui.command_line.search_rerankers import Question, fused_answer, other_answer, searcher_for
from ui.command_line.terminal import print_json
from ui.presentation.remedies import notice_text
from ui.settings import DEFAULT_RESULTS, Settings, add_window_argument, milliseconds

if TYPE_CHECKING:
    from rerank.calibration.reading import Reading

# The values of `rerank.calibration.reading.Choice`.
METHODS = ("auto", "fitted", "sigmoid", "softmax", "min-max")
# Measured with the bundled reranker: tests/benchmarks/results/anytime.txt.
STABLE_LOSS = (
    "With N = 1, 59 %% of the passages were scored and no nDCG@10 was lost on 40 held-out SQuAD questions; 60 %% and "
    "+0.0002 on Cranfield"
)


@dataclass(frozen=True, slots=True)
class SearchArguments:
    """What `secondlook search` was given."""

    query: str
    candidates: int | None
    top_k: int
    budget_ms: float | None
    stop_when_stable: int | None
    no_cache: bool
    candidates_from: CandidateSource
    fuse: Fusion | None
    fuse_rerankers: Fusion | None
    method: str
    temperature: float | None
    threshold: float | None
    show_anyway: bool
    rerankers: Sequence[str] | None
    json: bool


def add_search_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Declare the arguments, with the settings as their defaults."""
    parser.add_argument("query", metavar="QUERY", help="the question")
    add_library(parser, settings.library)
    add_json(parser)
    parser.add_argument(
        "--candidates", type=positive, metavar="N",
        help=f"passages that are retrieved and reranked (default {DEFAULT_CANDIDATES}, or K where that is more)",
    )  # fmt: skip
    parser.add_argument(
        "--top-k", type=positive, default=DEFAULT_RESULTS, metavar="K",
        help=f"passages that are shown of each order (default {DEFAULT_RESULTS})",
    )  # fmt: skip
    parser.add_argument(
        "--budget-ms", type=milliseconds, default=settings.budget_ms, metavar="MS",
        help="time for the second look; when it is spent, the best order so far is given (default: no limit)",
    )  # fmt: skip
    parser.add_argument(
        "--stop-when-stable", type=positive, nargs="?", const=STABLE_SLICES, metavar="N",
        help="end the second look when N slices of its work have changed none of the first ten places (N "
        f"defaults to {STABLE_SLICES}); after the question. {STABLE_LOSS}",
    )  # fmt: skip
    add_window_argument(parser, settings)
    parser.add_argument(
        "--no-cache", action="store_true",
        help="run the reranker even where scores of these passages are kept from an earlier search, and keep none",
    )  # fmt: skip
    _add_mixing_arguments(parser, settings)
    _add_reading_arguments(parser)
    parser.add_argument("--encoder", default=settings.encoder, help="name or folder of the bi-encoder")
    parser.add_argument(
        "--reranker", action="append", dest="rerankers", metavar="RERANKER",
        help="name or folder of the reranker; given twice, both order the same passages, side by side; with "
        "--fuse-rerankers, two or more are fused to one order",
    )  # fmt: skip
    add_model_access(parser)


def _add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how scores are read, and below which number nothing is shown."""
    parser.add_argument(
        "--method", choices=METHODS, default="auto",
        help="how scores are read; the order never changes by it. auto takes the calibration that was fitted for this "
        "library and reranker where one holds, else the model's own sigmoid (default); softmax and min-max are "
        "relative to this list",
    )  # fmt: skip
    parser.add_argument(
        "--temperature", type=_temperature, metavar="T",
        help="with --method softmax: a high one evens the shares of the list out, a low one gives the first passage "
        "nearly all (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--threshold", type=_share, metavar="P",
        help="show only passages of the second order that are read as P (0 to 1) or more",
    )  # fmt: skip
    parser.add_argument(
        "--show-anyway", action="store_true",
        help="show the second order even where the fitted calibration says that nothing here answers the question",
    )  # fmt: skip


def _add_mixing_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Declare what the first look finds candidates by, and what its order adds to the second."""
    parser.add_argument(
        "--candidates-from", type=CandidateSource, choices=list(CandidateSource), default=settings.candidates_from,
        metavar="|".join(CandidateSource),
        help="what the first look goes by: the encoder's vectors, the words themselves (BM25), or both, fused by "
        f"reciprocal rank; words find names, numbers and codes that vectors miss (default {settings.candidates_from})",
    )  # fmt: skip
    mixes = parser.add_mutually_exclusive_group()
    mixes.add_argument(
        "--fuse", type=Fusion.of, metavar="rrf|weighted[:W]",
        help="make the second order a mix of both looks: by reciprocal rank, or weighted with W, from 0 to 1, the "
        f"reranker's share (default: {settings.fusion or 'the reranker alone'})",
    )  # fmt: skip
    mixes.add_argument(
        "--fuse-rerankers", type=Fusion.of_ensemble, metavar="rrf|weighted[:W,W]",
        help="make one second order of the first look and of every --reranker, two or more: by reciprocal rank, or "
        "weighted, all the same or with a share W for each reranker as they are named, the first look having the rest "
        f"of 1 (default: {settings.ensemble or 'two stand side by side'})",
    )  # fmt: skip


def run_search(arguments: SearchArguments, settings: Settings) -> int:
    """Search, print both orders to stdout and notices to stderr; the exit status."""
    from rerank.calibration.reading import Choice, read_result
    from rerank.calibration.store import Loaded, load_for
    from ui.presentation.result_json import notices_of, result_json

    question = asked(arguments, settings)
    choice, library = Choice(arguments.method), Library(settings.library)
    other, loaded = None, Loaded(None)  # a calibration is of one reranker
    if question.ensemble is not None:
        result = fused_answer(library, question)
    else:
        searcher = searcher_for(library, question)
        loaded = load_for(library, searcher.models)
        if choice is Choice.FITTED and loaded.calibration is None and loaded.notice is not None:
            raise UsageError(loaded.notice.text, loaded.notice.help)
        first = searcher.first_look(question.request)
        result = searcher.second_look(first, plan=question.request.plan)
        if len(question.rerankers) > 1:
            other = other_answer(library, question, first, searcher.encoder)
    reading = read_result(result, choice, loaded.calibration, arguments.temperature or 1.0)
    shown, hidden = _shown(result, reading, arguments)
    if other is not None and arguments.threshold is not None:
        hidden += " The threshold is held against A’s numbers alone; B’s places are all shown."
    notices = notices_of(result, reading, loaded.notice)
    if hidden:
        notices.append(Notice(NoticeKind.HIDDEN, hidden.strip()))
    if arguments.json:
        part = other.part if other is not None else None
        print_json(result_json(result, reading, part, places=arguments.top_k, shown=shown, notices=notices))
    else:
        from ui.command_line.search_text import side_by_side

        sys.stdout.write(side_by_side(result, arguments.top_k, reading, shown, other) + "\n")
    for notice in (*notices, *(other.notices(result) if other is not None else ())):
        sys.stderr.write(f"{notice_text(notice)}\n")
    return 0


def asked(arguments: SearchArguments, settings: Settings) -> Question:
    """What was typed as a question, with the settings where nothing was. Nothing below this knows what was typed.

    Several rerankers are fused where the command line says so, else where the settings do; each alone is then not.
    Raises `UsageError` for what cannot be meant, before any model is looked for.
    """
    names = tuple(arguments.rerankers or ())
    ensemble, fusion = arguments.fuse_rerankers, arguments.fuse
    if ensemble is None and fusion is None:
        several = settings.ensemble is not None and len(names) > 1
        ensemble, fusion = (settings.ensemble, None) if several else (None, settings.fusion)
    rule = None
    if arguments.stop_when_stable is not None:
        # Ten places at least: what the rule loses was measured on the first ten.
        rule = StableRule(arguments.stop_when_stable, max(arguments.top_k, STABLE_TOP))
    plan = SecondLookPlan(arguments.budget_ms, rule, fusion)
    candidates = arguments.candidates or max(DEFAULT_CANDIDATES, arguments.top_k)
    request = SearchRequest(arguments.query, candidates, arguments.candidates_from, plan)
    question = Question(
        request, settings.models_at_once, names or (settings.reranker,), ensemble, not arguments.no_cache
    )
    _check(arguments, question)
    return question


def _check(arguments: SearchArguments, question: Question) -> None:
    """Raise `UsageError` for ways to read scores that do not go together, before any model is loaded."""
    if arguments.threshold is not None and arguments.method in ("softmax", "min-max"):
        raise UsageError(
            f"--threshold says nothing with --method {arguments.method}, whose numbers compare passages of one list "
            "only. Leave one of them out."
        )
    if arguments.temperature is not None and arguments.method != "softmax":
        raise UsageError("--temperature is of --method softmax alone. Add that, or leave it out.")
    if arguments.threshold is not None and (question.request.plan.fusion or question.ensemble) is not None:
        which = "--fuse" if question.ensemble is None else "--fuse-rerankers"
        raise UsageError(
            f"--threshold needs relevance, which a fused score is not. Leave out {which} or --threshold."
        )
    if arguments.method == "fitted" and question.ensemble is not None:
        raise UsageError(
            "A calibration is fitted to one reranker. Leave out --method fitted or --fuse-rerankers."
        )


def _shown(result: SearchResult, reading: Reading, arguments: SearchArguments) -> tuple[int, str]:
    """How many places of the second order are shown, and a sentence on what is hidden; empty where nothing is.

    Raises `UsageError` where nothing can be held to a threshold.
    """
    top_k, threshold, hidden = arguments.top_k, arguments.threshold, ""
    shown = top_k
    if threshold is not None and result.reranked:
        if not reading.values:
            raise UsageError(
                "--threshold needs scores that can be read as relevance, and this reranker’s cannot. Fit a calibration "
                "with secondlook calibrate, or leave it out."
            )
        shown = min(top_k, reading.above(result, threshold))
        below = min(top_k, len(result.after)) - shown
        if below > 0:
            hidden = f"{below} of the first {shown + below} of the second order are below {threshold:g} and not shown."
    if reading.answers_none and not arguments.show_anyway:
        count = min(shown, len(result.after))
        return 0, f"Its {count} passages are not shown; --show-anyway shows them."
    return shown, hidden


def _temperature(text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is not a number") from error
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{number:g} is no temperature; give a number above 0")
    return number


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is not a number") from error
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{number:g} is no threshold; give a number from 0 to 1")
    return number
