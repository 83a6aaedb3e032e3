"""Cohere: the official client against a local server that speaks its protocol, and what happens without the client."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from ingest.errors import ModelError, ServiceError
from ingest.models.hub import Hub
from ingest.services.access import ServiceAccess
from ingest.services.billing import billing
from ingest.services.client import RetryPolicy
from rerank.factory import open_scorer
from rerank.registry import resolve_reranker
from rerank.scorers.base import Scorer
from tests.parts.rerank_stub import (
    Fault,
    RerankStub,
    rerank_stub,
    sleep,
    status,
    stub_score,
    trickle,
    trickle_headers,
)
from ui.presentation.remedies import told

LARGEST_ANSWER = 8 * 2**20
KEY = "co-secret-0123456789"
QUERY = "which snake has venom?"
PASSAGES = ["A boa has no venom.", "Python code", "the venom of a snake", "snake", "川の土手"]
OFFLINE = Hub(allow_downloads=False)


@pytest.fixture
def stub() -> Iterator[RerankStub]:
    with rerank_stub(KEY) as stub:
        yield stub


def opened(stub: RerankStub, name: str = "cohere", seconds: float = 5.0, key: str = KEY) -> Scorer:
    pytest.importorskip("cohere", reason='pip install "second-look[cohere]"')
    from rerank.scorers.cohere import CohereScorer

    access = ServiceAccess(cohere_key=key, cohere_url=stub.url)
    return CohereScorer(resolve_reranker(name, OFFLINE, access), access, RetryPolicy(seconds, 3, 0.01))


def test_each_passage_gets_its_own_score_and_units_are_counted(stub: RerankStub) -> None:
    scorer = opened(stub, "rerank-v4.0-pro")
    passages = [f"{PASSAGES[n % 5]} {n}" for n in range(150)]
    with billing() as bill:
        scores = scorer.score(QUERY, passages)
    assert scores.logits.tolist() == pytest.approx([stub_score(QUERY, passage) for passage in passages])
    assert [len(body["documents"]) for body in stub.bodies] == [100, 50]
    assert {body["model"] for body in stub.bodies} == {"rerank-v4.0-pro"}
    assert {request["path"] for request in stub.requests} == {"/v2/rerank"}
    assert bill.rows() == [{"model": "cohere:rerank-v4.0-pro", "unit": "search unit", "amount": 2}]
    assert str(bill) == "Services counted 2 search units of cohere:rerank-v4.0-pro."


@pytest.mark.parametrize("fault", [status(429, {"message": "trial key"}, Retry_After="1"), status(503)])
def test_what_may_pass_is_tried_again(stub: RerankStub, fault: Fault) -> None:
    stub.faults = [fault, fault]
    assert len(opened(stub).score(QUERY, PASSAGES).logits) == 5
    assert len(stub.requests) == 3


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            status(429, {"message": "trial key"}, Retry_After="900"),
            r"Cohere has too many requests.*trial key.*900 s",
        ),
        (status(404, {"message": "no model"}), r"no such route or model.*404 \(no model\)"),
        (status(200, "<html>Sign in</html>"), "not JSON"),
        (status(200, {"id": "1"}), "without scores"),
        (status(200, {"id": "1", "results": [[0, 0.5]]}), "cannot read"),
        (status(200, "[" * 100_000), "cannot read"),
        (status(400, "[" * 100_000), "cannot read"),
        (sleep(3), r"did not answer within 0\.7 s"),
        (trickle(3), r"did not answer within 0\.7 s"),
        (trickle_headers(3), r"did not answer within 0\.7 s"),
        (status(200, {"results": "x" * LARGEST_ANSWER}), "an answer of more than 8 MB"),
    ],
)
def test_refusals_and_broken_answers_are_sentences(stub: RerankStub, fault: Fault, sentence: str) -> None:
    scorer = opened(stub, seconds=0.7)
    stub.faults = [fault]
    started = time.monotonic()
    with pytest.raises(ServiceError, match=sentence):
        scorer.score(QUERY, PASSAGES)
    assert time.monotonic() - started < 2.5


def test_a_missing_score_is_refused_and_the_key_is_nowhere(stub: RerankStub) -> None:
    stub.rewrite = lambda answer: answer | {"results": answer["results"][1:]}
    with pytest.raises(ServiceError, match="no score to 1 of 5"):
        opened(stub).score(QUERY, PASSAGES)
    wrong = opened(stub, key=KEY + "-wrong")
    with pytest.raises(ServiceError, match=r"does not accept the key.*401") as caught:
        wrong.score(QUERY, PASSAGES)
    assert KEY not in str(caught.value) + repr(wrong) + repr(wrong.model)


@pytest.mark.parametrize(
    "units", [10**400, float("inf"), float("nan"), -1, "many"], ids=["huge", "inf", "nan", "-1", "text"]
)
def test_units_that_cannot_be_are_not_billed(stub: RerankStub, units: object) -> None:
    stub.rewrite = lambda answer: answer | {"meta": {"billed_units": {"search_units": units}}}
    with billing() as bill:
        assert len(opened(stub).score(QUERY, PASSAGES).logits) == 5
    assert not bill


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("http://[", "The address of Cohere is no address of a server"),
        ("cohere.example", r"The address of Cohere is none of a server. Give one that begins with http"),
        ("https://me:secret@cohere.example", "The address of Cohere holds a password"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_and_its_password_is_not_shown(
    typed: str, sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence) as caught:
        resolve_reranker("cohere", OFFLINE, ServiceAccess(cohere_key=KEY, cohere_url=typed))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("code", [302, 307, 308])
def test_a_redirect_brings_neither_key_nor_passages_elsewhere(stub: RerankStub, code: int) -> None:
    with rerank_stub(KEY) as elsewhere:
        stub.faults = [status(code, Location=f"{elsewhere.url}/v2/rerank")]
        with pytest.raises(ServiceError, match=f"status {code}"):
            opened(stub).score(QUERY, PASSAGES)
        assert elsewhere.requests == []


def test_without_the_client_what_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cohere", None)
    access = ServiceAccess(cohere_key=KEY)
    with pytest.raises(ModelError, match="is not installed") as caught:
        open_scorer(resolve_reranker("cohere", OFFLINE, access), access=access)
    assert told(caught.value).endswith('Install it with: pip install "second-look[cohere]"')


def test_without_a_key_its_variable_is_named(stub: RerankStub) -> None:
    with pytest.raises(ModelError, match="needs a key of Cohere") as caught:
        opened(stub, key="")
    assert "Set it as COHERE_API_KEY in the environment, or" in told(caught.value)
