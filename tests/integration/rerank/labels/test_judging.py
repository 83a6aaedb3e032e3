"""Judging real results of a real library, what to judge next, and the verdict that comes of it without a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ingest.library.label_records import Grade, ModelPair, Places
from ingest.library.labels import Labels
from rerank.judged.records import Verdict
from rerank.labels.judging import ask_again, judge, judged_ranks, note_ranks, pair_of
from rerank.labels.suggest import Reason, disagreement, suggest
from rerank.labels.verdict import running_verdict, running_verdicts
from rerank.records import SearchResult
from rerank.request import SearchRequest
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WordScorer
from tests.parts.evaluation_parts import Planted, as_before, reversed_order

TOPICS = ("snake", "venom", "python", "code", "bank", "river", "money", "flood", "crane", "bird", "steel")


@pytest.fixture
def topics(desk: Desk) -> Desk:
    """Eleven topics, each with four passages that are the farther from it the more other words they hold."""
    files = [
        desk.write(f"{t}{n}.txt", f"{t} {f'other{t}{n} ' * n}".strip()) for t in TOPICS for n in range(4)
    ]
    desk.add(*files)
    return desk


def searcher(desk: Desk, scorer: WordScorer) -> Searcher:
    return Searcher(Retriever(desk.library, desk.encoder), scorer)


def hash_at(result: SearchResult, place: int) -> str:
    return result.before[place].chunk.passage_hash


@pytest.mark.parametrize(
    ("planted", "verdict"),
    [
        (Planted("reversed", reversed_order), Verdict.HURTS),
        (Planted("same", as_before), Verdict.UNDECIDED),
    ],
)
def test_a_planted_reranker_gets_its_verdict_and_no_model_runs_for_it(
    topics: Desk, planted: Planted, verdict: Verdict
) -> None:
    labels, asked = Labels(topics.library), searcher(topics, planted)
    for topic in TOPICS:
        result = asked.search(SearchRequest(topic, 4))
        judge(labels, result, hash_at(result, 0), Grade.RELEVANT)
        judge(labels, result, hash_at(result, 3), Grade.NOT)
    searches = len(planted.calls)
    (found,) = running_verdicts(labels)
    assert (found.verdict, found.queries) == (verdict, len(TOPICS))
    assert found.pair == ModelPair("word-encoder", "1", planted.model.name, "1")
    assert len(planted.calls) == searches
    other = running_verdict(labels, replace(found.pair, reranker_revision="2"))
    assert (other.queries, other.unseen, other.verdict) == (0, len(TOPICS), Verdict.UNDECIDED)


def test_another_reranker_gets_its_own_verdict_once_it_was_asked(topics: Desk) -> None:
    labels, first = Labels(topics.library), searcher(topics, Planted("same", as_before))
    for topic in TOPICS:
        result = first.search(SearchRequest(topic, 4))
        judge(labels, result, hash_at(result, 0), Grade.RELEVANT)
        judge(labels, result, hash_at(result, 3), Grade.NOT)
    second = searcher(topics, Planted("reversed", reversed_order))
    note_ranks(labels, second.search(SearchRequest("crane", 4)))
    steps: list[tuple[int, int]] = []
    assert ask_again(labels, second, 4, lambda *step: steps.append(step)) == len(TOPICS) - 1
    assert steps[-1] == (len(TOPICS) - 1, len(TOPICS) - 1)
    assert ask_again(labels, second, 4, lambda *_: None) == 0
    by_name = {found.pair.reranker: found.verdict for found in running_verdicts(labels)}
    assert by_name == {"same": Verdict.UNDECIDED, "reversed": Verdict.HURTS}


def test_a_result_without_a_second_order_is_judged_but_has_no_places(topics: Desk) -> None:
    labels = Labels(topics.library)
    result = Searcher(Retriever(topics.library, topics.encoder), None).search(SearchRequest("crane", 4))
    judge(labels, result, hash_at(result, 0), Grade.RELEVANT)
    note_ranks(labels, result)
    assert labels.grades("crane") == {hash_at(result, 0): Grade.RELEVANT}
    assert (labels.pairs(), pair_of(result.models)) == ([], None)
    whole = searcher(topics, WordScorer()).search(SearchRequest("crane", 4))
    assert judged_ranks(replace(whole, after=whole.after[:2])) is None, (
        "a second look under way was taken for one"
    )


def test_the_best_place_counts_of_passages_with_the_same_text(desk: Desk) -> None:
    for folder in ("one", "two"):
        (desk.folder / folder).mkdir()
    desk.add(
        desk.write("one/x.txt", "crane " * 32),
        desk.write("two/x.txt", "crane " * 32 + "\n\n" + "bank river " * 16),
    )
    result = searcher(desk, Planted("reversed", reversed_order)).search(SearchRequest("crane", 3))
    duplicate = result.before[0].chunk.passage_hash
    assert result.before[1].chunk.passage_hash == duplicate, "there are no duplicates: the test tests nothing"
    ranks = judged_ranks(result)
    assert ranks is not None
    assert ranks.places == {duplicate: Places(1, 2), result.before[2].chunk.passage_hash: Places(3, 1)}


def ranked(topics: Desk, judged: Callable[[str, list[str]], list[float]]) -> SearchResult:
    return searcher(topics, Planted("planted", judged)).search(SearchRequest("crane", 10))


def test_what_moved_most_near_the_top_is_suggested_first(topics: Desk) -> None:
    # Places 1 and 2 change places, and so do 9 and 10; the others stay.
    result = ranked(topics, lambda _, p: [9, 10, *range(8, 2, -1), 1, 2][: len(p)])
    found = suggest(result, {}, 10, threshold=2.0)
    assert [s.hit.candidate.rank for s in found] == [2, 1, 10, 9]
    assert {s.reason for s in found} == {Reason.ORDERS_DISAGREE}
    assert disagreement(found[0].hit) == pytest.approx(1 - 0.63093, abs=1e-5)
    first = found[0].hit.candidate.chunk.passage_hash
    left = suggest(result, {first}, 1, threshold=2.0)
    assert [s.hit.candidate.rank for s in left] == [found[1].hit.candidate.rank]


def test_scores_near_the_threshold_are_suggested_in_turn_with_them(topics: Desk) -> None:
    # Relevance is sigmoid(logit): only the passages at 5 (.50) and 7 (.52) are in doubt, and neither moved.
    result = ranked(topics, lambda _, p: [8, 9, 7, 6, 0, -5, 0.1, -6, -7, -8][: len(p)])
    found = suggest(result, set(), 4)
    assert [s.reason for s in found][:2] == [Reason.ORDERS_DISAGREE, Reason.NEAR_THRESHOLD]
    assert found[1].hit.candidate.rank == 5
    assert len({s.hit.candidate.chunk.id for s in found}) == 4
    assert suggest(replace(result, after=()), set(), 4) == []
    everything = {candidate.chunk.passage_hash for candidate in result.before}
    assert suggest(result, everything, 4) == []
