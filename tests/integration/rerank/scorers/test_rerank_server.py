"""The client of rerank servers, against a local server that speaks their protocols with faults of all sorts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from ingest.errors import ModelError, ServiceError
from ingest.models.consent import privacy_notice
from ingest.models.hub import Hub
from ingest.services.access import ServiceAccess
from ingest.services.client import RetryPolicy
from rerank.registry import resolve_reranker
from rerank.scorers.cached import fingerprint
from rerank.scorers.rerank_server import RerankServerScorer
from rerank.scorers.services import rerank_address
from tests.parts.rerank_stub import (
    TEI_BATCH,
    Answering,
    Fault,
    RerankStub,
    hang_up,
    rerank_stub,
    sleep,
    status,
    stub_score,
    trickle,
    trickle_headers,
)

KEY = "sk-secret-0123456789"
QUERY = "which snake has venom?"
PASSAGES = ["A boa has no venom.", "Python code", "the venom of a snake", "snake", "川の土手"]
PATIENCE = RetryPolicy(seconds=3.0, attempts=3, first_wait=0.01)


@pytest.fixture
def stub() -> Iterator[RerankStub]:
    with rerank_stub(KEY) as stub:
        yield stub


def scorer(stub: RerankStub, path: str = "/v1/rerank", **changes: Any) -> RerankServerScorer:
    access = ServiceAccess(url=stub.url + path, model="bge", key=changes.pop("key", KEY))
    model = resolve_reranker("server", Hub(allow_downloads=False), access)
    return RerankServerScorer(model, access, changes.pop("patience", PATIENCE))


@pytest.mark.parametrize(("path", "sizes"), [("/v1/rerank", [100, 50]), ("/rerank", [32, 32, 32, 32, 22])])
def test_each_passage_gets_its_own_score_in_batches_that_the_server_takes(
    stub: RerankStub, path: str, sizes: list[int]
) -> None:
    passages = [f"{PASSAGES[n % 5]} {n}" for n in range(150)]
    heard: list[int] = []
    scores = scorer(stub, path).score(QUERY, passages, heard.append)
    assert scores.logits.tolist() == pytest.approx([stub_score(QUERY, passage) for passage in passages])
    assert heard == sizes
    assert [len(body.get("documents") or body["texts"]) for body in stub.bodies] == sizes
    assert stub.requests[0]["path"] == path
    assert stub.requests[0]["headers"]["Authorization"] == f"Bearer {KEY}"


def test_the_model_asked_for_is_the_one_behind_the_colon(stub: RerankStub) -> None:
    access = ServiceAccess(url=stub.url, model="bge", key=KEY)
    model = resolve_reranker("server:jina/reranker:v2", Hub(allow_downloads=False), access)
    RerankServerScorer(model, access).score(QUERY, PASSAGES)
    scorer(stub).score(QUERY, PASSAGES)
    assert [body["model"] for body in stub.bodies] == ["jina/reranker:v2", "bge"]


@pytest.mark.parametrize(
    "fault",
    [
        status(429, {"message": "slow down"}),
        status(500),
        status(503, "<html>down</html>"),
        status(502),
        status(408),
        hang_up,
    ],
    ids=["429", "500", "503", "502", "408", "hang up"],
)
def test_what_may_pass_is_tried_again(stub: RerankStub, fault: Fault) -> None:
    stub.faults = [fault, fault]
    assert scorer(stub).score(QUERY, PASSAGES).logits[3] == pytest.approx(stub_score(QUERY, PASSAGES[3]))
    assert len(stub.requests) == 3


@pytest.mark.parametrize("says", ["1", formatdate(time.time() + 2, usegmt=True)], ids=["seconds", "date"])
def test_retry_after_is_waited_for(stub: RerankStub, says: str) -> None:
    if says != "1":
        says = formatdate(time.time() + 2, usegmt=True)
    stub.faults = [status(429, Retry_After=says)]
    started = time.monotonic()
    scorer(stub).score(QUERY, PASSAGES)
    assert 0.9 <= time.monotonic() - started < 3


def test_who_asks_to_wait_too_long_is_not_waited_for(stub: RerankStub) -> None:
    stub.faults = [status(429, {"detail": "quota"}, Retry_After="3600")]
    started = time.monotonic()
    with pytest.raises(ServiceError, match=r"too many requests: status 429 \(quota\); .* in 3600 s"):
        scorer(stub).score(QUERY, PASSAGES)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("says", ["9" * 5000, "Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "soon", "-5"])
def test_a_wait_that_nobody_can_read_is_our_own(stub: RerankStub, says: str) -> None:
    stub.faults = [status(429, Retry_After=says)]
    assert len(scorer(stub).score(QUERY, PASSAGES).logits) == len(PASSAGES)


def test_attempts_end(stub: RerankStub) -> None:
    stub.faults = [status(500)] * 9
    with pytest.raises(ServiceError, match="status 500; 3 attempts were made"):
        scorer(stub).score(QUERY, PASSAGES)
    assert len(stub.requests) == 3


@pytest.mark.parametrize(
    "fault",
    [sleep(2), trickle(2), trickle_headers(2)],
    ids=["silent", "a byte at a time", "a byte of a header at a time"],
)
def test_time_ends(stub: RerankStub, fault: Fault) -> None:
    stub.faults = [fault]
    started = time.monotonic()
    with pytest.raises(ServiceError, match=r"did not answer within 0\.4 s"):
        scorer(stub, patience=RetryPolicy(0.4, 5, 0.01)).score(QUERY, PASSAGES)
    assert time.monotonic() - started < 1.5
    stub.faults = []
    assert len(scorer(stub).score(QUERY, PASSAGES).logits) == len(PASSAGES)


def test_a_server_that_is_not_there_is_said() -> None:
    with rerank_stub() as stub:
        pass
    with pytest.raises(ServiceError, match=r"127\.0\.0\.1:\d+ cannot be reached \(.*refused.*\); 3 attempts"):
        scorer(stub).score(QUERY, PASSAGES)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (status(404, {"detail": "Not Found"}), r"no such route or model.*404 \(Not Found\)"),
        (status(422, {"detail": [{"msg": "field required"}]}), r"refused.*422 \(field required\)"),
        (status(302, Location="http://127.0.0.1:1/elsewhere"), "refused.*302"),
        (status(200, "<html>Sign in</html>"), r"not JSON \(text/html\)"),
        (status(200, "[" * 100_000), r"not JSON \(text/html\)"),
        (status(400, {"message": "no\x1b]0;title\x07\x9b31m\nred"}), r"refused.*400 \(no ]0;title 31m red\)"),
        (status(200, {"hello": 1}), "without scores"),
        (status(200, {"results": "none"}), "without scores"),
        (status(200, {"results": [1, 2]}), "without scores"),
    ],
)
def test_refusals_and_answers_of_another_kind_are_sentences(
    stub: RerankStub, fault: Fault, sentence: str
) -> None:
    stub.faults = [fault]
    # Of 404 and 422 the other route and shape are tried, once; what they say is not what is told.
    elsewhere = (
        [status(404, {"detail": "another"})] * 2 if sentence.startswith(("no such", "refused.*422")) else []
    )
    stub.faults += elsewhere
    with pytest.raises(ServiceError, match=sentence):
        scorer(stub).score(QUERY, PASSAGES)
    assert len(stub.requests) == 1 + len(elsewhere), "what will not pass was tried again"


def server_of(**kinds: bool) -> Answering:
    """A server with these routes: path (``_`` for ``/``) → whether it takes TEI's shape; all else is refused."""
    routes = {name.replace("_", "/"): is_tei for name, is_tei in kinds.items()}

    def answer(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path not in routes:
            return 404, {"detail": "Not Found"}
        texts = body.get("texts" if routes[path] else "documents")
        if texts is None:
            return 422, {"detail": [{"msg": "Field required"}]}
        if routes[path] and len(texts) > TEI_BATCH:
            return 413, {"error": "batch size"}
        name = "score" if routes[path] else "relevance_score"
        rows = [{"index": n, name: stub_score(body["query"], text)} for n, text in enumerate(texts)]
        return 200, rows if routes[path] else {"results": rows[::-1]}

    return answer


@pytest.mark.parametrize(
    ("server", "path", "found"),
    [
        (server_of(_rerank=False), "", "/rerank"),  # Infinity
        (server_of(_rerank=False), "/rerank", "/rerank"),
        (server_of(_rerank=True), "", "/rerank"),  # TEI
        (server_of(_rerank=True), "/rerank", "/rerank"),
        (server_of(_rerank=False, _v1_rerank=False), "", "/v1/rerank"),  # vLLM, LiteLLM
        (server_of(_rerank=False, _v1_rerank=False), "/rerank", "/rerank"),
        (server_of(_proxy_rerank=False), "/proxy", "/proxy/rerank"),
    ],
    ids=[
        "Infinity",
        "Infinity's route",
        "TEI",
        "TEI's route",
        "vLLM",
        "vLLM's plain route",
        "behind a proxy",
    ],
)
def test_the_route_and_the_shape_are_found_by_asking_and_remembered(
    server: Answering, path: str, found: str
) -> None:
    passages = [f"{PASSAGES[n % 5]} {n}" for n in range(150)]
    with rerank_stub(answer=server) as stub:
        asked = scorer(stub, path)
        scores = asked.score(QUERY, passages)
        assert scores.logits.tolist() == pytest.approx([stub_score(QUERY, passage) for passage in passages])
        tries = len(stub.requests)
        asked.score(QUERY, passages[:3])
        assert [request["path"] for request in stub.requests[tries:]] == [found], "it was not remembered"


@pytest.mark.parametrize("code", [404, 405, 422])
@pytest.mark.parametrize(
    ("typed", "found"), [("/v1/rerank", "/rerank"), ("/proxy/v1/rerank", "/proxy/rerank")]
)
def test_a_route_that_is_refused_in_any_of_three_ways_is_sought_elsewhere(
    code: int, typed: str, found: str
) -> None:
    """A page server in front of the model answers a POST to what it does not know with 405, say."""
    inner = server_of(**{found.replace("/", "_"): True})

    def answer(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return inner(path, body) if path == found else (code, {"detail": "not here"})

    with rerank_stub(KEY, answer) as stub:
        scores = scorer(stub, typed).score(QUERY, PASSAGES)
        assert scores.logits.tolist() == pytest.approx([stub_score(QUERY, passage) for passage in PASSAGES])
        assert stub.requests[-1]["path"] == found


@pytest.mark.parametrize("code", [404, 405, 422])
def test_where_no_route_answers_the_first_refusal_is_told(code: int) -> None:
    def answer(path: str, _: dict[str, Any]) -> tuple[int, Any]:
        return code, {"detail": f"nothing at {path}"}

    with (
        rerank_stub(KEY, answer) as stub,
        pytest.raises(ServiceError, match=rf"status {code} \(nothing at /v1/rerank\)"),
    ):
        scorer(stub).score(QUERY, PASSAGES)
    assert [request["path"] for request in stub.requests] == ["/v1/rerank", "/rerank", "/rerank"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_brings_neither_key_nor_passages_elsewhere(stub: RerankStub, code: int) -> None:
    with rerank_stub(KEY) as elsewhere:
        stub.faults = [status(code, Location=f"{elsewhere.url}/v1/rerank")]
        with pytest.raises(ServiceError, match=f"refused the request: status {code}"):
            scorer(stub).score(QUERY, PASSAGES)
        assert elsewhere.requests == []
    assert len(stub.requests) == 1


def swapped(answer: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Row 0 is called 40: another passage of the question, but none of these 32."""
    return [row | {"index": 40} if row["index"] == 0 else row for row in answer]


@pytest.mark.parametrize(
    ("rewrite", "sentence"),
    [
        (swapped, "passage 40, but was asked about 0 to 31"),
        (lambda answer: answer[:-1], "no score to 1 of 32"),
        (lambda answer: [*answer, answer[0]], "two scores to passage"),
        (lambda answer: [row | {"score": "high"} for row in answer], "not a number: high"),
        (lambda answer: {"results": answer}, "without scores"),
    ],
    ids=["out of range", "too short", "doubled", "words", "another shape"],
)
def test_what_tei_answers_belongs_to_the_passages_of_its_request(rewrite: Any, sentence: str) -> None:
    """Asked by its bare address, so that 64 passages go in two requests of one batch."""
    with rerank_stub(answer=server_of(_rerank=True)) as stub:
        stub.rewrite = rewrite
        with pytest.raises(ServiceError, match=sentence):
            scorer(stub, "").score(QUERY, [f"{PASSAGES[n % 5]} {n}" for n in range(64)])


def test_a_refusal_for_another_reason_is_not_asked_elsewhere() -> None:
    with rerank_stub(KEY, server_of(_rerank=True)) as stub, pytest.raises(ServiceError, match="401"):
        scorer(stub, key="wrong").score(QUERY, PASSAGES)
    assert len(stub.requests) == 1


def change(row: int, **changes: Any) -> Any:
    def rewrite(answer: Any) -> Any:
        answer["results"][row] |= changes
        return answer

    return rewrite


@pytest.mark.parametrize(
    ("rewrite", "sentence"),
    [
        (lambda answer: {"results": answer["results"][1:]}, "no score to 1 of 5"),
        (lambda answer: {"results": answer["results"] + answer["results"][:1]}, "two scores to passage 0"),
        (change(0, index=5), "passage 5, but was asked about 0 to 4"),
        (change(0, index=-1), "passage -1"),
        (change(0, index=True), "passage True"),
        (change(0, index="2"), "passage '2'"),
        (change(0, relevance_score=float("nan")), "passage 0 a score that is not a number: nan"),
        (change(0, relevance_score=1e300), r"not a number: 1e\+300"),
        (change(0, relevance_score=10**400), "not a number: 1000"),
        (change(0, relevance_score=None), "not a number: None"),
        (change(0, relevance_score="0.5"), r"not a number: 0\.5"),
    ],
)
def test_scores_that_belong_to_no_passage_or_are_none_are_refused(
    stub: RerankStub, rewrite: Any, sentence: str
) -> None:
    stub.rewrite = rewrite
    with pytest.raises(ServiceError, match=sentence):
        scorer(stub).score(QUERY, PASSAGES)


def test_the_key_is_nowhere(stub: RerankStub) -> None:
    wrong = scorer(stub, key=KEY + "-wrong")
    with pytest.raises(ServiceError, match=r"does not accept the key.*401 \(Incorrect key: …\)") as caught:
        wrong.score(QUERY, PASSAGES)
    access = ServiceAccess(url=stub.url, key=KEY, cohere_key=KEY)
    model = resolve_reranker("server", Hub(allow_downloads=False), access)
    for place in (str(caught.value), repr(access), repr(model), fingerprint(model), repr(wrong)):
        assert KEY not in place


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1/rerank"),
        ("https://api.jina.ai/v1/", "https://api.jina.ai/v1/rerank"),
        ("https://api.cohere.com/v2/rerank", "https://api.cohere.com/v2/rerank"),
        ("http://tei:8080/rerank", "http://tei:8080/rerank"),
        (" http://[::1]:9000/proxy ", "http://[::1]:9000/proxy/v1/rerank"),
    ],
)
def test_addresses(typed: str, address: str) -> None:
    assert rerank_address(typed) == address


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Nobody said where the rerank server is"),
        ("localhost:8000", "begins with http"),
        ("http://h:port/v1", "no address of a server"),
        ("https://me:pw@host/v1/rerank", "holds a password or a query"),
        ("https://host/v1/rerank?key=1", "holds a password or a query"),
    ],
)
def test_addresses_that_cannot_be_used(typed: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence) as caught:
        resolve_reranker("server", Hub(allow_downloads=False), ServiceAccess(url=typed))
    assert "pw" not in str(caught.value)


def test_what_leaves_the_machine_is_said_before_the_first_call(stub: RerankStub) -> None:
    hub = Hub(allow_downloads=False)
    far = resolve_reranker("server:bge", hub, ServiceAccess(url="https://rerank.example.com"))
    near = resolve_reranker("server:bge", hub, ServiceAccess(url=stub.url))
    assert "leave this machine: server:bge reads them at rerank.example.com" in (privacy_notice(far) or "")
    assert "server on this machine" in (privacy_notice(near) or "")
    assert "api.cohere.com" in (privacy_notice(resolve_reranker("cohere", hub)) or "")
    assert privacy_notice(resolve_reranker("maxsim", hub)) is None
    assert stub.requests == []
