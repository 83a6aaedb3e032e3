"""Orders of a search as columns of text: the first look, the second, and a second reranker's where there is one."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from rerank.records import RankedHit, SearchResult
from retrieval.records import Candidate, CandidateSource
from ui.command_line.search_rerankers import OtherAnswer
from ui.presentation.cards import BY, found_by
from ui.presentation.formatting import location, model_title, shortened

if TYPE_CHECKING:
    from rerank.calibration.reading import Reading


def side_by_side(
    result: SearchResult, top_k: int, reading: Reading, shown: int, other: OtherAnswer | None = None
) -> str:
    """Both orders as two columns of text, as wide as the terminal; of the second one ``shown`` places.

    Where nothing answers and nothing is shown, that is said in its place. A second reranker's, B's, is a third column.
    """
    if not result.before:
        if result.source is CandidateSource.WORDS:
            return "No passage was found by its words."
        return "The library holds no passages yet. Add documents with: secondlook ingest FILES"
    columns = 2 if other is None else 3
    width = max(30 * columns, shutil.get_terminal_size((120, 40)).columns) // columns - 2
    numbers = {number: _number(number, reading) for number in reading.values}
    second = _second(result, shown, numbers, "A" if other else "", width)
    if reading.answers_none and not shown:
        second += textwrap.wrap(reading.answers_none.text, width)
    texts = [_first(result, top_k, width), second]
    if other is not None:
        texts.append(_second(other.result, top_k, _own_numbers(other.after), "B", width))
    rows = [
        "  │ ".join(f"{cell:<{width}}" for cell in row).rstrip() for row in zip_longest(*texts, fillvalue="")
    ]
    if other is not None and (agreement := other.agreement(result, top_k)):
        rows.append(agreement)
    timings = result.timings
    rows.append(
        f"encode {timings.encode:.0f} ms, retrieve {timings.retrieve:.0f} ms, rerank {timings.rerank:.0f} ms; "
        f"{_scored(result)}"
    )
    return "\n".join(rows)


def _heading(result: SearchResult | None, letter: str) -> str:
    """The heading of a second look; rerankers are named where there are two."""
    if result is not None and result.parts and result.reranked:
        return f"SECOND LOOK  {' and '.join(part.name for part in result.parts if part.reranked)}, fused"
    state = "reranked" if result is not None and result.reranked else "not reranked"
    if not letter:
        return f"SECOND LOOK  {state}"
    reranker = result.models.reranker if result is not None else None
    return f"SECOND LOOK {letter}  {model_title(reranker) if reranker else 'no reranker'}, {state}"


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _first(result: SearchResult, top_k: int, width: int) -> list[str]:
    lines = [f"FIRST LOOK  {BY[result.source]}", ""]
    for candidate in result.before[:top_k]:
        score = f"cosine {candidate.score:.3f}  {found_by(candidate, result.source)}".rstrip()
        lines += _lines(f"{candidate.rank:>3}", [score], candidate, width)
    return lines


def _second(
    result: SearchResult | None, shown: int, numbers: Mapping[int, str], letter: str, width: int
) -> list[str]:
    """A second look's column; ``numbers`` are by chunk id what a logit is read as, with its name."""
    lines = [_shortened(_heading(result, letter), width), ""]
    if result is None:
        return lines
    for hit in result.after[:shown]:
        scores = _scores(hit, result.fusion is not None, numbers.get(hit.candidate.chunk.id, ""))
        lines += _lines(f"{hit.rank:>3} {_movement(hit):<5}", scores, hit.candidate, width)
    return lines


def _scores(hit: RankedHit, fused: bool, number: str) -> list[str]:
    """What a passage was given, a line for each reranker; ``number`` is what a single logit is read as."""
    mix = f"fused {hit.logit:.3g}"
    if hit.cross_logit is None:
        own = (f"{own.reranker}: logit {own.logit:.2f}, place {own.rank}" for own in hit.own)
        return [mix, *own]
    return [f"{mix}  logit {hit.cross_logit:.2f}" if fused else f"logit {hit.logit:.2f}{number}"]


def _own_numbers(result: SearchResult | None) -> dict[int, str]:
    """The reranker's own relevance: a calibration belongs to one reranker, and B's is not asked for."""
    hits = result.after if result is not None else ()
    return {
        hit.candidate.chunk.id: f"  relevance {hit.relevance:.2f}"
        for hit in hits
        if hit.relevance is not None
    }


def _scored(result: SearchResult) -> str:
    total = f"{len(result.before)} candidates"
    return f"{result.scored} of {total} scored" if result.reranked and not result.complete else total


def _lines(place: str, scores: Sequence[str], candidate: Candidate, width: int) -> list[str]:
    chunk = candidate.chunk
    where = f", {location(chunk)}" if chunk.page else ""
    head = shortened(f"{chunk.title}{where}", max(width - len(place) - 1, 10))
    text = shortened(chunk.text, 2 * (width - 4), " …")
    return [
        f"{place} {head}",
        *(f"    {_shortened(score, width - 4)}" for score in scores),
        *textwrap.wrap(text, width - 4, initial_indent="    ", subsequent_indent="    "),
        "",
    ]


def _movement(hit: RankedHit) -> str:
    if hit.movement == 0:
        return "="
    return f"▲ {hit.movement}" if hit.movement > 0 else f"▼ {-hit.movement}"


def _number(chunk: int, reading: Reading) -> str:
    """What a logit is read as, with the name of what that is."""
    name = "probability" if reading.method.fitted else "relative" if reading.method.relative else "relevance"
    return f"  {name} {reading.values[chunk]:.2f}"
