"""`secondlook search` with two rerankers: B's answer beside A's, and how the two agree."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingest.encoders.base import Encoder
from ingest.errors import SecondLookError, UsageError
from ingest.library.library import Library
from ingest.notices import Notice
from ingest.services.access import ServiceAccess
from rerank.agreement import agreement
from rerank.ensemble import fuse, second_looks
from rerank.factory import ModelChoice, open_searcher
from rerank.notices import unavailable
from rerank.records import FirstLook, Part, RankedHit, SearchResult
from rerank.registry import full_name
from rerank.search import DEFAULT_CANDIDATES, Searcher
from rerank.second_look import SecondLookPlan
from retrieval.fusion import Fusion
from ui.presentation.formatting import model_title, reranker_title
from ui.presentation.insights import agreement_sentence
from ui.presentation.remedies import failure_text
from ui.settings import Settings


@dataclass(frozen=True, slots=True)
class OtherAnswer:
    """What a second reranker, B, made of the first look; ``failure`` says why it made nothing."""

    name: str
    result: SearchResult | None
    failure: Notice | None = None

    @property
    def title(self) -> str:
        """B in a word or two."""
        reranker = self.result.models.reranker if self.result is not None else None
        return model_title(reranker) if reranker is not None else reranker_title(self.name)

    @property
    def after(self) -> SearchResult | None:
        """The answer, where there is a second order in it."""
        return self.result if self.result is not None and self.result.reranked else None

    def notices(self, one: SearchResult) -> list[Notice]:
        """What is to be said of B, and was not said of A."""
        notices = [] if self.failure is None else [self.failure]
        notices += self.result.notices if self.result is not None else ()
        return [notice.of(f"B, {self.title}") for notice in notices if notice not in one.notices]

    def agreement(self, one: SearchResult, top_k: int) -> str:
        """How A and B agree on the first ``top_k`` places, as a sentence; empty where only one has an order."""
        found = agreement(one, self.after, top_k) if self.after is not None else None
        return agreement_sentence(found) if found is not None else ""

    def report(self, one: SearchResult, top_k: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """B's part of `secondlook search --json`: its places as ``rows``, and how it agrees with A."""
        found = agreement(one, self.after, top_k) if self.after is not None else None
        return {
            "reranker": self.name,
            "after": rows,
            "rerank_ms": round(self.result.timings.rerank, 2) if self.result is not None else None,
            "scored": self.result.scored if self.result is not None else 0,
            "stopped": self.result.stopped if self.result is not None else None,
            "agreement": None if found is None else {
                "places": found.top_k, "shared": found.shared, "same_best": found.same_best,
                "kendall_tau": found.tau, "compared": found.compared,
            },
        }  # fmt: skip


def chosen_rerankers(parsed: argparse.Namespace, settings: Settings) -> tuple[Settings, str | None]:
    """The settings with the first reranker of the command line, and the name of the second one, if any.

    Raises `UsageError` for more than two, or one twice.
    """
    names: list[str] = parsed.rerankers or []
    if len(names) > 2:
        raise UsageError(
            f"{len(names)} rerankers were named; two are the most that are compared at once. --fuse-rerankers rrf "
            "fuses them all to one order."
        )
    check_named_once(names, settings.services)
    return replace(settings, reranker=names[0]) if names else settings, names[1] if names[1:] else None


def check_named_once(names: Sequence[str], access: ServiceAccess) -> None:
    """Raise `UsageError` for a reranker that was named twice, be it by two of its names."""
    full = [full_name(name, access) for name in names]
    for name in full:
        if full.count(name) > 1:
            raise UsageError(f"{name} was named twice; name another reranker to compare it with.")


def other_answer(
    library: Library,
    choice: ModelChoice,
    name: str,
    first: FirstLook,
    plan: SecondLookPlan,
    keep_scores: bool,
    encoder: Encoder,
) -> OtherAnswer:
    """Reranker ``name`` on the candidates of ``first``; whatever goes wrong with it leaves A's answer as it is.

    ``encoder`` is A's, which is loaded already; ``keep_scores`` as in `open_searcher`.
    """
    try:
        searcher = open_searcher(library, replace(choice, reranker=name), encoder, keep_scores)
        result = searcher.second_look(first, plan=plan)
    except SecondLookError as error:
        return OtherAnswer(name, None, unavailable(error))
    reranker = result.models.reranker
    return OtherAnswer(reranker.name if reranker else name, result)


def chosen_fusions(parsed: argparse.Namespace, settings: Settings) -> tuple[Fusion | None, Fusion | None]:
    """What is fused with one reranker, and what with several; where several are fused, each alone is not.

    The command line's word holds, else the settings', of which the one for several counts where several are named.
    Raises `UsageError` for several that cannot be fused: fewer than two, one twice, or another number than of shares.
    """
    names: list[str] = parsed.rerankers or []
    ensemble: Fusion | None = parsed.fuse_rerankers
    if ensemble is None:
        if parsed.fuse is not None:
            return parsed.fuse, None
        if settings.ensemble is None or len(names) < 2:
            return settings.fusion, None
        ensemble = settings.ensemble
    if len(names) < 2:
        raise UsageError(
            "--fuse-rerankers needs two or more rerankers to fuse: name them with --reranker A --reranker B."
        )
    check_named_once(names, settings.services)
    ensemble.fits(len(names))
    return None, ensemble


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
    parts = [looks.get(name) or Part(name, None, unavailable(failures[name])) for name in parsed.rerankers]
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
            "failure": failure_text(part.why_not),
        }
        for part in result.parts
    ]


def own_rows(hit: RankedHit) -> list[dict[str, Any]]:
    """What each fused reranker gave a passage, for the same."""
    return [{"reranker": own.reranker, "logit": own.logit, "rank": own.rank} for own in hit.own]
