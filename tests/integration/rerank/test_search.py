"""The query path over a real library, with a reranker that can fail in every way."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import CancelledError, EncoderMismatchError, UsageError
from ingest.models.hub import Hub
from ingest.notices import NoticeKind
from rerank import factory
from rerank.factory import ModelChoice, encoder_for, open_searcher, resolve_models
from rerank.request import SearchRequest, check_query
from rerank.scorers.base import Scores
from rerank.scorers.score_store import ScoreStore
from rerank.search import Searcher
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WordScorer
from ui.presentation.remedies import notice_text


@pytest.fixture
def filled(desk: Desk) -> Desk:
    for number in range(30):
        desk.write(f"s{number:02d}.txt", f"snake venom snake number {number}")
    desk.write("answer.txt", "it kills by a slow long squeeze and by nothing else but that, does a snake")
    desk.add(*sorted(desk.folder.iterdir()))
    return desk


def searcher(desk: Desk, scorer: object) -> Searcher:
    return Searcher(Retriever(desk.library, desk.encoder), scorer)  # type: ignore[arg-type]


def test_the_reranker_sees_all_candidates_not_only_those_that_are_shown(filled: Desk) -> None:
    scorer = WordScorer()
    result = searcher(filled, scorer).search(SearchRequest("snake kills", 100))
    assert scorer.calls == [("snake kills", 31)]
    assert result.reranked
    assert result.after[0].candidate.chunk.title == "answer"
    assert result.after[0].candidate.rank > 20
    assert result.after[0].logit == 1.0  # snake, kills: two words, less one
    assert len(result.before) == len(result.after) == 31
    assert result.timings.total == result.timings.encode + result.timings.retrieve + result.timings.rerank


def test_progress_counts_up_to_all(filled: Desk) -> None:
    seen: list[tuple[int, int]] = []
    searcher(filled, WordScorer()).search(
        SearchRequest("snake", 20), lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (20, 20)


def test_asking_again_or_deeper_runs_the_model_for_what_is_new_and_claims_no_wonder(filled: Desk) -> None:
    scorer = WordScorer()
    keeping = Searcher(Retriever(filled.library, filled.encoder), scorer, store=ScoreStore(None))
    fresh = keeping.search(SearchRequest("snake kills", 20))
    deeper, again = (
        keeping.search(SearchRequest("snake kills", 31)),
        keeping.search(SearchRequest("snake kills", 31)),
    )
    assert scorer.calls == [("snake kills", 20), ("snake kills", 11)]
    assert (fresh.cached, deeper.cached, again.cached) == (0, 20, 31)
    assert again.after == deeper.after
    assert again.cost_of(31) == 0.0  # nothing was read, so nothing can be said of what reading costs
    a_passage = deeper.timings.rerank / 11  # the same words in all, so the same tokens, but for one passage
    assert deeper.cost_of(31) == pytest.approx(31 * a_passage)
    assert keeping.scorer is scorer  # an evaluation times the model itself


def test_the_first_run_of_a_model_is_told_apart(filled: Desk) -> None:
    store = ScoreStore(None)
    one = Searcher(Retriever(filled.library, filled.encoder), WordScorer(), store=store)
    asked = ["snake kills", "snake kills", "snake kills fast"]
    assert [one.search(SearchRequest(query, 31)).cold for query in asked] == [True, False, False]
    two = Searcher(Retriever(filled.library, filled.encoder), WordScorer(), store=store)
    known = two.search(SearchRequest("snake kills", 31))
    assert (known.cached, known.cold) == (31, True)
    assert two.search(SearchRequest("snake kills now", 31)).cold, (
        "nothing had run before: every score was known"
    )
    assert not two.search(SearchRequest("snake kills then", 31)).cold


def test_an_opened_searcher_keeps_scores_unless_it_is_told_not_to(
    filled: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = WordScorer()
    monkeypatch.setattr(factory, "resolve_reranker", lambda *_: scorer.model)
    monkeypatch.setattr(factory, "open_scorer", lambda *_: scorer)
    for keep, calls in ((False, 2), (True, 1)):
        scorer.calls.clear()
        for _ in range(2):  # opened twice, as two commands do
            opened = open_searcher(
                filled.library,
                resolve_models(ModelChoice(), filled.library, filled.encoder),
                keep_scores=keep,
            )
            opened.search(SearchRequest("which snake kills by squeezing", 31))
        assert len(scorer.calls) == calls


FAULTS: dict[str, Exception] = {
    "raises": RuntimeError("out of memory"),
    "no memory": MemoryError(),
    "a bug": TypeError("no such argument"),
    "a number too large": OverflowError("int too large to convert to float"),
}


class Broken(WordScorer):
    """Scores that a broken reranker might give."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def score(self, query: str, passages: Sequence[str], on_batch: object = None) -> Scores:
        good = super().score(query, passages)
        if self.kind in FAULTS:
            raise FAULTS[self.kind]
        if self.kind == "short":
            return Scores(good.logits[:-1], good.tokens[:-1], good.truncated[:-1])
        value = {"nan": np.nan, "constant": 0.0}[self.kind]
        return replace(good, logits=np.full_like(good.logits, value))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("nan", "scores that are not numbers"),
        ("constant", "every passage the same score"),
        ("short", "9 scores for 10 passages"),
        ("raises", "Not reranked: out of memory. The"),
        ("no memory", r"Not reranked: the reranker ended with MemoryError\. The"),
        ("a bug", r"ended with TypeError \(no such argument\)\. The"),
        ("a number too large", r"ended with OverflowError \(int"),
    ],
)
def test_a_broken_reranker_leaves_the_first_order_with_a_notice(
    filled: Desk, caplog: pytest.LogCaptureFixture, kind: str, why: str
) -> None:
    result = searcher(filled, Broken(kind)).search(SearchRequest("snake", 10))
    assert not result.reranked
    assert result.after == ()
    assert len(result.before) == 10
    (notice,) = [notice for notice in result.notices if notice.kind is NoticeKind.NOT_RERANKED]
    assert re.search(why, notice_text(notice))
    assert result.timings.rerank == 0.0
    (logged,) = caplog.records
    assert (logged.exc_info is not None) == (kind in FAULTS), "a trace, where it says more than the sentence"


