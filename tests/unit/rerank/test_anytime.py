"""The second look in slices, on a clock that the scorer moves: what is heard, when it ends, what it then says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import CancelledError, RerankError, UsageError
from ingest.notices import Notice, NoticeKind
from rerank.records import FirstLook, SearchResult, Stopped
from rerank.request import SecondLookPlan, StableRule
from rerank.scorers.base import Scores
from rerank.search import Searcher
from rerank.second_look import score_in_slices, slices
from retrieval.records import Candidate
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WORD_SCORER, WordScorer
from tests.parts import looks

MS_PER_PASSAGE = 10.0

SAID = Notice(NoticeKind.COST, "Said before.")


class Paced(WordScorer):
    """Scores by the number that a passage ends with; each passage takes ten milliseconds of a clock of its own."""

    def __init__(self, judge: Callable[[int], float]) -> None:
        super().__init__()
        self.judge, self.now = judge, 0.0

    def clock(self) -> float:
        return self.now

    def score(
        self, query: str, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> Scores:
        counted = super().score(query, passages, on_batch)
        self.now += MS_PER_PASSAGE / 1e3 * len(passages)
        numbers = [int(passage[-3:]) for passage in passages]
        logits = np.array([self.judge(number) for number in numbers], dtype=np.float32)
        tokens = np.array(numbers, dtype=np.int64)
        return replace(counted, logits=logits, tokens=tokens, truncated=tokens % 7 == 0)


def first_look(count: int) -> FirstLook:
    """``count`` candidates whose passages are equally long; the first is number 1."""
    passages = [looks.chunk(n, f"passage {n:03d}", title="T") for n in range(1, count + 1)]
    before = tuple(Candidate(passage, n, 1 - n / 1000) for n, passage in enumerate(passages, start=1))
    found = looks.search(before, [])
    return FirstLook("a question", before, found.timings, found.models, (SAID,))


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SearchResult]:
    """`look(judge, count=100, plan=…, heard=[…])`: a second look by ``judge`` on the scorer's own clock."""

    def look_(
        judge: Callable[[int], float],
        count: int = 100,
        heard: list[SearchResult] | None = None,
        **plan: object,
    ) -> SearchResult:
        scorer = Paced(judge)
        monkeypatch.setattr("rerank.second_look.perf_counter", scorer.clock)
        listen = None if heard is None else heard.append
        return score_in_slices(
            first_look(count),
            scorer,
            WORD_SCORER,
            SecondLookPlan(**plan),
            on_partial=listen,  # type: ignore[arg-type]
        )

    return look_


def as_before(number: int) -> float:
    return -float(number)


def reversed_order(number: int) -> float:
    return float(number)


def places(result: SearchResult) -> list[int]:
    return [hit.candidate.chunk.id for hit in result.after]


@given(st.integers(0, 1000))
def test_slices_make_up_the_whole_and_none_is_too_small(count: int) -> None:
    sizes = slices(count)
    assert sum(sizes) == count
    assert all(size >= 10 for size in sizes) or sizes == [count]
    assert max(sizes, default=0) < 35


def test_a_hundred_candidates_are_heard_of_at_ten_and_at_every_quarter(
    look: Callable[..., SearchResult],
) -> None:
    heard: list[SearchResult] = []
    result = look(reversed_order, heard=heard)
    assert [partial.scored for partial in heard] == [10, 25, 50, 75]
    assert places(heard[0]) == list(range(10, 0, -1))
    assert [hit.rank for hit in heard[1].after] == list(range(1, 26))
    assert [candidate.chunk.id for candidate in heard[0].reordered[8:13]] == [2, 1, 11, 12, 13]
    assert [partial.timings.rerank for partial in heard] == pytest.approx([100, 250, 500, 750])
    assert not any(partial.complete or partial.stopped for partial in heard)
    assert result.complete
    assert result.notices == (SAID,)


def test_slices_find_what_one_call_finds(look: Callable[..., SearchResult]) -> None:
    def judge(number: int) -> float:
        return float(number * 37 % 101)

    whole, sliced = look(judge), look(judge, heard=[])
    assert sliced == whole
    assert sliced.tokens == tuple(range(1, 101))
    assert sliced.truncated == frozenset(range(7, 101, 7))


