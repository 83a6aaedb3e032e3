"""Several second looks at one reranker: who is served when, what those who wait hear, and that leaving is possible."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from ingest.errors import CancelledError
from ingest.notices import NoticeKind
from rerank.records import SearchResult
from rerank.request import SearchRequest
from rerank.scorers.base import Scores
from rerank.search import Searcher
from rerank.second_look import slices
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WordScorer

ONE, TWO, THREE = "snake one", "snake two", "snake three"
PATIENCE = 20


class GatedScorer(WordScorer):
    """A `WordScorer` whose first call waits until its ``gate`` is open; ``inside`` is set once it stands there."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.gate = threading.Event(), threading.Event()

    def score(
        self, query: str, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> Scores:
        if not self.calls:
            self.inside.set()
            assert self.gate.wait(PATIENCE)
        return super().score(query, passages, on_batch)


class Asker(threading.Thread):
    """Somebody who asks, and hears of the wait, of each slice and of the end."""

    def __init__(self, searcher: Searcher, query: str, leave: bool = False) -> None:
        super().__init__(daemon=True)
        self._searcher, self._query, self._leave = searcher, query, leave
        self.waiting, self.ahead = threading.Event(), list[int]()
        self.result: SearchResult | None = None
        self.left = False
        self.start()

    def run(self) -> None:
        first = self._searcher.first_look(SearchRequest(self._query))
        try:
            self.result = self._searcher.second_look(first, on_partial=lambda _: None, on_wait=self._wait)
        except CancelledError:
            self.left = True

    def _wait(self, ahead: int) -> None:
        self.ahead.append(ahead)
        self.waiting.set()
        if self._leave:
            raise CancelledError("gone")


@pytest.fixture
def scorer() -> GatedScorer:
    return GatedScorer()


@pytest.fixture
def searcher(desk: Desk, scorer: GatedScorer) -> Searcher:
    texts = [f"A snake, number {n}{', one of two or three' * (n % 2)}." for n in range(60)]
    desk.add(*(desk.write(f"{n}.txt", text) for n, text in enumerate(texts)))
    return Searcher(Retriever(desk.library, desk.encoder), scorer)


def test_first_slices_come_first_and_then_each_is_finished_in_the_order_of_asking(
    searcher: Searcher, scorer: GatedScorer
) -> None:
    askers = [Asker(searcher, ONE)]
    assert scorer.inside.wait(PATIENCE)
    for query in (TWO, THREE):
        askers.append(Asker(searcher, query))
        assert askers[-1].waiting.wait(PATIENCE)
    scorer.gate.set()
    for asker in askers:
        asker.join(PATIENCE)
    sizes = slices(60)
    first = [(query, sizes[0]) for query in (ONE, TWO, THREE)]
    rest = [(query, size) for query in (ONE, TWO, THREE) for size in sizes[1:]]
    assert scorer.calls == first + rest
    assert [max(asker.ahead, default=0) for asker in askers] == [0, 1, 2]


def test_who_leaves_while_waiting_is_not_served_and_holds_nobody_up(
    searcher: Searcher, scorer: GatedScorer
) -> None:
    stays = Asker(searcher, ONE)
    assert scorer.inside.wait(PATIENCE)
    leaves = Asker(searcher, TWO, leave=True)
    leaves.join(PATIENCE)
    after = Asker(searcher, THREE)
    assert after.waiting.wait(PATIENCE)
    scorer.gate.set()
    for asker in (stays, after):
        asker.join(PATIENCE)
    assert leaves.left
    assert {query for query, _ in scorer.calls} == {ONE, THREE}
    assert after.ahead[-1] == 1
    assert after.result is not None
    assert after.result.reranked


def test_the_time_that_others_took_is_told_apart_from_the_time_that_scoring_took(
    searcher: Searcher, scorer: GatedScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rerank.scheduler.WORTH_A_WORD_MS", 100)
    served = Asker(searcher, ONE)
    assert scorer.inside.wait(PATIENCE)
    waits = Asker(searcher, TWO)
    assert waits.waiting.wait(PATIENCE)  # which is after a tenth of a second
    scorer.gate.set()
    for asker in (served, waits):
        asker.join(PATIENCE)
    assert served.result is not None
    assert waits.result is not None
    assert served.result.timings.rerank > 100 > waits.result.timings.rerank
    assert [notice.kind for notice in waits.result.notices].count(NoticeKind.WAITED) == 1
    assert not any(notice.kind is NoticeKind.WAITED for notice in served.result.notices)


def test_sentences_are_marked_when_no_second_look_wants_its_turn(
    searcher: Searcher, scorer: GatedScorer
) -> None:
    asker, marked = Asker(searcher, ONE), list[int]()
    assert scorer.inside.wait(PATIENCE)
    chunks = [candidate.chunk for candidate in searcher.first_look(SearchRequest(TWO)).before[:2]]
    waits = threading.Event()

    def mark() -> None:
        searcher.mark(TWO, chunks, lambda _: waits.set())
        marked.append(len(scorer.calls))

    marking = threading.Thread(target=mark, daemon=True)
    marking.start()
    assert waits.wait(PATIENCE)
    scorer.gate.set()
    for thread in (asker, marking):
        thread.join(PATIENCE)
    assert marked == [len(slices(60))]
