"""Several rerankers fused to one second order: what a search gives is what an evaluation measures."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import RerankError
from ingest.notices import Notice, NoticeKind
from rerank.ensemble import AT_ONCE, NOTHING_TO_FUSE, fuse, fused_second_look, second_looks
from rerank.evaluation.ensemble import ensemble_systems
from rerank.evaluation.scoring import score_queries
from rerank.judged.dataset import document_id
from rerank.notices import model_notices
from rerank.records import SearchResult, Stopped
from rerank.request import SearchRequest, SecondLookPlan, StableRule
from rerank.scorers.base import OnBatch, Scores
from rerank.scorers.score_store import ScoreStore
from rerank.search import Searcher
from retrieval.fusion import Fusion
from retrieval.records import CandidateSource
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WORD_SCORER, WordScorer
from tests.parts.evaluation_parts import TOPICS, Planted, open_set, reversed_order

RRF, EVEN, SHARES = (Fusion.of_ensemble(text) for text in ("rrf", "weighted", "weighted:0.5,0.3"))


def shaken(query: str, passages: object) -> list[float]:
    """An opinion of its own on every passage, without ties."""
    return [(7919 * sum(passage.encode()) + len(query)) % 1009 / 100 for passage in passages]  # type: ignore[attr-defined]


def broken(query: str, passages: object) -> list[float]:
    raise RerankError("the model has no head")


def searchers(desk: Desk, *scorers: WordScorer) -> dict[str, Searcher]:
    return {scorer.model.name: Searcher(Retriever(desk.library, desk.encoder), scorer) for scorer in scorers}


@pytest.fixture
def long(desk: Desk) -> Desk:
    """A library of sixty passages."""
    desk.add(*(desk.write(f"{n}.txt", f"snake {'venom ' * (n % 7)}number {n}") for n in range(60)))
    return desk


def names(result: SearchResult) -> list[str]:
    return [hit.candidate.chunk.path for hit in result.after]


@pytest.mark.parametrize("source", list(CandidateSource))
def test_a_search_gives_the_orders_that_an_evaluation_measures(
    dataset: Path, tmp_path: Path, source: CandidateSource
) -> None:
    judged, library, encoder = open_set(dataset, tmp_path / "library")
    two = [Planted("one", shaken), Planted("two", reversed_order)]
    both = {scorer.model.name: Searcher(Retriever(library, encoder), scorer) for scorer in two}
    depth = 100
    scored = {
        name: score_queries(judged.queries, library, searcher, depth, source=source)
        for name, searcher in both.items()
    }
    systems = {system.combination: system for system in ensemble_systems(scored, (depth,), source)}
    compared = 0
    for way, fusion in (("weighted", EVEN), ("reciprocal rank", RRF)):
        for query, text in judged.queries.items():
            first = both["one"].first_look(SearchRequest(text, depth, source))
            after = fused_second_look(both, first, fusion).after
            order = [document_id(hit.candidate.chunk.path) for hit in after]
            assert list(systems[way].orders[query])[: len(order)] == order, (way, query)
            compared += len(order) > 2
    assert compared == 2 * len(TOPICS)


def test_every_hit_says_what_it_was_fused_from(long: Desk) -> None:
    both = searchers(long, Planted("one", shaken), Planted("two", reversed_order))
    first = both["one"].first_look(SearchRequest("snake venom", 40))
    result = fused_second_look(both, first, RRF)
    assert (len(result.after), result.complete, result.fusion) == (40, True, RRF)
    for hit in result.after:
        places = [hit.candidate.rank, *(own.rank for own in hit.own)]
        assert hit.logit == pytest.approx(sum(1 / (60 + place) for place in places))
        assert (hit.relevance, hit.cross_logit) == (None, None)
        assert [own.reranker for own in hit.own] == ["one", "two"]
        assert hit.own[1].logit == hit.candidate.rank - 1
    for number in range(2):
        by_logit = sorted(result.after, key=lambda hit: hit.own[number].rank)
        logits = [hit.own[number].logit for hit in by_logit]
        assert logits == sorted(logits, reverse=True)
    assert [hit.rank for hit in result.after] == list(range(1, 41))
    (mix, at_once) = result.notices
    assert "a fusion: the first look (by vectors), one and two, by reciprocal rank." in mix.text
    assert at_once == AT_ONCE


def test_shares_count_as_they_are_given(long: Desk) -> None:
    both = searchers(long, Planted("one", shaken), Planted("two", reversed_order))
    first = both["one"].first_look(SearchRequest("snake venom", 40))
    result = fused_second_look(both, first, SHARES)
    z = []
    for values in (
        [hit.candidate.score for hit in result.after],
        *([hit.own[number].logit for hit in result.after] for number in range(2)),
    ):
        row = np.array(values, np.float32).astype(float)
        z.append((row - row.mean()) / row.std())
    assert [hit.logit for hit in result.after] == pytest.approx(list(0.2 * z[0] + 0.5 * z[1] + 0.3 * z[2]))
    assert [part.share for part in result.parts] == pytest.approx([0.5, 0.3])
    assert "50% one, 30% two and 20% the first look (by vectors)" in result.notices[0].text


def test_the_mix_that_a_reranker_is_shipped_with_is_neither_fused_nor_claimed(long: Desk) -> None:
    one, two = Planted("one", shaken), Planted("two", reversed_order)
    spec = replace(one.model.spec, bi_weight=20.0, bi_encoder=long.encoder.model.name)
    one.model = replace(one.model, spec=spec)
    notices = model_notices(long.encoder.model, one.model)
    retriever = Retriever(long.library, long.encoder)
    mixed = {"one": Searcher(retriever, one, notices), **searchers(long, two)}
    first = mixed["one"].first_look(SearchRequest("snake venom", 40))
    assert any(notice.kind is NoticeKind.MIX for notice in mixed["one"].second_look(first).notices)
    result = fused_second_look(mixed, first, RRF)
    plain = searchers(long, Planted("one", shaken), two)
    assert names(result) == names(fused_second_look(plain, first, RRF))
    assert not any(notice.kind is NoticeKind.MIX for notice in result.notices)


def test_one_that_fails_is_left_out_and_said_so(long: Desk) -> None:
    both = searchers(long, Planted("one", broken), Planted("two", reversed_order))
    first = both["one"].first_look(SearchRequest("snake venom", 40))
    result = fused_second_look(both, first, SHARES)
    assert [own.reranker for own in result.after[0].own] == ["two"]
    assert [part.share for part in result.parts] == [None, pytest.approx(0.6)]
    assert "60% two and 40% the first look" in result.notices[0].text
    assert result.notices[1] == Notice(
        NoticeKind.LEFT_OUT, "one is not in the fused order. Not reranked: the model has no head."
    )
    assert result.models.reranker is not None
    assert result.models.reranker.name == "two"


def test_where_all_fail_there_is_no_second_order(long: Desk) -> None:
    both = searchers(long, Planted("one", broken), Planted("two", broken))
    first = both["one"].first_look(SearchRequest("snake venom", 40))
    result = fused_second_look(both, first, RRF)
    assert (result.after, len(result.before)) == ((), 40)
    assert result.why_not == NOTHING_TO_FUSE
    assert [notice.text.split(" ")[0] for notice in result.notices[1:]] == ["one", "two"]
    left = searchers(long, Planted("one", broken), Planted("two", reversed_order))
    alone = fused_second_look(left, first, Fusion.of_ensemble("weighted:0.5,0"))
    assert alone.after == (), "the first look's order is no second one"
    assert "none of the rerankers that are left has a share in the fusion" in alone.notices[0].text


def test_only_what_all_scored_is_fused(long: Desk) -> None:
    """One is held to a budget that lets it score a slice, the other is not: the order is that of the slice alone."""
    both = searchers(long, Planted("one", shaken), Planted("two", reversed_order))
    first = both["one"].first_look(SearchRequest("snake venom", 60))
    (one,) = second_looks({"one": both["one"]}, first, SecondLookPlan(stop_when_stable=StableRule(1, 1)))
    (two,) = second_looks({"two": both["two"]}, first)
    assert one.result is not None
    count = one.result.scored
    assert count < 60
    result = fuse(first, [one, two], RRF)
    assert (result.scored, result.stopped) == (count, Stopped.STABLE)
    assert {hit.candidate.rank for hit in result.after} == set(range(1, count + 1))
    shallow = replace(first, before=first.before[:count])
    assert names(result) == names(fused_second_look(both, shallow, RRF)), "as with so many candidates"
    texts = [notice.text for notice in result.notices]
    assert f"The fused order holds the {count} of 60 passages that all of them scored." in texts
    assert any(text.startswith(f"one: {count} of 60 passages were scored") for text in texts)


def test_scores_are_kept_for_each_reranker_by_itself(long: Desk) -> None:
    one, two = Planted("one", shaken), Planted("two", reversed_order)
    for scorer in (one, two):
        scorer.model = replace(scorer.model, folder=long.folder)
    store = ScoreStore(None)
    retriever = Retriever(long.library, long.encoder)
    both = {name: Searcher(retriever, scorer, (), store) for name, scorer in (("one", one), ("two", two))}
    first = both["one"].first_look(SearchRequest("snake venom", 40))
    both["two"].second_look(first)
    result = fused_second_look(both, first, RRF)
    assert (len(one.calls), len(two.calls)) == (1, 1), "two's scores were known from its own search"
    assert AT_ONCE not in result.notices
    assert names(fused_second_look(both, first, EVEN))
    assert (len(one.calls), len(two.calls)) == (1, 1), "another fusion is arithmetic"


def test_nothing_found_is_nothing_fused(desk: Desk) -> None:
    both = searchers(desk, WordScorer(), WordScorer(replace(WORD_SCORER, name="other")))
    result = fused_second_look(both, both["other"].first_look(SearchRequest("snake")), RRF)
    assert (result.before, result.after, result.notices) == ((), (), ())


class Halting(WordScorer):
    """Waits until its neighbour was stopped, as Ctrl-C would; then it wants to go on with its next batch."""

    def __init__(self, stopped: threading.Event) -> None:
        super().__init__()
        self._stopped, self.went_on = stopped, False

    def score(self, query: str, passages: Sequence[str], on_batch: OnBatch | None = None) -> Scores:
        assert on_batch is not None
        self._stopped.wait(10)
        time.sleep(0.2)  # until the caller has heard of it
        on_batch(1)
        self.went_on = True
        return super().score(query, passages)


def test_when_the_caller_is_stopped_so_are_all(long: Desk) -> None:
    stopped = threading.Event()

    def interrupt(query: str, passages: object) -> list[float]:
        stopped.set()
        raise KeyboardInterrupt

    halting = Halting(stopped)
    both = searchers(long, Planted("one", interrupt), halting)
    first = both["one"].first_look(SearchRequest("snake venom", 40))
    with pytest.raises(KeyboardInterrupt):
        fused_second_look(both, first, RRF)
    assert not halting.went_on
