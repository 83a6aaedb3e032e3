"""`secondlook search` with two rerankers: B's answer beside A's, and how the two agree."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingest.encoders.base import Encoder
from ingest.errors import SecondLookError, UsageError
from ingest.library.library import Library
from ingest.services.access import ServiceAccess
from rerank.agreement import agreement
from rerank.factory import ModelChoice, open_searcher
from rerank.records import FirstLook, SearchResult
from rerank.registry import full_name
from rerank.second_look import SecondLookPlan
from ui.presentation.formatting import model_title, reranker_title
from ui.presentation.insights import agreement_sentence
from ui.settings import Settings


@dataclass(frozen=True, slots=True)
class OtherAnswer:
    """What a second reranker, B, made of the first look; ``failure`` says why it made nothing."""

    name: str
    result: SearchResult | None
    failure: str = ""

    @property
    def title(self) -> str:
        """B in a word or two."""
        reranker = self.result.models.reranker if self.result is not None else None
        return model_title(reranker) if reranker is not None else reranker_title(self.name)

    @property
    def after(self) -> SearchResult | None:
        """The answer, where there is a second order in it."""
        return self.result if self.result is not None and self.result.reranked else None

    def notices(self, one: SearchResult) -> list[str]:
        """What is to be said of B, and was not said of A."""
        said = [notice for notice in self.result.notices if notice not in one.notices] if self.result else []
        return [f"B, {self.title}: {notice}" for notice in [self.failure, *said] if notice]

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
        return OtherAnswer(name, None, str(error))
    reranker = result.models.reranker
    return OtherAnswer(reranker.name if reranker else name, result)
