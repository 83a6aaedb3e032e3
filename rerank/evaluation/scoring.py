"""Raw scores for every query of a judged set, from the cache where they stand and else from the models.

One scoring of the deepest list serves every depth, fusion and mix: those are arithmetic (`systems`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.errors import ModelError, RerankError
from ingest.library.library import Library
from ingest.notices import Notice
from ingest.records import digest
from rerank.evaluation.cache import EvaluationCache, LookEntry, ScoreEntry, look_prefix, score_prefix
from rerank.judged.dataset import document_id
from rerank.notices import not_reranked
from rerank.order import check_scores
from rerank.records import FirstLook
from rerank.request import DEFAULT_CANDIDATES, SearchRequest
from rerank.scorers.base import Scorer
from rerank.search import OnProgress, Searcher
from retrieval.records import Candidate, CandidateSource

# Enough to tell the passages of one query apart, in a cache that holds a hundred a query.
DIGITS = 24
# Documents that a first look lists, since recall@100 needs a hundred of them, however few passages are reranked.
LISTED = 100


@dataclass(frozen=True, slots=True)
class ScoredQuery:
    """One query's candidates, best first, and one reranker's scores for the first d of them.

    Behind those that may be scored there are only the best passages of further documents. ``documents`` names the
    document of each of the n candidates; ``cosines`` is (n,) float32, and so is ``firsts``, what the first look
    ordered by (``None``: the cosines).
    ``logits`` (float32) and ``tokens`` are (d,), d ≤ n; ``look_ms`` is the first look's time and
    ``scoring_ms`` that of reading all of ``tokens``. ``failure`` says why there are no logits (d = 0).
    """

    documents: tuple[str, ...]
    cosines: NDArray[np.float32]
    logits: NDArray[np.float32]
    tokens: NDArray[np.int64]
    look_ms: float
    scoring_ms: float
    failure: Notice | None = None
    firsts: NDArray[np.float32] | None = None

    @property
    def ordered_by(self) -> NDArray[np.float32]:
        """What the first look ordered by, (n,)."""
        return self.cosines if self.firsts is None else self.firsts

    def milliseconds(self, depth: int) -> float:
        """What a search with the first ``depth`` candidates reranked takes.

        The scoring was timed whole; ``depth`` has the share of it that its tokens have, padding left out of account.
        """
        tokens_in_all = float(self.tokens.sum())
        share = float(self.tokens[:depth].sum()) / tokens_in_all if tokens_in_all else 1.0
        return self.look_ms + self.scoring_ms * share


def score_queries(
    queries: Mapping[str, str],
    library: Library,
    searcher: Searcher,
    depth: int,
    on_progress: OnProgress | None = None,
    source: CandidateSource = CandidateSource.VECTORS,
) -> dict[str, ScoredQuery]:
    """``{query id: scored}`` for ``{query id: text}``: the first ``depth`` candidates of each scored.

    Listed are those, and as many more as give `LISTED` documents, or all there are: what stands before does not
    depend on the depth. ``searcher`` answers on ``library``; ``depth`` 0 asks no reranker. Raises `ModelError` where
    one is needed and there is none, `UsageError` for a query that cannot be asked. A query whose scoring
    fails is told in `ScoredQuery.failure` and tried again next time.
    """
    if depth and searcher.scorer is None:
        raise ModelError("There is no reranker to score with.")
    scored: dict[str, ScoredQuery] = {}
    with EvaluationCache(library.folder) as cache:
        query_scorer = _QueryScorer(cache, searcher, library, source)
        for number, (query, text) in enumerate(queries.items(), start=1):
            scored[query] = query_scorer.score(text, depth)
            if on_progress is not None:
                on_progress(number, len(queries))
    return scored


def best_passages(documents: Iterable[str]) -> tuple[str, ...]:
    """Document ids in the order of each one's best passage (MaxP), without repeats.

    After Dai and Callan, "Deeper Text Understanding for IR with Contextual Neural Language Modeling" (2019).
    """
    return tuple(dict.fromkeys(documents))


class _QueryScorer:
    """One reranker's scores for one library: looked up in the cache, and made where it lacks them."""

    def __init__(
        self, cache: EvaluationCache, searcher: Searcher, library: Library, source: CandidateSource
    ) -> None:
        self._cache, self._searcher, self._source = cache, searcher, source
        self._library, self._generation = library, library.generation()
        self._look_prefix = look_prefix(self._generation, searcher.models.encoder, source)
        self._score_prefix = score_prefix(searcher.scorer) if searcher.scorer is not None else ""
        self._documents = min(LISTED, len({document_id(document.path) for document in library.documents()}))

    def score(self, text: str, depth: int) -> ScoredQuery:
        """The candidates of one query, scored; see `score_queries`."""
        key = digest(self._score_prefix, text)
        scores, look, failure = self._cache.scores(key), self._look(text, depth), None
        passages = look.passages[:depth]
        scorer = self._searcher.scorer
        if scorer is not None and not set(passages) <= set(scores.passages):
            try:
                scores = self._scored(scorer, text, passages, scores)
                self._cache.put(key, scores)
            except (RerankError, ModelError, RuntimeError, ValueError, MemoryError) as error:
                failure = not_reranked(error)
        rows = [] if failure else [scores.passages[passage] for passage in passages]
        # A deeper look that was kept holds more passages of the same documents.
        listed = max(depth, _reaching(look.documents, LISTED))
        return ScoredQuery(
            look.documents[:listed],
            np.array(look.cosines[:listed], dtype=np.float32),
            np.array([logit for logit, _ in rows], dtype=np.float32),
            np.array([tokens for _, tokens in rows], dtype=np.int64),
            look_ms=look.milliseconds,
            scoring_ms=_share(scores, rows),
            failure=failure,
            firsts=np.array(look.firsts[:listed], dtype=np.float32),
        )

    def _look(self, text: str, depth: int) -> LookEntry:
        key = digest(self._look_prefix, text)
        look = self._cache.look(key)
        if look is None or look.asked < depth:
            look = self._listed(text, depth)
            if (
                self._library.generation() == self._generation
            ):  # else it is another's, and would be found as this one's
                self._cache.put(key, look)
        return look

    def _listed(self, text: str, depth: int) -> LookEntry:
        """The first ``depth`` candidates or more, then the best passages of documents until there are enough."""
        candidates: list[Candidate] = []
        chunk_ids, documents, gapless_depth, milliseconds = set[int](), set[str](), 0, 0.0
        for first in self._looks(text):
            gapless = len(candidates) < max(depth, 1)
            for candidate in first.before:
                new = document_id(candidate.chunk.path) not in documents
                if candidate.chunk.id not in chunk_ids and (gapless or new):
                    candidates.append(candidate)
                    documents.add(document_id(candidate.chunk.path))
                chunk_ids.add(candidate.chunk.id)
            if gapless:
                gapless_depth, milliseconds = len(candidates), first.timings.total
            if len(candidates) >= depth and len(documents) >= self._documents:
                break
        return _entry(candidates, max(gapless_depth, depth), milliseconds)

    def _looks(self, text: str) -> Iterator[FirstLook]:
        """First looks at twice as many passages each time, until one has all there are.

        Always by the same steps, so that passages come in the same order however many are wanted: ties, and fusions
        of both sources, may else fall otherwise.
        """
        count = DEFAULT_CANDIDATES
        while True:
            first = self._searcher.first_look(SearchRequest(text, count, self._source))
            yield first
            if len(first.before) < count:
                return
            count *= 2

    def _scored(self, scorer: Scorer, text: str, names: tuple[str, ...], earlier: ScoreEntry) -> ScoreEntry:
        """``earlier`` with what is missing of ``names``; raises `RerankError` where they order nothing."""
        texts: dict[str, str] = {}
        for first in self._looks(text):
            passages_of_look = (candidate.chunk.passage for candidate in first.before)
            texts |= {_name(passage): passage for passage in passages_of_look}
            if texts.keys() >= set(names):
                break
        else:
            raise RerankError("the library was written to while it was evaluated")
        missing = {name: texts[name] for name in names if name not in earlier.passages}
        started = time.perf_counter()
        scores = scorer.score(text, list(missing.values()))
        elapsed = (time.perf_counter() - started) * 1e3
        rows = zip(scores.logits.tolist(), scores.tokens.tolist(), strict=True)
        passages = {**earlier.passages, **dict(zip(missing, rows, strict=True))}
        check_scores(np.array([passages[name][0] for name in names], dtype=np.float32), len(names))
        return ScoreEntry(passages, earlier.milliseconds + elapsed)


def _entry(candidates: list[Candidate], depth: int, milliseconds: float) -> LookEntry:
    return LookEntry(
        tuple(document_id(candidate.chunk.path) for candidate in candidates),
        tuple(_name(candidate.chunk.passage) for candidate in candidates),
        tuple(candidate.score for candidate in candidates),
        tuple(candidate.ordered_by for candidate in candidates),
        milliseconds,
        depth,
    )


def _reaching(documents: tuple[str, ...], count: int) -> int:
    """How many candidates it takes until ``count`` documents are listed; all where there are fewer."""
    listed = set[str]()
    for place, document in enumerate(documents, start=1):
        listed.add(document)
        if len(listed) == count:
            return place
    return len(documents)


def _share(scores: ScoreEntry, rows: list[tuple[float, int]]) -> float:
    """Milliseconds of reading ``rows``, of all that was read for the query."""
    tokens_in_all = sum(tokens for _, tokens in scores.passages.values())
    return (
        scores.milliseconds * sum(tokens for _, tokens in rows) / tokens_in_all
        if tokens_in_all
        else scores.milliseconds
    )


def _name(passage: str) -> str:
    return digest(passage)[:DIGITS]