def test_what_a_listener_raises_to_stop_it_ends_the_second_look(filled: Desk) -> None:
    def stop(*_: object) -> None:
        raise CancelledError("The tab was closed.")

    with pytest.raises(CancelledError):
        searcher(filled, WordScorer()).search(SearchRequest("snake", 10), stop)


def test_without_a_reranker_or_without_passages_there_is_no_second_order(filled: Desk, desk: Desk) -> None:
    assert not searcher(filled, None).search(SearchRequest("snake", 10)).reranked


def test_a_mix_is_used_only_with_the_encoder_it_was_fitted_to(filled: Desk) -> None:
    scorer = WordScorer()
    for fitted_to, mixed in (("word-encoder", True), ("another", False)):
        spec = replace(scorer.model.spec, bi_weight=100.0, bi_encoder=fitted_to)
        scorer.model = replace(scorer.model, spec=spec)
        hit = searcher(filled, scorer).search(SearchRequest("which snake kills", 31)).after[0]
        assert (hit.logit > 10) is mixed


@pytest.mark.parametrize(
    ("query", "words"), [("", "empty"), ("  \n\t", "empty"), ("x" * 2001, "2,001 characters")]
)
def test_a_query_that_cannot_be_asked_is_refused_in_a_sentence(query: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_query(query)


def test_control_characters_are_spaces() -> None:
    assert check_query(" a\x00b\nc ") == "a b c"


def test_a_librarys_own_encoder_that_is_not_here_is_named_with_the_way_out(
    filled: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("ingest.library.trust._allowed_now", set())
    with pytest.raises(EncoderMismatchError, match=r"word-encoder, which cannot be had here.*rebuild"):
        encoder_for(filled.library, ModelChoice(trusting=True), Hub(allow_downloads=False))


def test_many_threads_get_each_their_own_answer(filled: Desk) -> None:
    shared = searcher(filled, WordScorer())
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        answers[number] = shared.search(SearchRequest(f"number {number}", 31)).after[0].candidate.chunk.text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: f"snake venom snake number {number}" for number in range(30)}