@pytest.mark.parametrize(
    ("budget", "scored", "words"),
    [
        (300, 30, "30 of 100 passages were scored in the 300 ms allowed;"),  # 25 took 250 ms; 5 more fit
        (
            290,
            25,
            "25 of 100 passages were scored in the 290 ms allowed;",
        ),  # 4 more would, and are not worth it
        (1, 10, "10 of 100 passages were scored, in 100 ms where 1 ms were allowed;"),
    ],
)
def test_a_spent_budget_gives_the_best_order_so_far_and_says_so(
    look: Callable[..., SearchResult], budget: float, scored: int, words: str
) -> None:
    result = look(reversed_order, budget_ms=budget)
    assert (result.scored, result.stopped, result.complete) == (scored, Stopped.BUDGET, False)
    assert places(result) == list(range(scored, 0, -1))
    assert len(result.before) == len(result.reordered) == 100
    assert result.tokens == tuple(range(1, scored + 1))
    assert result.truncated == frozenset(range(7, scored + 1, 7))
    assert result.notices[-1].text == f"{words} the others are not in the second look."
    assert result.cost_of(scored) == pytest.approx(result.timings.rerank)
    assert result.cost_of(100) == pytest.approx(1000)


def test_a_budget_that_suffices_is_not_spoken_of(look: Callable[..., SearchResult]) -> None:
    result = look(reversed_order, budget_ms=1000.5)
    assert (result.complete, result.stopped, result.notices) == (True, None, (SAID,))


@pytest.mark.parametrize(
    ("judge", "rule", "scored"),
    [
        (as_before, StableRule(1), 25),
        (as_before, StableRule(2), 50),
        (as_before, StableRule(4), 100),
        (
            lambda number: 5.0 if number == 20 else -number,
            StableRule(1),
            50,
        ),  # 20 comes in with the second slice
        (lambda number: 5.0 if number == 20 else -number, StableRule(2), 75),
        (
            lambda number: -11.5 if number == 20 else -number,
            StableRule(1, top_k=10),
            25,
        ),  # below the ten watched
        (lambda number: -11.5 if number == 20 else -number, StableRule(1, top_k=12), 50),
        (reversed_order, StableRule(1), 100),
    ],
)
def test_it_ends_when_the_first_places_have_stood_long_enough(
    look: Callable[..., SearchResult], judge: Callable[[int], float], rule: StableRule, scored: int
) -> None:
    result = look(judge, stop_when_stable=rule)
    assert result.scored == scored
    assert result.stopped == (Stopped.STABLE if scored < 100 else None)


def test_stability_is_said_in_passages(look: Callable[..., SearchResult]) -> None:
    assert look(as_before, stop_when_stable=StableRule(2)).notices[-1].text == (
        "50 of 100 passages were scored: the last 40 of them changed none of the first 10 places; the others are "
        "not in the second look."
    )


def test_equal_scores_are_an_error_only_of_all_that_is_scored(look: Callable[..., SearchResult]) -> None:
    heard: list[SearchResult] = []
    result = look(lambda number: 1.0 if number > 30 else 0.0, heard=heard)
    assert [partial.scored for partial in heard] == [50, 75], "ten equal scores are no order to show"
    assert places(result)[0] == 31
    with pytest.raises(RerankError, match="same score"):
        look(lambda number: 0.0, heard=heard)
    with pytest.raises(RerankError, match="same score"):
        look(lambda number: 1.0 if number > 30 else 0.0, budget_ms=100)


def test_what_the_listener_raises_ends_the_work() -> None:
    def listen(partial: SearchResult) -> None:
        raise CancelledError("Overtaken.")

    scorer = Paced(as_before)
    with pytest.raises(CancelledError):
        score_in_slices(first_look(100), scorer, WORD_SCORER, on_partial=listen)
    assert [count for _, count in scorer.calls] == [10]


@pytest.mark.parametrize("fault", [float("nan"), RuntimeError("out of memory")])
def test_a_failure_in_a_later_slice_leaves_the_first_order_and_no_half_answer(
    desk: Desk, fault: float | Exception
) -> None:
    def judge(number: int) -> float:
        if number == 40 and isinstance(fault, Exception):
            raise fault
        return fault if number == 40 and isinstance(fault, float) else float(number)

    heard: list[SearchResult] = []
    searcher = Searcher(Retriever(desk.library, desk.encoder), Paced(judge))
    result = searcher.second_look(first_look(100), on_partial=heard.append)
    assert [partial.scored for partial in heard] == [10, 25]
    assert (result.reranked, result.stopped, result.tokens) == (False, None, ())
    assert result.reordered == result.before
    assert result.notices[-1].kind is NoticeKind.NOT_RERANKED


@pytest.mark.parametrize("budget", [0, -5, 0.5, float("nan"), float("inf")])
def test_nonsense_is_refused(budget: float) -> None:
    with pytest.raises(UsageError, match="1 ms or more"):
        SecondLookPlan(budget)
    with pytest.raises(UsageError, match="1 slice or more"):
        StableRule(0)


def test_a_second_order_holds_candidates_only_and_each_once() -> None:
    result = looks.search(looks.candidates(5), [2, 1])
    with pytest.raises(ValueError, match="twice"):
        replace(result, after=(result.after[0], result.after[0]))
    with pytest.raises(ValueError, match="does not hold"):
        replace(result, before=result.before[:3])
