"""The running verdict: does reranking help on what this library's people judged?

Only judged passages count: each order is cut down to them and then measured (condensed lists: Sakai, "Alternatives to
Bpref", SIGIR 2007). People judge a handful of the hundred candidates, and taking all others for not relevant, as
trec_eval does where judges read whole pools, would reward the order that was judged from. A query tells something only
where two of its passages are graded differently; else every order scores the same, and it is left out.

No model runs: places are noted while judging, and are those of one pair of models.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from math import ceil
from operator import attrgetter
from statistics import NormalDist, fmean, stdev

from ingest.library.label_records import Grade, ModelPair, Places
from ingest.library.labels import Labels
from rerank.judged.measures import measure
from rerank.judged.records import VERDICT_MEASURE, Difference, Verdict
from rerank.judged.significance import difference

# Fewer queries give no verdict, whatever they say: they are too few to stand for what else will be asked.
MIN_QUERIES = 10
# Stricter than the 0.05 of an evaluation, which is looked at once. Looked at after every query from the tenth to the
# hundredth, 0.05 calls chance a verdict in 27 of 100 series of queries, 0.01 in 6 (simulated:
# tests/unit/rerank/labels).
SIGNIFICANT = 0.01
# A smaller difference in nDCG@10 is not worth judging on for.
SMALLEST_WORTHWHILE = 0.05
POWER = 0.8

Judgements = Mapping[str, Mapping[str, Grade]]
Seen = Mapping[str, Mapping[str, Places]]


@dataclass(frozen=True, slots=True)
class RunningVerdict:
    """What the labels say of one pair of models so far.

    ``queries`` counts those that tell something (see above), ``alike`` those whose judged passages are all graded the
    same, and ``unseen`` those that this pair was never asked. ``before`` and ``after`` are mean nDCG@10 over
    ``queries``, and ``difference`` is ``None`` where there are none. ``more`` is about how many further telling
    queries a verdict takes, 0 where there is one or where a worthwhile difference would have shown.
    """

    pair: ModelPair
    queries: int
    alike: int
    unseen: int
    before: float
    after: float
    difference: Difference | None
    verdict: Verdict
    more: int

    @property
    def sentence(self) -> str:
        """The verdict for people, of which models, and what it rests on."""
        return f"{self._finding} Of {self.pair.reranker} after {self.pair.encoder}, on judged passages only."

    @property
    def _finding(self) -> str:
        gain = self.difference
        if gain is None:
            return f"Not enough labels yet: no question has passages of different grades; judge about {self.more} such."
        figures = f"nDCG@10 {self.before:.3f} → {self.after:.3f} ({gain.mean:+.3f}, p = {gain.p:.3f})"
        figures += f" over {self.queries} question{'' if self.queries == 1 else 's'}"
        if self.verdict is not Verdict.UNDECIDED:
            return f"Reranking {self.verdict} here: {figures}."
        if self.more:
            return f"Not enough labels yet: {figures}; about {self.more} more questions should tell."
        return (
            f"Undecided: {figures}. A difference of {SMALLEST_WORTHWHILE} would probably have shown by now."
        )


def running_verdicts(labels: Labels) -> list[RunningVerdict]:
    """A verdict for every pair of models that judged questions were asked of, the best supported first."""
    return [running_verdict(labels, pair) for pair in labels.pairs()]


def running_verdict(labels: Labels, pair: ModelPair) -> RunningVerdict:
    """The verdict on one pair of models, from what the store holds: milliseconds a query, and no model."""
    return weigh(pair, labels.judgements(), labels.places(pair))


def weigh(pair: ModelPair, judged: Judgements, places: Seen) -> RunningVerdict:
    """The verdict on ``judged`` passages (``{query: {hash: grade}}``) at their ``places`` by ``pair``.

    A judged passage without a place was not among the candidates: neither order could show it, and it does not count.
    """
    grades_with_places = {
        query: {name: int(grades[name]) for name in places[query] if name in grades}
        for query, grades in judged.items()
        if query in places
    }
    telling = {query: grades for query, grades in grades_with_places.items() if len(set(grades.values())) > 1}
    before = _figures(telling, places, attrgetter("before"))
    after = _figures(telling, places, attrgetter("after"))
    gains = [after[query] - before[query] for query in telling]
    gain = difference(list(before.values()), [after[query] for query in before]) if telling else None
    verdict = _verdict(gain, len(telling))
    return RunningVerdict(
        pair, len(telling), len(grades_with_places) - len(telling), len(judged) - len(grades_with_places),
        before=fmean(before.values()) if telling else 0.0, after=fmean(after.values()) if telling else 0.0,
        difference=gain, verdict=verdict, more=0 if verdict is not Verdict.UNDECIDED else queries_needed(gains),
    )  # fmt: skip


def _figures(
    telling: Mapping[str, Mapping[str, int]], places: Seen, rank: Callable[[Places], int]
) -> dict[str, float]:
    """nDCG@10 of every query's condensed list: its judged passages in the order of ``rank``, without gaps."""
    if not telling:
        return {}
    orders = {query: _by_rank(places[query], rank, grades) for query, grades in telling.items()}
    return dict(measure(telling, orders)[VERDICT_MEASURE])


def _by_rank(places: Mapping[str, Places], rank: Callable[[Places], int], names: Container[str]) -> list[str]:
    return [name for name in sorted(places, key=lambda name: rank(places[name])) if name in names]


def _verdict(gain: Difference | None, queries: int) -> Verdict:
    if gain is None or queries < MIN_QUERIES or gain.p >= SIGNIFICANT:
        return Verdict.UNDECIDED
    return Verdict.HELPS if gain.mean > 0 else Verdict.HURTS


def queries_needed(gains: list[float]) -> int:
    """About how many more queries it takes to tell, from the differences in nDCG@10 seen so far, shape (n,).

    The sample size of a paired comparison, n = ((z₁₋α⁄₂ + z_power) · s / δ)², with the standard deviation s of the
    differences so far (normal approximation of Sakai, "Topic Set Size Design", Information Retrieval Journal 2016).
    δ is the smallest difference worth finding, or the mean seen so far where that is larger: the mean alone would
    promise a verdict on nothing (Hoenig and Heisey, "The Abuse of Power", The American Statistician 2001).
    """
    least = max(0, MIN_QUERIES - len(gains))
    if len(gains) < 2:
        return least
    normal = NormalDist()
    reach = normal.inv_cdf(1 - SIGNIFICANT / 2) + normal.inv_cdf(POWER)
    worthwhile = max(SMALLEST_WORTHWHILE, abs(fmean(gains)))
    return max(least, ceil((reach * stdev(gains) / worthwhile) ** 2) - len(gains))
