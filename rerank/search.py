"""The query path, the same for the page and the command line: retrieve → score → order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

from ingest.encoders.base import Encoder
from ingest.errors import CancelledError, SecondLookError, UsageError
from ingest.models.consent import is_service
from ingest.models.spec import ModelSpec
from ingest.notices import Notice
from ingest.records import Chunk
from ingest.runtime.memory import give_back_at_times
from ingest.services.billing import billing
from rerank.languages import LanguageWarnings
from rerank.notices import cost_notices, not_reranked, whole_notices, with_mix_notice
from rerank.records import FirstLook, Models, SearchResult, Timings
from rerank.request import WHOLE, SearchRequest, SecondLookPlan
from rerank.scheduler import OnWait, Scheduler
from rerank.scorers.base import Scorer
from rerank.scorers.cached import CachedScorer
from rerank.scorers.highlight import best_sentences
from rerank.scorers.score_store import ScoreStore
from rerank.second_look import OnPartial, score_in_slices
from retrieval.retriever import Retriever

log = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]


class Searcher:
    """Answers queries on one library with one pair of models. Safe to share between threads."""

    def __init__(
        self,
        retriever: Retriever,
        scorer: Scorer | None,
        notices: tuple[Notice, ...] = (),
        store: ScoreStore | None = None,
    ) -> None:
        """``scorer`` is ``None`` where no reranker could be loaded; ``notices`` come with every answer.

        Scores are looked up in ``store`` and kept there; without one, every second look runs the model.
        """
        self._retriever = retriever
        self._scorer = scorer
        self._second = CachedScorer(scorer, store) if scorer and store else scorer
        self._notices = notices
        self._scheduler = Scheduler()
        reranker, window = (scorer.model, scorer.window) if scorer else (None, None)
        self.models = Models(retriever.encoder.model, reranker, window)
        ranking = [model.spec for model in (self.models.encoder, self.models.reranker) if model is not None]
        self._languages = LanguageWarnings(retriever.library, ranking)
        self._has_run = False  # the reranker, since it was loaded
        self._spec = scorer.model.spec if scorer else None
        if self._spec is not None and not self._mixes():
            # The weight was fitted to one encoder's cosines; another's spread differently.
            self._spec = replace(self._spec, bi_weight=0.0)

    def _mixes(self) -> bool:
        reranker = self.models.reranker
        return reranker is not None and reranker.spec.bi_encoder == self.models.encoder.name

    @property
    def scorer(self) -> Scorer | None:
        """The reranker, for those who need raw scores (an evaluation keeps them); ``None`` where none loaded.

        It runs the model whatever the store of scores holds, so that it may be timed.
        """
        return self._scorer

    @property
    def spec(self) -> ModelSpec | None:
        """How the reranker's scores make the order here: its own spec, without the mix for another encoder."""
        return self._spec

    @property
    def encoder(self) -> Encoder:
        """The bi-encoder, for those who add documents or mark sentences with it."""
        return self._retriever.encoder

    def search(self, request: SearchRequest, on_progress: OnProgress | None = None) -> SearchResult:
        """Both looks at once; ``on_progress`` as in `second_look`."""
        return self.second_look(self.first_look(request), on_progress, request.plan)

    def first_look(self, request: SearchRequest) -> FirstLook:
        """The best passages by the request's source, as many as it asks for; some tens of milliseconds."""
        query, source = request.query, request.source
        with billing() as bill:
            retrieved = self._retriever.retrieve(query, request.candidates, source)
        timings = Timings(retrieved.encode_ms, retrieved.retrieve_ms)
        return FirstLook(
            query,
            retrieved.candidates,
            timings,
            self.models,
            self._of_models(query) + retrieved.notices + cost_notices(bill),
            source,
        )

    def second_look(
        self,
        first: FirstLook,
        on_progress: OnProgress | None = None,
        plan: SecondLookPlan = WHOLE,
        on_partial: OnPartial | None = None,
        on_wait: OnWait | None = None,
    ) -> SearchResult:
        """Score the candidates of the first look and order them, as far as ``plan`` lets it go.

        ``on_progress`` hears how many of how many passages are scored, and ``on_partial`` the order so far while
        the work goes on. Second looks of several threads take turns (see `rerank.scheduler`); while this one waits,
        ``on_wait`` hears how many come before it. What these raise ends the work.
        A failure, in whichever slice, leaves the first order with a notice: an order of
        some of the passages that nobody asked for would look like an answer. ``first`` may be another searcher's on
        the same library, so that two rerankers order the same candidates: the answer is then of this one's models.
        """
        first = self._taken_up(first)
        if self._second is None or self._spec is None or not first.before:
            return _not_reranked(first)
        if is_service(self._second.model):
            # Each request is billed and costs a round trip, so that all passages go in one.
            first = replace(first, notices=first.notices + whole_notices(self._second.model, plan))
            plan, on_partial = replace(WHOLE, fusion=plan.fusion), None
        counter, cold = _counter(first, on_progress), not self._has_run
        with billing() as bill:
            try:
                look = with_mix_notice(first, plan.fusion)
                # Requests to a service need not wait for each other.
                place = nullcontext() if is_service(self._second.model) else self._scheduler.ticket(on_wait)
                with place as ticket:
                    result = score_in_slices(
                        look,
                        self._second,
                        self._spec,
                        plan,
                        on_batch=counter,
                        on_partial=on_partial,
                        ticket=ticket,
                    )
                self._has_run = self._has_run or result.scored > result.cached
            except (CancelledError, UsageError):
                raise
            except Exception as error:
                # Of ours the sentence is all; what a service answered is nobody's to log.
                trace = None if isinstance(error, SecondLookError) else error
                log.warning("reranking failed: %s", error, exc_info=trace)
                result = _not_reranked(first, not_reranked(error))
        give_back_at_times()  # each thread that scored holds on to what it needed
        return replace(result, notices=result.notices + cost_notices(bill), cold=cold)

    def mark(
        self, query: str, chunks: Sequence[Chunk], on_wait: OnWait | None = None
    ) -> dict[int, tuple[int, int]]:
        """The sentences that answer best (see `best_sentences`), found when no second look wants its turn."""
        with self._scheduler.ticket(on_wait, last=True) as ticket, ticket.turn():
            return best_sentences(query, chunks, self.encoder)

    def _taken_up(self, first: FirstLook) -> FirstLook:
        """The first look as one of these models: what was said of another pair's is not repeated."""
        if first.models == self.models:
            return first
        others = tuple(notice for notice in first.notices if not notice.kind.of_models)
        return replace(first, models=self.models, notices=self._of_models(first.query) + others)

    def _of_models(self, query: str) -> tuple[Notice, ...]:
        """What is to be said of these models with every answer, and of their languages with this one."""
        return self._notices + self._languages.of(query)


def _not_reranked(first: FirstLook, *notices: Notice) -> SearchResult:
    return SearchResult(
        first.query,
        first.before,
        (),
        first.timings,
        first.models,
        (*first.notices, *notices),
        source=first.source,
    )


def _counter(first: FirstLook, on_progress: OnProgress | None) -> Callable[[int], None]:
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        if on_progress is not None:
            on_progress(done, len(first.before))

    return count
