"""`secondlook search --fuse-rerankers`: several rerankers and the first look as one second order."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from ingest.errors import SecondLookError, UsageError
from ingest.library.library import Library
from rerank.ensemble import fuse, second_looks
from rerank.factory import ModelChoice, open_searcher
from rerank.records import Part, RankedHit, SearchResult
from rerank.search import DEFAULT_CANDIDATES, Searcher
from rerank.second_look import SecondLookPlan
from retrieval.fusion import Fusion
from ui.search_other import check_named_once
from ui.settings import Settings


def chosen_fusions(parsed: argparse.Namespace, settings: Settings) -> tuple[Fusion | None, Fusion | None]:
    """What is fused with one reranker, and what with several; where several are fused, each alone is not.

    The command line's word holds, else the settings', of which the one for several counts where several are named.
    Raises `UsageError` for several that cannot be fused: fewer than two, one twice, or another number than of shares.
    """
    names: list[str] = parsed.rerankers or []
    together: Fusion | None = parsed.fuse_rerankers
    if together is None:
        if parsed.fuse is not None:
            return parsed.fuse, None
        if settings.together is None or len(names) < 2:
            return settings.fusion, None
        together = settings.together
    if len(names) < 2:
        raise UsageError(
            "--fuse-rerankers needs two or more rerankers to fuse: name them with --reranker A --reranker B."
        )
    check_named_once(names, settings.services)
    together.fits(len(names))
    return None, together


def fused_answer(
    library: Library, choice: ModelChoice, parsed: argparse.Namespace, fusion: Fusion, plan: SecondLookPlan
) -> SearchResult:
    """The rerankers of the command line on one first look, fused.

    One that cannot be opened is left out as one that fails is. Raises the error of the first where none can be opened.
    """
    searchers: dict[str, Searcher] = {}
    failures: dict[str, SecondLookError] = {}
    for name in parsed.rerankers:
        # The encoder is the same for all, and is loaded once.
        encoder = next((searcher.encoder for searcher in searchers.values()), None)
        try:
            searchers[name] = open_searcher(
                library, replace(choice, reranker=name), encoder, not parsed.no_cache
            )
        except SecondLookError as error:
            failures[name] = error
    if not searchers:
        raise next(iter(failures.values()))
    opened = next(iter(searchers.values()))
    first = opened.first_look(parsed.query, asked_for(parsed), parsed.candidates_from)
    looks = {part.name: part for part in second_looks(searchers, first, plan)}
    parts = [looks.get(name) or Part(name, None, str(failures[name])) for name in parsed.rerankers]
    return fuse(first, parts, fusion)


def asked_for(parsed: argparse.Namespace) -> int:
    """How many candidates: as many as were asked for, else the usual number, or as many as are to be shown."""
    given: int | None = parsed.candidates
    return max(DEFAULT_CANDIDATES, parsed.top_k) if given is None else given


def part_rows(result: SearchResult) -> list[dict[str, Any]]:
    """What was fused, reranker by reranker, for `secondlook search --json`; empty where one reranker ordered alone."""
    return [
        {
            "reranker": part.name,
            "model": part.result.models.reranker.name
            if part.result is not None and part.result.models.reranker is not None
            else None,
            "share": part.share,
            "rerank_ms": round(part.result.timings.rerank, 2) if part.result is not None else None,
            "scored": part.result.scored if part.result is not None else 0,
            "stopped": part.result.stopped if part.result is not None else None,
            "failure": part.why_not or None,
        }
        for part in result.parts
    ]


def own_rows(hit: RankedHit) -> list[dict[str, Any]]:
    """What each fused reranker gave a passage, for the same."""
    return [{"reranker": own.reranker, "logit": own.logit, "rank": own.rank} for own in hit.own]
