"""`secondlook search` and its rerankers: one, two side by side, or several that are fused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.encoders.base import Encoder
from ingest.errors import SecondLookError, UsageError
from ingest.library.library import Library
from ingest.notices import Notice
from ingest.services.access import ServiceAccess
from rerank.agreement import agreement
from rerank.ensemble import fuse, second_looks
from rerank.factory import ModelChoice, open_searcher, resolve_models
from rerank.notices import unavailable
from rerank.records import FirstLook, Part, SearchResult
from rerank.registry import full_name
from rerank.request import SearchRequest
from rerank.search import Searcher
from retrieval.fusion import Fusion
from ui.presentation.formatting import model_title, reranker_title
from ui.presentation.insights import agreement_sentence


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and of which rerankers: by name, ``None`` for the default one; ``choice`` holds for each of them.

    Two stand side by side where ``ensemble`` does not fuse them, and more than two are always fused. Without
    ``keep_scores``, none are kept or used from earlier searches. Raises `UsageError` for rerankers that cannot be
    asked together: one twice, three side by side, or another number than the fusion needs.
    """

    request: SearchRequest
    choice: ModelChoice
    rerankers: tuple[str | None, ...]
    ensemble: Fusion | None = None
    keep_scores: bool = True

    def __post_init__(self) -> None:
        names = [name for name in self.rerankers if name is not None]
        if self.ensemble is not None and len(names) < 2:
            raise UsageError(
                "--fuse-rerankers needs two or more rerankers to fuse: name them with --reranker A --reranker B."
            )
        if self.ensemble is None and len(names) > 2:
            raise UsageError(
                f"{len(names)} rerankers were named; two are the most that are compared at once. --fuse-rerankers rrf "
                "fuses them all to one order."
            )
        _check_named_once(names, self.choice.access)
        if self.ensemble is not None:
            self.ensemble.fits(len(names))


def _check_named_once(names: Sequence[str], access: ServiceAccess) -> None:
    """Raise `UsageError` for a reranker that was named twice, be it by two of its names."""
    full = [full_name(name, access) for name in names] if len(names) > 1 else []
    for name in full:
        if full.count(name) > 1:
            raise UsageError(f"{name} was named twice; name another reranker to compare it with.")


def searcher_for(
    library: Library, question: Question, number: int = 0, encoder: Encoder | None = None
) -> Searcher:
    """A searcher with one of the question's rerankers; ``encoder`` is one that is loaded already.

    Raises `EncoderMismatchError`, `ModelError`.
    """
    choice = replace(question.choice, reranker=question.rerankers[number])
    models = resolve_models(choice, library, encoder)
    return open_searcher(library, models, keep_scores=question.keep_scores)


@dataclass(frozen=True, slots=True)
class OtherAnswer:
    """What a second reranker, B, made of the first look."""

    part: Part

    @property
    def result(self) -> SearchResult | None:
        """The answer; ``None`` where there is none."""
        return self.part.result

    @property
    def title(self) -> str:
        """B in a word or two."""
        reranker = self.result.models.reranker if self.result is not None else None
        return model_title(reranker) if reranker is not None else reranker_title(self.part.name)

    @property
    def after(self) -> SearchResult | None:
        """The answer, where there is a second order in it."""
        return self.result if self.part.reranked else None

    def notices(self, one: SearchResult) -> list[Notice]:
        """What is to be said of B, and was not said of A."""
        notices = [] if self.part.failure is None else [self.part.failure]
        notices += self.result.notices if self.result is not None else ()
        return [notice.of(f"B, {self.title}") for notice in notices if notice not in one.notices]

    def agreement(self, one: SearchResult, top_k: int) -> str:
        """How A and B agree on the first ``top_k`` places, as a sentence; empty where only one has an order."""
        agreed = agreement(one, self.after, top_k) if self.after is not None else None
        return agreement_sentence(agreed) if agreed is not None else ""


def other_answer(library: Library, question: Question, first: FirstLook, encoder: Encoder) -> OtherAnswer:
    """The second reranker on the candidates of ``first``; whatever goes wrong with it leaves A's answer as it is.

    ``encoder`` is A's, which is loaded already.
    """
    name = question.rerankers[1] or ""
    try:
        searcher = searcher_for(library, question, 1, encoder)
        result = searcher.second_look(first, plan=question.request.plan)
    except SecondLookError as error:
        return OtherAnswer(Part(name, None, unavailable(error)))
    reranker = result.models.reranker
    return OtherAnswer(Part(reranker.name if reranker else name, result))


def fused_answer(library: Library, question: Question) -> SearchResult:
    """All rerankers on one first look, fused.

    One that cannot be opened is left out as one that fails is. Raises the error of the first where none can be opened,
    and `UsageError` where the question fuses nothing.
    """
    if question.ensemble is None:
        raise UsageError("There is nothing to fuse.")
    names = [name or "" for name in question.rerankers]
    searchers: dict[str, Searcher] = {}
    failures: dict[str, SecondLookError] = {}
    for number, name in enumerate(names):
        # The encoder is the same for all, and is loaded once.
        encoder = next((searcher.encoder for searcher in searchers.values()), None)
        try:
            searchers[name] = searcher_for(library, question, number, encoder)
        except SecondLookError as error:
            failures[name] = error
    if not searchers:
        raise next(iter(failures.values()))
    first = next(iter(searchers.values())).first_look(question.request)
    looks = {part.name: part for part in second_looks(searchers, first, question.request.plan)}
    parts = [looks.get(name) or Part(name, None, unavailable(failures[name])) for name in names]
    return fuse(first, parts, question.ensemble)
