"""A search with a reranker behind a service: said first, asked once, and its failure costs only the second order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingest.notices import Notice, NoticeKind
from ingest.services.access import ServiceAccess
from rerank.ensemble import fused_second_look
from rerank.factory import ModelChoice, open_searcher, resolve_models
from rerank.request import SearchRequest, SecondLookPlan, StableRule
from rerank.scorers.windowed import WHOLE
from rerank.search import Searcher
from retrieval.fusion import Fusion
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WordScorer
from tests.parts.rerank_stub import RerankStub, rerank_stub, status
from ui.command_line.main import main
from ui.presentation.remedies import Face, notice_text

KEY = "sk-secret"


@pytest.fixture
def stub() -> Iterator[RerankStub]:
    with rerank_stub(KEY) as stub:
        yield stub


@pytest.fixture
def searcher(desk: Desk, stub: RerankStub) -> Searcher:
    for n in range(60):
        desk.add(desk.write(f"{n}.txt", f"snake {n} " + "venom " * (n == 50)))
    access = ServiceAccess(url=stub.url, model="bge", key=KEY)
    choice = ModelChoice(None, "server", allow_downloads=False, access=access)
    return open_searcher(desk.library, resolve_models(choice, desk.library, desk.encoder), keep_scores=False)


def test_the_notice_comes_with_the_first_look_and_one_request_asks_for_all(
    searcher: Searcher, stub: RerankStub
) -> None:
    first = searcher.first_look(SearchRequest("snake venom", 60))
    assert first.notices[0].kind is NoticeKind.PRIVACY
    assert stub.requests == []
    result = searcher.second_look(first, on_partial=lambda partial: None)
    assert len(stub.requests) == 1, "every request is billed"
    assert len(result.after) == 60
    assert "venom" in result.after[0].candidate.chunk.text


@pytest.mark.parametrize("plan", [SecondLookPlan(500), SecondLookPlan(stop_when_stable=StableRule())])
def test_what_does_not_end_a_service_early_is_said(
    searcher: Searcher, stub: RerankStub, plan: SecondLookPlan
) -> None:
    result = searcher.search(SearchRequest("snake venom", 60, plan=plan))
    (notice,) = [notice for notice in result.notices if notice.kind is NoticeKind.UNSTOPPABLE]
    assert notice_text(notice) == (
        "server:bge is a service that is asked once about all passages: neither a time budget nor --stop-when-stable "
        "ends that early."
    )
    assert notice_text(notice, Face.PAGE) == (
        "server:bge is a service that is asked once about all passages: the time for the second look does not end that "
        "early."
    )
    assert result.complete
    assert not any(
        n.kind is NoticeKind.UNSTOPPABLE for n in searcher.search(SearchRequest("snake venom", 60)).notices
    )


def test_a_window_that_says_nothing_to_a_service_is_said(desk: Desk, stub: RerankStub) -> None:
    desk.add(desk.write("a.txt", "snake venom"))
    for window, is_said in ((64, True), (WHOLE, False), (None, False)):
        access = ServiceAccess(url=stub.url, model="bge", key=KEY)
        choice = ModelChoice(None, "server", allow_downloads=False, window=window, access=access)
        opened = open_searcher(
            desk.library, resolve_models(choice, desk.library, desk.encoder), keep_scores=False
        )
        notices = opened.search(SearchRequest("snake", 1)).notices
        assert any("--window" in notice_text(notice) for notice in notices) == is_said


def test_what_a_server_elsewhere_counted_is_said_with_the_answer(
    searcher: Searcher, stub: RerankStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.rewrite = lambda answer: answer | {"usage": {"total_tokens": 1234}, "meta": None}
    free = searcher.search(SearchRequest("snake venom", 20)).notices
    assert not any(notice.kind is NoticeKind.COST for notice in free), "it is free here"
    monkeypatch.setattr("ingest.models.consent.LOCAL", frozenset())  # as if the stub were on another machine
    counted = Notice(NoticeKind.COST, "Services counted 1,234 tokens of server:bge.")
    assert counted in searcher.search(SearchRequest("snake venom", 20)).notices
    stub.rewrite = lambda answer: answer | {"usage": {"total_tokens": "many"}, "meta": []}
    assert searcher.search(SearchRequest("snake venom", 20)).reranked, "a count that is none spoils nothing"


def test_what_cohere_counted_is_said_with_the_answer_and_on_the_command_line(
    desk: Desk, stub: RerankStub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cohere", reason='pip install "second-look[cohere]"')
    desk.add(*(desk.write(f"{n}.txt", f"snake {n}") for n in range(150)))
    monkeypatch.setenv("COHERE_API_KEY", KEY)
    monkeypatch.setenv("CO_API_URL", stub.url)
    monkeypatch.setattr(
        "ui.command_line.search_rerankers.resolve_models",
        lambda choice, library, _: resolve_models(choice, library, desk.encoder),
    )
    asked = ("search", "snake", "--library", str(desk.library.folder), "--reranker", "cohere", "--no-cache")
    assert main([*asked, "--candidates", "150"]) == 0
    said = "Services counted 2 search units of cohere:rerank-v3.5."
    out, err = capsys.readouterr()
    assert said in err
    assert KEY not in out + err
    assert main([*asked, "--candidates", "100", "--json"]) == 0
    assert "Services counted 1 search unit of cohere:rerank-v3.5." in capsys.readouterr().err


def test_a_service_that_refuses_leaves_the_first_order_and_says_why(
    searcher: Searcher, stub: RerankStub
) -> None:
    stub.faults = [status(402, {"message": "no credit"})]
    result = searcher.search(SearchRequest("snake venom", 20))
    assert not result.reranked
    assert result.why_not is not None
    assert "asks for payment: status 402 (no credit)" in result.why_not.text
    assert KEY not in repr(result)


def test_a_service_in_a_fusion_is_asked_once_and_says_what_it_is_sent_and_counted(
    desk: Desk, searcher: Searcher, stub: RerankStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.models.consent.LOCAL", frozenset())  # as if the stub were on another machine
    stub.rewrite = lambda answer: answer | {"usage": {"total_tokens": 1234}, "meta": None}
    both = {"here": Searcher(Retriever(desk.library, desk.encoder), WordScorer()), "there": searcher}
    first = both["here"].first_look(SearchRequest("snake venom", 60))
    result = fused_second_look(both, first, Fusion())
    assert len(stub.requests) == 1
    assert [own.reranker for own in result.after[0].own] == ["here", "there"]
    (sent,) = [notice.text for notice in result.notices if notice.kind is NoticeKind.PRIVACY]
    assert sent.startswith("there: ")
    assert "there: Services counted 1,234 tokens of server:bge." in [n.text for n in result.notices]
    stub.faults = [status(402, {"message": "no credit"})]
    left = fused_second_look(both, first, Fusion())
    assert [own.reranker for own in left.after[0].own] == ["here"]
    (why,) = [notice.text for notice in left.notices if notice.kind is NoticeKind.LEFT_OUT]
    assert "status 402 (no credit)" in why
    assert KEY not in repr(left)
