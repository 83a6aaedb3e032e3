"""`secondlook search`: both orders, as JSON or side by side, with scores read as was asked for.

What reads scores is imported when a search is run: no other command should wait for it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from ingest.errors import UsageError
from ingest.library import Library
from rerank.anytime import STABLE_TOP, SecondLookPlan, StableRule
from rerank.records import RankedHit, SearchResult
from rerank.search import open_searcher
from retrieval.records import Candidate
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
        "--threshold", type=_share, metavar="P",
        help="show only passages of the second order that are read as P (0 to 1) or more",
    )  # fmt: skip


def run_search(parsed: argparse.Namespace, settings: Settings) -> int:
    """Search, print both orders to stdout and notices to stderr; the exit status."""
    from rerank.calibration.reading import Choice, read_result
    from rerank.calibration.store import load_for

    rule = None
    if parsed.stop_when_stable is not None:
        # Ten places at least: what the rule loses was measured on the first ten.
        rule = StableRule(parsed.stop_when_stable, max(parsed.top_k, STABLE_TOP))
    plan = SecondLookPlan(parsed.budget_ms, rule)
    choice, library = Choice(parsed.method), Library(settings.library)
    if parsed.threshold is not None and choice in (Choice.SOFTMAX, Choice.MIN_MAX):
        raise UsageError(
            f"--threshold says nothing with --method {choice}, whose numbers compare passages of one list only. "
            "Leave one of them out."
        )
    searcher = open_searcher(library, settings.models_at_once)
    loaded = load_for(library.folder, searcher.models, library.manifest())
    if choice is Choice.FITTED and loaded.calibration is None and loaded.notice:
        raise UsageError(loaded.notice)
    result = searcher.search(parsed.query, max(parsed.candidates, parsed.top_k), plan=plan)
    reading = read_result(result, choice, loaded.calibration)
    shown = _shown(result, reading, parsed.top_k, parsed.threshold)
    notices = [*result.notices, loaded.notice, reading.answers_none, _hidden(result, shown, parsed)]
    notices = [notice for notice in notices if notice]
    if parsed.json:
        report = search_report(result, parsed.top_k, reading, shown, notices)
        sys.stdout.write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write(side_by_side(result, parsed.top_k, reading, shown) + "\n")
    for notice in notices:
        sys.stderr.write(f"{notice}\n")
    return 0


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
    ``scored`` counts the candidates in the second order; where a time budget or stability ended it before the last,
    ``stopped`` says which. ``method`` is how scores are read: ``probability`` is filled by a fitted one and
    ``relative`` by one that compares passages of this list only; ``relevance`` is always the model's own. ``shown``
    is how many places of the second order are given.
    """
    reranker = result.models.reranker
    return {
        "query": result.query,
        "before": [_candidate_row(candidate) for candidate in result.before[:top_k]],
        "after": [_hit_row(hit, reading) for hit in result.after[:shown]],
        "timings_ms": {
            "encode": round(result.timings.encode, 2),
            "retrieve": round(result.timings.retrieve, 2),
            "rerank": round(result.timings.rerank, 2),
            "total": round(result.timings.total, 2),
        },
        "models": {"encoder": result.models.encoder.name, "reranker": reranker.name if reranker else None},
        "candidates": len(result.before),
        "scored": result.scored,
        "stopped": result.stopped,
        "method": str(reading.method),
        "notices": notices,
    }


def _candidate_row(candidate: Candidate) -> dict[str, Any]:
    chunk = candidate.chunk
    return {
        "rank": candidate.rank, "document": chunk.path, "document_id": chunk.document_id, "title": chunk.title,
        "page": chunk.page, "heading": list(chunk.heading), "start": chunk.start, "end": chunk.end,
        "score": candidate.score, "text": chunk.text,
    }  # fmt: skip


def _hit_row(hit: RankedHit, reading: Reading) -> dict[str, Any]:
    row, number = _candidate_row(hit.candidate), reading.values.get(hit.candidate.chunk.id)
    return row | {
        "rank": hit.rank, "before_rank": hit.candidate.rank, "logit": hit.logit, "relevance": hit.relevance,
        "cross_logit": hit.cross_logit, "probability": number if reading.method.fitted else None,
        "relative": number if reading.method.relative else None,
    }  # fmt: skip


def side_by_side(result: SearchResult, top_k: int, reading: Reading, shown: int) -> str:
    """Both orders as two columns of text, as wide as the terminal; of the second one ``shown`` places."""
    if not result.before:
        return "The library holds no passages yet. Add documents with: secondlook ingest FILES"
    width = max(60, shutil.get_terminal_size((120, 40)).columns) // 2 - 2
    left = ["FIRST LOOK  bi-encoder", ""]
    right = ["SECOND LOOK  reranked" if result.reranked else "SECOND LOOK  not reranked", ""]
    for candidate in result.before[:top_k]:
        left += _lines(f"{candidate.rank:>3}", f"cosine {candidate.score:.3f}", candidate, width)
    for hit in result.after[:shown]:
        score = f"logit {hit.logit:.2f}{_number(hit, reading)}"
        right += _lines(f"{hit.rank:>3} {_movement(hit):<5}", score, hit.candidate, width)
    rows = [f"{a:<{width}}  │ {b}".rstrip() for a, b in zip_longest(left, right, fillvalue="")]
    timings = result.timings
    rows.append(
        f"encode {timings.encode:.0f} ms, retrieve {timings.retrieve:.0f} ms, rerank {timings.rerank:.0f} ms; "
        f"{_scored(result)}"
    )
    return "\n".join(rows)


def _scored(result: SearchResult) -> str:
    total = f"{len(result.before)} candidates"
    return f"{result.scored} of {total} scored" if result.reranked and not result.complete else total


def _lines(place: str, score: str, candidate: Candidate, width: int) -> list[str]:
    chunk = candidate.chunk
    where = f", p. {chunk.page}" if chunk.page else ""
    head = textwrap.shorten(f"{chunk.title}{where}", max(width - len(place) - 1, 10), placeholder="…")
    text = textwrap.shorten(chunk.text, 2 * (width - 4), placeholder=" …")
    return [
        f"{place} {head}",
        f"    {score}",
        *textwrap.wrap(text, width - 4, initial_indent="    ", subsequent_indent="    "),
        "",
    ]


def _movement(hit: RankedHit) -> str:
    if hit.movement == 0:
        return "="
    return f"▲ {hit.movement}" if hit.movement > 0 else f"▼ {-hit.movement}"


def _number(hit: RankedHit, reading: Reading) -> str:
    """What the logit is read as, with the name of what that is; nothing where it cannot be read."""
    number = reading.values.get(hit.candidate.chunk.id)
    if number is None:
        return ""
    name = "probability" if reading.method.fitted else "relative" if reading.method.relative else "relevance"
    return f"  {name} {number:.2f}"


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is not a number") from error
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{number:g} is no threshold; give a number from 0 to 1")
    return number
