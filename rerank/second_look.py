"""The second look in slices: an order so far after each, a time budget, an end once the first places stand still.

An anytime algorithm in the sense of Zilberstein, "Using Anytime Algorithms in Intelligent Systems" (AI Magazine
17(3), 1996): it can be stopped after any slice, and every slice makes the answer better.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from time import perf_counter

import numpy as np

from ingest.models.spec import ModelSpec
from ingest.notices import Notice, NoticeKind
from rerank.order import check_numbers, order
from rerank.records import FirstLook, RankedHit, SearchResult, Stopped
from rerank.request import WHOLE, SecondLookPlan
from rerank.scheduler import Ticket
from rerank.scorers.base import OnBatch, Scorer, empty_scores, joined
from rerank.scorers.windowed import window_places

# Passages a slice, in the bi-encoder's order. Ten come first, so that there is a useful second order as soon as a
# page of results has been read; then 25 passages in all, a quarter of the default hundred, and 25 more each time.
# Smaller slices would be heard more often but would cost: a scorer sorts a slice by length and cuts it into batches
# of some ten passages, so that a slice of 25 still fills two or three, and only its last one is not full. What
# the slices of 100 passages cost together, against one call: tests/benchmarks/results/anytime.txt.
FIRST_SLICES, LATER_SLICE = (10, 15), 25
# A rest smaller than this joins the slice before it.
SMALLEST_REST = 10
# The last slice within a time budget is cut to what fits; fewer passages than this are not worth a call.
FEWEST_THAT_FIT = 5

OnPartial = Callable[[SearchResult], None]


def slices(count: int) -> list[int]:
    """How many of ``count`` candidates each slice scores, in order; together all of them."""
    sizes: list[int] = []
    left = count
    while left:
        usual = FIRST_SLICES[len(sizes)] if len(sizes) < len(FIRST_SLICES) else LATER_SLICE
        sizes.append(usual if left >= usual + SMALLEST_REST else left)
        left -= sizes[-1]
    return sizes


def score_in_slices(
    first: FirstLook,
    scorer: Scorer,
    spec: ModelSpec,
    plan: SecondLookPlan = WHOLE,
    *,
    on_batch: OnBatch | None = None,
    on_partial: OnPartial | None = None,
    ticket: Ticket | None = None,
) -> SearchResult:
    """Score the candidates of ``first``, in its order, as far as ``plan`` goes; at least one candidate is needed.

    ``on_batch`` hears how many more are scored, and ``on_partial`` the order so far after every slice but the
    last; what they raise ends the work. Where nobody listens and nothing can end it early, all candidates are one
    slice, which is fastest. With a ``ticket`` each slice waits for its turn: a time budget counts that, the time that
    scoring took does not. Raises `RerankError` for unusable scores, and whatever the scorer raises.
    """
    run = _Run(first, scorer, spec, plan, on_batch, ticket)
    total = len(first.before)
    for usual in slices(total) if on_partial is not None or plan.may_end_early else [total]:
        size = run.affordable(usual)
        if not size:
            break
        run.score(size)
        if run.count == total:
            return run.result()
        if plan.stop_when_stable is not None and plan.stop_when_stable.met(run.tops):
            return run.result(Stopped.STABLE)
        if on_partial is not None and run.after:
            on_partial(run.result())
    return run.result(Stopped.BUDGET)


class _Run:
    """One second look under way: the scores of the first ``count`` candidates, and their order."""

    def __init__(
        self,
        first: FirstLook,
        scorer: Scorer,
        spec: ModelSpec,
        plan: SecondLookPlan,
        on_batch: OnBatch | None,
        ticket: Ticket | None,
    ) -> None:
        self._first, self._scorer, self._spec = first, scorer, spec
        self._plan, self._on_batch, self._ticket = plan, on_batch, ticket
        self._started = perf_counter()
        self._scores = empty_scores()
        self._counts = [0]  # candidates scored at the start and after each slice
        self.after: tuple[RankedHit, ...] = ()
        self.tops: list[tuple[int, ...]] = []

    @property
    def count(self) -> int:
        """How many candidates are scored."""
        return self._counts[-1]

    @property
    def _elapsed_ms(self) -> float:
        return (perf_counter() - self._started) * 1e3

    def affordable(self, size: int) -> int:
        """How many of the next ``size`` candidates fit into what is left of the budget; 0 where it is not worth it.

        At the pace so far. How many tokens a passage has is known only once the scorer has read it, so the
        pace is taken per character, which the tokens of one library's passages go along with.
        """
        # Scores known from before took no time, and say nothing of the pace.
        ran = self.count - self._scores.cached
        if self._plan.budget_ms is None or not ran:
            return size
        lengths = np.array([len(candidate.chunk.passage) for candidate in self._first.before], dtype=np.int64)
        elapsed = self._elapsed_ms
        pace = elapsed / max(int(lengths[: self.count].sum()) * ran / self.count, 1)
        expected = pace * np.cumsum(lengths[self.count : self.count + size])
        fitting = int(np.searchsorted(expected, self._plan.budget_ms - elapsed, side="right"))
        return fitting if fitting >= min(FEWEST_THAT_FIT, size) else 0

    def score(self, size: int) -> None:
        """Score the next ``size`` candidates. Raises `RerankError` for a wrong number of scores, or none at all.

        Scores that are all the same so far give no order yet, but are no error before the end.
        """
        passages = [c.chunk.passage for c in self._first.before[self.count : self.count + size]]
        with self._ticket.turn() if self._ticket is not None else nullcontext():
            scores = self._scorer.score(self._first.query, passages, self._on_batch)
        check_numbers(scores.logits, size)
        self._scores = joined(self._scores, scores)
        self._counts.append(self.count + size)
        if np.ptp(self._scores.logits) > 0:
            self.after = self._order()
            self.tops.append(tuple(hit.candidate.chunk.id for hit in self.after))

    def _order(self) -> tuple[RankedHit, ...]:
        scored = self._first.before[: self.count]
        return order(scored, self._scores.logits, self._spec, self._plan.fusion)

    def result(self, stopped: Stopped | None = None) -> SearchResult:
        """The order so far. Raises `RerankError` where there is none, because all scores are the same."""
        first, elapsed = self._first, self._elapsed_ms
        waited, noted = (self._ticket.waited_ms, self._ticket.notices) if self._ticket else (0.0, ())
        scored = first.before[: self.count]
        cut = zip(scored, self._scores.truncated.tolist(), strict=True)
        return SearchResult(
            first.query,
            first.before,
            self.after or self._order(),
            replace(first.timings, rerank=elapsed - waited),
            models=first.models,
            notices=(*first.notices, *noted, *self._notice(stopped, elapsed), *self._in_part()),
            tokens=tuple(self._scores.tokens.tolist()),
            truncated=frozenset(candidate.chunk.id for candidate, is_cut in cut if is_cut),
            stopped=stopped,
            windows=window_places(scored, self._scores.windows),
            cached=self._scores.cached,
            source=first.source,
            fusion=self._plan.fusion,
        )

    def _in_part(self) -> tuple[Notice, ...]:
        """How many passages were not read whole; nothing where all were."""
        count = sum(window is not None for window in self._scores.windows)
        if not count:
            return ()
        which = "1 passage is" if count == 1 else f"{count} passages are"
        text = f"{which} long, and the reranker read the part with most of the question’s words."
        return (Notice(NoticeKind.WINDOWED, text),)

    def _notice(self, stopped: Stopped | None, elapsed: float) -> tuple[Notice, ...]:
        """Why not every candidate is in the second look; nothing where every one is."""
        plan, scored = self._plan, f"{self.count} of {len(self._first.before)} passages were scored"
        others = "the others are not in the second look."
        if stopped is Stopped.BUDGET and plan.budget_ms is not None:
            allowed = f"{plan.budget_ms:,.0f} ms"
            over = elapsed > 1.1 * plan.budget_ms
            time = (
                f", in {elapsed:,.0f} ms where {allowed} were allowed"
                if over
                else f" in the {allowed} allowed"
            )
            return (Notice(NoticeKind.STOPPED, f"{scored}{time}; {others}"),)
        if stopped is Stopped.STABLE and plan.stop_when_stable is not None:
            rule = plan.stop_when_stable
            quiet = self.count - self._counts[-1 - rule.slices]
            text = (
                f"{scored}: the last {quiet} of them changed none of the first {rule.top_k} places; {others}"
            )
            return (Notice(NoticeKind.STOPPED, text),)
        return ()
