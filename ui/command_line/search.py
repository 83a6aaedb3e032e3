"""`secondlook search`: both orders, as JSON or side by side, with scores read as was asked for.

What reads scores is imported when a search is run: no other command should wait for it.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from ingest.errors import UsageError
from ingest.library.library import Library
from rerank.factory import open_searcher
from rerank.records import RankedHit, SearchResult
from rerank.second_look import STABLE_TOP, SecondLookPlan, StableRule
from retrieval.fusion import Fusion
from retrieval.records import Candidate, CandidateSource
from ui.command_line.search_rerankers import (
    OtherAnswer,
    asked_for,
    chosen_fusions,
    chosen_rerankers,
    fused_answer,
    other_answer,
    own_rows,
    part_rows,
)
from ui.command_line.search_text import side_by_side
from ui.presentation.remedies import failure_text, notice_text
from ui.settings import Settings

if TYPE_CHECKING:
    from rerank.calibration.reading import Reading

# The values of `rerank.calibration.reading.Choice`.
METHODS = ("auto", "fitted", "sigmoid", "softmax", "min-max")


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
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


def add_mixing_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
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


def run_search(parsed: argparse.Namespace, settings: Settings) -> int:
    """Search, print both orders to stdout and notices to stderr; the exit status."""
    from rerank.calibration.reading import Choice, read_result
    from rerank.calibration.store import Loaded, load_for

    rule = None
    if parsed.stop_when_stable is not None:
        # Ten places at least: what the rule loses was measured on the first ten.
        rule = StableRule(parsed.stop_when_stable, max(parsed.top_k, STABLE_TOP))
    fusion, ensemble = chosen_fusions(parsed, settings)
    plan = SecondLookPlan(parsed.budget_ms, rule, fusion)
    choice, library = Choice(parsed.method), Library(settings.library)
    _check(parsed, fusion, ensemble)
    other = second = None
    if ensemble is not None:
        result = fused_answer(library, settings.models_at_once, parsed, ensemble, plan)
        loaded = Loaded(None)  # a calibration is of one reranker
    else:
        settings, second = chosen_rerankers(parsed, settings)
        keep_scores = not parsed.no_cache
        searcher = open_searcher(library, settings.models_at_once, None, keep_scores)
        loaded = load_for(library, searcher.models)
        if choice is Choice.FITTED and loaded.calibration is None and loaded.notice is not None:
            raise UsageError(loaded.notice.text, loaded.notice.help)
        first = searcher.first_look(parsed.query, asked_for(parsed), parsed.candidates_from)
        result = searcher.second_look(first, plan=plan)
        if second:
            models, encoder = settings.models_at_once, searcher.encoder
            other = other_answer(library, models, second, first, plan, keep_scores, encoder)
    reading = read_result(result, choice, loaded.calibration, parsed.temperature or 1.0)
    shown = _shown(result, reading, parsed.top_k, parsed.threshold)
    hidden = _hidden(result, shown, parsed)
    if reading.answers_none and not parsed.show_anyway:
        shown, hidden = (
            0,
            f"Its {min(shown, len(result.after))} passages are not shown; --show-anyway shows them.",
        )
    if second is not None and parsed.threshold is not None:
        hidden = (
            f"{hidden} The threshold is held against A’s numbers alone; B’s places are all shown.".strip()
        )
    of_scores = filter(None, [loaded.notice, reading.notice, reading.answers_none])
    notices = [notice_text(notice) for notice in (*result.notices, *of_scores)] + ([hidden] if hidden else [])
    notices += map(notice_text, other.notices(result) if other else ())
    if parsed.json:
        report = search_report(result, parsed.top_k, reading, shown, notices)
        if other is not None:
            report["other"] = other.report(result, parsed.top_k, _other_rows(other, parsed.top_k))
        sys.stdout.write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write(side_by_side(result, parsed.top_k, reading, shown, other) + "\n")
    for notice in notices:
        sys.stderr.write(f"{notice}\n")
    return 0


def _check(parsed: argparse.Namespace, fusion: Fusion | None, ensemble: Fusion | None) -> None:
    """Raise `UsageError` for ways to read scores that do not go together, before any model is loaded."""
    if parsed.threshold is not None and parsed.method in ("softmax", "min-max"):
        raise UsageError(
            f"--threshold says nothing with --method {parsed.method}, whose numbers compare passages of one list only. "
            "Leave one of them out."
        )
    if parsed.temperature is not None and parsed.method != "softmax":
        raise UsageError("--temperature is of --method softmax alone. Add that, or leave it out.")
    if parsed.threshold is not None and (fusion or ensemble) is not None:
        which = "--fuse" if ensemble is None else "--fuse-rerankers"
        raise UsageError(
            f"--threshold needs relevance, which a fused score is not. Leave out {which} or --threshold."
        )
    if parsed.method == "fitted" and ensemble is not None:
        raise UsageError(
            "A calibration is fitted to one reranker. Leave out --method fitted or --fuse-rerankers."
        )


def _shown(result: SearchResult, reading: Reading, top_k: int, threshold: float | None) -> int:
    """How many places of the second order are shown. Raises `UsageError` where nothing can be held to a threshold."""
    if threshold is None or not result.reranked:
        return top_k
    if not reading.values:
        raise UsageError(
            "--threshold needs scores that can be read as relevance, and this reranker’s cannot. Fit a calibration "
            "with secondlook calibrate, or leave it out."
        )
    return min(top_k, reading.above(result, threshold))


def _hidden(result: SearchResult, shown: int, parsed: argparse.Namespace) -> str:
    """How many passages the threshold hides, as a sentence; empty where it hides none."""
    hidden = min(parsed.top_k, len(result.after)) - shown
    if parsed.threshold is None or hidden <= 0:
        return ""
    return f"{hidden} of the first {shown + hidden} of the second order are below {parsed.threshold:g} and not shown."


def search_report(
    result: SearchResult, top_k: int, reading: Reading, shown: int, notices: list[str]
) -> dict[str, Any]:
    """The search as the JSON that `secondlook search --json` promises.

    ``score`` is the bi-encoder's cosine in both lists, ``logit`` the number that the second order goes by.
    ``candidates_from`` is what the first order goes by, ``vector_rank`` and ``word_rank`` a passage's places by either
    and ``bm25`` its score by words, null where that did not find it; ``fusion`` is there where ``logit`` is a mix.
    ``rerankers`` are those that are fused, with their shares (null by reciprocal rank), times and failures, and a
    passage's ``rerankers`` what each of them gave it, ``cross_logit`` being null; where one orders they are empty.
    ``scored`` counts the candidates in the second order; where a time budget or stability ended it before the last,
    ``stopped`` says which. ``method`` is how scores are read, null for a fused order's, which are not: ``probability``
    is filled by a fitted one and ``relative`` by one that compares passages of this list only; ``relevance`` is always
    the model's own. ``shown`` is how many places of the second order are given; ``read`` says whether the reranker was
    given the whole of a passage, the window that suits the question, or its beginning. ``answers_none`` is the sentence
    where the fitted calibration says that nothing answers; ``after`` is then empty unless it was to be shown anyway.
    """
    reranker = result.models.reranker
    name = " and ".join(part.name for part in result.parts) or (reranker.name if reranker else None)
    return {
        "query": result.query,
        "before": [_candidate_row(candidate) for candidate in result.before[:top_k]],
        "after": [_hit_row(hit, reading) | {"read": _read(hit, result)} for hit in result.after[:shown]],
        "timings_ms": {
            "encode": round(result.timings.encode, 2),
            "retrieve": round(result.timings.retrieve, 2),
            "rerank": round(result.timings.rerank, 2),
            "total": round(result.timings.total, 2),
        },
        "models": {"encoder": result.models.encoder.name, "reranker": name},
        "candidates": len(result.before),
        "candidates_from": str(result.source),
        "fusion": str(result.fusion) if result.fusion else None,
        "rerankers": part_rows(result),
        "scored": result.scored,
        "stopped": result.stopped,
        "method": str(reading.method) if result.fusion is None else None,
        "answers_none": failure_text(reading.answers_none),
        "notices": notices,
    }


def _candidate_row(candidate: Candidate) -> dict[str, Any]:
    chunk = candidate.chunk
    return {
        "rank": candidate.rank, "document": chunk.path, "document_id": chunk.document_id, "title": chunk.title,
        "page": chunk.page, "heading": list(chunk.heading), "start": chunk.start, "end": chunk.end,
        "score": candidate.score, "vector_rank": candidate.vector_rank, "word_rank": candidate.word_rank,
        "bm25": candidate.bm25, "text": chunk.text,
    }  # fmt: skip


def _other_rows(other: OtherAnswer, top_k: int) -> list[dict[str, Any]]:
    """B's places, with its own relevance: a calibration belongs to one reranker."""
    hits = other.after.after[:top_k] if other.after is not None else ()
    return [
        _candidate_row(hit.candidate) | {
            "rank": hit.rank, "before_rank": hit.candidate.rank, "logit": hit.logit, "relevance": hit.relevance,
            "cross_logit": hit.cross_logit,
        }
        for hit in hits
    ]  # fmt: skip


def _hit_row(hit: RankedHit, reading: Reading) -> dict[str, Any]:
    row, number = _candidate_row(hit.candidate), reading.values.get(hit.candidate.chunk.id)
    return row | {
        "rank": hit.rank, "before_rank": hit.candidate.rank, "logit": hit.logit, "relevance": hit.relevance,
        "cross_logit": hit.cross_logit, "probability": number if reading.method.fitted else None,
        "relative": number if reading.method.relative else None, "rerankers": own_rows(hit),
    }  # fmt: skip


def _read(hit: RankedHit, result: SearchResult) -> str:
    """How much of a passage the reranker was given."""
    name = hit.candidate.chunk.id
    if name in result.windows:
        return "window"
    return "beginning" if name in result.truncated else "whole"


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
