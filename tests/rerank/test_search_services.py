"""A search with a reranker behind a service: said first, asked once, and its failure costs only the second order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rerank.opening import ModelChoice, open_searcher
from rerank.scorers import ServiceAccess
from rerank.search import Searcher
from tests.conftest import Desk
from tests.rerank.rerank_stub import RerankStub, rerank_stub, status

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
    return open_searcher(desk.library, choice, desk.encoder, keep_scores=False)


def test_the_notice_comes_with_the_first_look_and_one_request_asks_for_all(
    searcher: Searcher, stub: RerankStub
) -> None:
    first = searcher.first_look("snake venom", 60)
    assert "sent there" in first.notices[0]
    assert stub.requests == []
    result = searcher.second_look(first, on_partial=lambda partial: None)
    assert len(stub.requests) == 1, "every request is billed"
    assert len(result.after) == 60
    assert "venom" in result.after[0].candidate.chunk.text


def test_a_service_that_refuses_leaves_the_first_order_and_says_why(
    searcher: Searcher, stub: RerankStub
) -> None:
    stub.faults = [status(402, {"message": "no credit"})]
    result = searcher.search("snake venom", 20)
    assert not result.reranked
    assert any("asks for payment: status 402 (no credit)" in notice for notice in result.notices)
    assert KEY not in repr(result)
